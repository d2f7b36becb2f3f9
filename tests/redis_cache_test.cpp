// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Caches over memory over a real server; two connections stand for two processes.

#include "redis_setup.hpp"

#include <acache/acache.hpp>
#include <acache/redis.hpp>
#include <acache/tiered_backend.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace acache_test;
using memory = acache::memory_backend<std::string, std::string>;
using shared = acache::redis_backend<std::string, std::string>;
using levels = acache::tiered_backend<memory, shared>;
using cache_type = acache::async_cache<std::string, std::string, levels>;

const std::string k = "k";

/// Where both caches load from.
struct source {
    std::map<std::string, std::string> rows;
    int loads = 0;
    std::chrono::nanoseconds takes = 0ns;
    bool fails = false;

    [[nodiscard]] std::string read(const std::string& key) {
        const auto at = rows.find(key);
        return at == rows.end() ? key + "!" : at->second;
    }
};

[[nodiscard]] const acache::redis_client& client_of(const acache::redis_client& client) {
    return client;
}
[[nodiscard]] const acache::redis_client& client_of(redis_process& of) {
    return of.client();
}

template <class Redis>
struct cache_on {
    template <class Make>
    cache_on(Make&& make, asio::io_context& context, source& from,
             const acache::cache_options& options = {.ttl = 60s}, const acache::tiered_options& tiered = {})
        : redis(make), src(from),
          cache(context, levels(memory(10'000), shared(client_of(redis), {.prefix = "users"}), tiered),
                options) {}

    [[nodiscard]] asio::awaitable<std::string> get(std::string key) {
        return cache.get_or_load(std::move(key), load());
    }
    /// A loader; it takes its time.
    [[nodiscard]] std::function<asio::awaitable<std::string>(std::string)> load() {
        return [this](std::string key) -> asio::awaitable<std::string> {
            ++src.loads;
            if (src.fails) {
                throw std::runtime_error("the source fails");
            }
            auto value = src.read(key);
            if (src.takes != 0ns) {
                co_await pause_for(src.takes);
            }
            co_return value;
        };
    }
    /// What memory has.
    [[nodiscard]] bool near(const std::string& key) { return cache.backend().level1().get(key).has_value(); }

    Redis redis;
    source& src;
    cache_type cache;
};

/// Makes a member in its place.
template <class F>
struct made_by {
    F make;
    operator redis_process() const { return make(); }
};
using process = cache_on<redis_process>;

struct two_caches {
    explicit two_caches(const acache::cache_options& options = {.ttl = 60s},
                        const acache::tiered_options& tiered = {},
                        const acache::redis_client_options& client = quick)
        : a(made_by([&] { return redis_process(context, server.port(), client); }), context, src, options,
            tiered),
          b(made_by([&] { return redis_process(context, server.port(), client); }), context, src, options,
            tiered) {}

    asio::awaitable<void> ready() {
        REQUIRE(co_await a.redis.client().ready(20s));
        REQUIRE(co_await b.redis.client().ready(20s));
    }
    /// How often the server was given a command since the last time that this was asked of it.
    int calls(const std::string& command) {
        const std::string stats = server.command({"INFO", "commandstats"});
        const auto at = stats.find("cmdstat_" + command + ":calls=");
        const int now = at == std::string::npos ? 0 : std::stoi(stats.substr(stats.find('=', at) + 1));
        const int before = std::exchange(calls_[command], now);
        return now - before;
    }
    std::string slot(const std::string& key) const {
        return "users:v:" + server.command({"HGET", "users:s", "gen"}) + ":" + key;
    }

    redis_server server;
    asio::io_context context;
    source src;
    process a, b;

private:
    std::map<std::string, int> calls_;
};

} // namespace

TEST_CASE("C01 Many callers in two processes make one load of a cold key") {
    two_caches p;
    p.src.takes = 50ms;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        int over = 0;
        for (int i = 0; i != 50; ++i) {
            for (auto* each : {&p.a, &p.b}) {
                asio::co_spawn(p.context, each->get(k), [&](std::exception_ptr e, const std::string& v) {
                    CHECK_FALSE(e);
                    CHECK(v == "k!");
                    ++over;
                });
            }
        }
        CHECK(co_await comes_true([&] { return over == 100; }));
        CHECK(p.src.loads == 1);
        CHECK(co_await p.a.get(k) == "k!");
        CHECK(co_await p.b.get(k) == "k!");
        CHECK(p.src.loads == 1);
    });
}

TEST_CASE("C28 Many callers of a key that another process has loaded ask the server once") {
    two_caches p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        CHECK(co_await p.a.get(k) == "k!");
        co_await pause_for(20ms);
        p.calls("set");
        p.calls("get");
        int over = 0;
        for (int i = 0; i != 50; ++i) {
            asio::co_spawn(p.context, p.b.get(k), [&](std::exception_ptr, const std::string&) { ++over; });
        }
        CHECK(co_await comes_true([&] { return over == 50; }));
        CHECK(p.calls("set") + p.calls("get") == 1);
        CHECK(p.b.near(k));
        CHECK(co_await p.b.get(k) == "k!");
        CHECK(p.calls("set") + p.calls("get") == 0);

        CHECK(co_await p.b.cache.invalidate(k));
        co_await p.a.cache.set(k, "2");
        CHECK(co_await comes_true([&] { return !p.b.near(k); }));
        over = 0;
        p.calls("get");
        for (int i = 0; i != 50; ++i) {
            asio::co_spawn(p.context, p.b.cache.get(k), [&](std::exception_ptr, const auto& v) {
                CHECK(v == "2");
                ++over;
            });
        }
        CHECK(co_await comes_true([&] { return over == 50; }));
        CHECK(p.calls("get") == 1);
        CHECK(p.src.loads == 1);
    });
}

TEST_CASE("What one process changes the other sees within milliseconds, by whatever means") {
    two_caches p({.ttl = 60s, .stale_while_revalidate = 60s});
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        const std::array<std::string_view, 1> tags{"team"};
        const auto load_both = [&]() -> asio::awaitable<void> {
            co_await p.a.cache.set(k, "1", {.tags = tags});
            CHECK(co_await comes_true([&] { return !p.b.near(k); }));
            CHECK(co_await p.b.get(k) == "1");
            CHECK(p.b.near(k));
            CHECK(p.a.near(k));
        };
        // Memory has a cleared or tagged entry for some time, and does not serve it.
        const auto gone = [&](process& where) {
            return comes_true([&] { return !where.cache.try_get(k); }, 2s);
        };
        const auto from = std::chrono::steady_clock::now();
        co_await load_both();
        CHECK(co_await p.a.cache.invalidate(k));
        CHECK(co_await gone(p.b));

        co_await load_both();
        co_await p.a.cache.set(k, "2");
        CHECK(co_await gone(p.b));
        CHECK(co_await p.b.get(k) == "2");

        co_await load_both();
        co_await p.a.cache.clear();
        CHECK(co_await gone(p.b));
        CHECK_FALSE(co_await p.b.cache.get(k));

        co_await load_both();
        co_await p.a.cache.invalidate_tag("team");
        CHECK_FALSE(p.a.cache.try_get(k));
        CHECK(co_await gone(p.b));
        CHECK_FALSE(co_await p.b.cache.get(k));

        co_await load_both();
        CHECK(co_await p.a.cache.expire(k));
        CHECK(co_await gone(p.b));
        CHECK(p.src.loads == 0);
        p.src.rows[k] = "3";
        co_await pause_for(20ms);          // the clocks of two processes differ by some
        CHECK(co_await p.b.get(k) == "1"); // stale, while it is renewed
        CHECK(
            co_await comes_true([&] { return p.a.cache.try_get(k) == "3" || p.b.cache.try_get(k) == "3"; }));
        CHECK(co_await p.a.get(k) == "3");
        CHECK(p.src.loads == 1);

        co_await load_both();
        CHECK(p.server.command({"DEL", p.slot(k)}) == "1");
        CHECK(co_await gone(p.a));
        CHECK(co_await gone(p.b));
        CHECK(std::chrono::steady_clock::now() - from < 2s);
    });
}

TEST_CASE("Many keys are one MGET, and a DataLoader over the cache loads them once for all") {
    two_caches p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        std::vector<std::string> keys;
        for (int i = 0; i != 20; ++i) {
            keys.push_back("key " + std::to_string(i));
        }
        std::size_t loaded = 0;
        const auto batch = [&](std::vector<std::string> wanted) -> asio::awaitable<std::vector<std::string>> {
            loaded += wanted.size();
            std::vector<std::string> values;
            for (const auto& key : wanted) {
                values.push_back(p.src.read(key));
            }
            co_return values;
        };
        acache::DataLoader<std::string, std::string> first(p.a.cache, batch), second(p.b.cache, batch);
        p.calls("mget");
        auto values = co_await first.load_many(keys);
        CHECK(*values[3] == "key 3!");
        CHECK(p.calls("mget") == 1);
        CHECK(loaded == 20);
        co_await pause_for(20ms);
        values = co_await second.load_many(keys);
        CHECK(*values[19] == "key 19!");
        CHECK(p.calls("mget") == 1);
        CHECK(loaded == 20);
        const auto found = co_await p.b.cache.get_many(keys);
        CHECK(found.size() == 20);
        CHECK(p.calls("mget") == 0);

        co_await p.a.cache.invalidate("key 7");
        CHECK(co_await comes_true([&] { return !p.b.near("key 7"); }));
        p.src.rows["key 7"] = "new";
        CHECK(co_await second.load("key 7") == "new");
        CHECK(loaded == 21);
    });
}

TEST_CASE("C18 A stale value is served by both while one of them renews it for both") {
    two_caches p({.ttl = 100ms, .stale_while_revalidate = 60s});
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        CHECK(co_await p.a.get(k) == "k!");
        co_await pause_for(10ms);
        CHECK(co_await p.b.get(k) == "k!");
        co_await pause_for(150ms);
        p.src.rows[k] = "new";
        p.src.takes = 50ms;
        CHECK(co_await p.a.get(k) == "k!");
        CHECK(co_await p.b.get(k) == "k!");
        CHECK(co_await comes_true(
            [&] { return p.a.cache.try_get(k) == "new" || p.b.cache.try_get(k) == "new"; }, 5s));
        CHECK(p.src.loads <= 3); // both may have begun to renew it, and one of them has stored
        co_await pause_for(10ms);
        CHECK(co_await p.a.get(k) == "new");
        CHECK(co_await p.b.get(k) == "new");
    });
}

TEST_CASE("C29 Nothing throws because of the server, whether it is paused, dead, or empty again") {
    two_caches p({.ttl = 60s}, {}, {.timeout = 100ms, .keepalive = 100ms, .failures_to_open = 3});
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        const auto work = [&](const std::string& name) -> asio::awaitable<void> {
            for (int i = 0; i != 5; ++i) {
                const std::string key = name + std::to_string(i);
                CHECK(co_await p.a.get(key) == key + "!");
                CHECK(co_await p.b.get(key) == key + "!");
                co_await p.a.cache.set(key, "2");
                co_await p.a.cache.invalidate(key);
                co_await p.a.cache.invalidate_tag("team");
                (void)co_await p.a.cache.get(key);
                (void)co_await p.a.cache.get_many(std::vector<std::string>(1, key));
                const auto refreshed = co_await p.b.cache.refresh(key, p.b.load());
                CHECK(refreshed == key + "!");
            }
            co_await p.a.cache.clear();
        };
        co_await work("up");
        p.server.pause();
        const auto from = std::chrono::steady_clock::now();
        co_await work("paused");
        CHECK(std::chrono::steady_clock::now() - from < 5s);
        p.server.resume();
        co_await p.ready();
        co_await work("up again");
        p.server.kill();
        CHECK(co_await comes_true([&] { return !p.a.redis.client().connected(); }));
        co_await work("down");
        p.server.restart();
        co_await p.ready();
        CHECK(co_await comes_true([&] { return p.a.redis.metrics().queued_removals == 0; }));
        co_await work("back");
        const int before = p.src.loads;
        CHECK(co_await p.a.get("shared again") == "shared again!");
        co_await pause_for(10ms);
        CHECK(co_await p.b.get("shared again") == "shared again!");
        CHECK(p.src.loads == before + 1);
        CHECK(p.a.cache.metrics().backend_failures > 0);
    });
}

TEST_CASE("C30 What an outage kept from being removed is not served after it, by anybody") {
    two_caches p({.ttl = 60s}, {.max_stale_on_partition = 0s});
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        CHECK(co_await p.a.get(k) == "k!");
        co_await pause_for(10ms);
        CHECK(co_await p.b.get(k) == "k!");
        p.src.rows[k] = "new";
        p.server.kill_clients();
        CHECK(co_await comes_true([&] { return !p.a.redis.client().connected(); }));
        co_await p.a.cache.invalidate(k);
        CHECK(co_await p.a.get(k) == "new");
        co_await p.ready();
        CHECK(co_await comes_true([&] { return p.a.redis.metrics().queued_removals == 0; }));
        co_await pause_for(10ms);
        CHECK(co_await p.b.get(k) == "new");
        CHECK(co_await p.a.get(k) == "new");
    });
}

TEST_CASE("C30 A reader never fills memory with what was there before a removal") {
    two_caches p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        for (int i = 0; i != 200; ++i) {
            const std::string value = std::to_string(i);
            p.src.rows[k] = value;
            co_await p.a.cache.invalidate(k);
            int over = 0;
            for (int n = 0; n != i % 4; ++n) { // readers of both, while it is removed
                asio::co_spawn(p.context, p.b.get(k), [&](std::exception_ptr, const auto&) { ++over; });
                asio::co_spawn(p.context, p.a.cache.get(k), [&](std::exception_ptr, const auto&) { ++over; });
            }
            CHECK(co_await p.a.get(k) == value);
            CHECK(co_await comes_true([&] { return over == 2 * (i % 4); }));
            co_await pause_for(i % 8 == 0 ? 2ms : 0ms);
        }
        co_await pause_for(20ms);
        CHECK(co_await p.b.get(k) == "199");
    });
}

TEST_CASE("C31 While changes go unheard memory is served as long as the options say, and not at all with 0") {
    for (const auto bound : {0ms, 400ms}) {
        two_caches p({.ttl = 60s}, {.max_stale_on_partition = bound});
        run(p.context, [&]() -> asio::awaitable<void> {
            co_await p.ready();
            CHECK(co_await p.a.get(k) == "k!");
            co_await pause_for(50ms); // the news of that very entry has come, and is settled
            p.src.rows[k] = "new";
            p.server.kill();
            CHECK(co_await comes_true([&] { return !p.a.redis.client().connected(); }));
            const auto lost = std::chrono::steady_clock::now();
            CHECK(p.a.cache.try_get(k).has_value() == (bound != 0ms));
            if (bound != 0ms) {
                CHECK(co_await p.a.get(k) == "k!");
                CHECK(co_await comes_true([&] { return !p.a.cache.try_get(k); }));
                CHECK(std::chrono::steady_clock::now() - lost < 2s);
            }
            CHECK(co_await p.a.get(k) == "new");
            p.server.restart();
            co_await p.ready();
            const int before = p.src.loads;
            p.src.rows[k] = "newer";
            CHECK(co_await p.a.get(k) == "newer"); // memory is emptied when the server is back
            co_await pause_for(10ms);
            CHECK(co_await p.b.get(k) == "newer");
            CHECK(p.src.loads == before + 1);
        });
    }
}

TEST_CASE("C11 A refresh during a slow load of another process is not overwritten by that") {
    two_caches p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        p.src.rows[k] = "old";
        p.src.takes = 200ms;
        std::optional<std::string> slow;
        asio::co_spawn(p.context, p.a.get(k), [&](std::exception_ptr, std::string v) { slow = v; });
        co_await pause_for(50ms);
        p.src.rows[k] = "new";
        p.src.takes = 0ms;
        CHECK(co_await p.b.cache.refresh(k, p.b.load()) == "new");
        CHECK(co_await comes_true([&] { return slow.has_value(); }));
        CHECK(slow == "old");
        co_await pause_for(20ms);
        CHECK(co_await p.a.get(k) == "new");
        CHECK(co_await p.b.get(k) == "new");
        CHECK(p.src.loads == 2);
    });
}

TEST_CASE("C30 A removal by somebody else in the moment in which an entry is renewed is not missed") {
    two_caches p({.ttl = 100ms, .stale_while_revalidate = 60s, .stale_if_error = 60s});
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        CHECK(co_await p.a.get(k) == "k!");
        co_await pause_for(150ms);
        p.src.fails = true;
        redis_hand hand(p.server.port());
        hand.command({"PING"});
        const std::string slot = p.slot(k);
        p.server.pause();
        hand.send({"DEL", slot});
        CHECK(co_await p.a.get(k) == "k!"); // and it is renewed
        co_await pause_for(50ms);
        p.server.resume();
        CHECK(hand.read_reply() == "1");
        co_await pause_for(100ms);
        bool has_failed = false;
        try {
            (void)co_await p.a.get(k);
        } catch (const std::runtime_error&) {
            has_failed = true;
        }
        CHECK(has_failed);
    });
}

TEST_CASE("A retry right after a load that has failed is stored") {
    two_caches p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        for (int i = 0; i != 20; ++i) {
            const std::string key = "key " + std::to_string(i);
            p.src.fails = true;
            try {
                (void)co_await p.a.get(key);
            } catch (const std::runtime_error&) {
                p.src.fails = false;
            }
            p.src.takes = 5ms;
            CHECK(co_await p.a.get(key) == key + "!");
            p.src.takes = 0ms;
            CHECK(p.server.command({"EXISTS", p.slot(key)}) == "1");
            CHECK(p.a.near(key));
        }
        CHECK(p.src.loads == 40);
    });
}

TEST_CASE("A function behind the cache shares its results, with their tags, among processes") {
    two_caches p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        int calls = 0;
        const auto find = [&](acache::load_context& context, int id) -> asio::awaitable<std::string> {
            context.tag("team " + std::to_string(id % 2));
            ++calls;
            co_return "user " + std::to_string(id);
        };
        const auto first = p.a.cache.cached("user:{}", find);
        const auto second = p.b.cache.cached("user:{}", find);
        CHECK(co_await first(1) == "user 1");
        CHECK(co_await first(2) == "user 2");
        co_await pause_for(10ms);
        CHECK(co_await second(1) == "user 1");
        CHECK(co_await second(2) == "user 2");
        CHECK(calls == 2);
        co_await p.a.cache.invalidate_tag("team 1");
        CHECK(co_await comes_true([&] { return !p.b.cache.try_get("user:1"); }));
        CHECK(co_await second(1) == "user 1");
        CHECK(co_await second(2) == "user 2");
        CHECK(calls == 3);
        co_await pause_for(10ms);
        CHECK(co_await first(1) == "user 1");
        CHECK(calls == 3);
    });
}

TEST_CASE("C31 FLUSHALL and a server that comes back empty leave nothing old anywhere") {
    two_caches p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        CHECK(co_await p.a.get(k) == "k!");
        co_await pause_for(10ms);
        CHECK(co_await p.b.get(k) == "k!");
        p.src.rows[k] = "flushed";
        p.server.command({"FLUSHALL"});
        CHECK(co_await comes_true([&] { return !p.a.near(k) && !p.b.near(k); }));
        co_await p.ready();
        CHECK(co_await p.a.get(k) == "flushed");
        co_await pause_for(10ms);
        CHECK(co_await p.b.get(k) == "flushed");
        CHECK(p.src.loads == 2);

        p.src.rows[k] = "restarted";
        p.server.restart();
        CHECK(co_await comes_true([&] { return !p.a.near(k) && !p.b.near(k); }));
        co_await p.ready();
        CHECK(co_await p.b.get(k) == "restarted");
        co_await pause_for(10ms);
        CHECK(co_await p.a.get(k) == "restarted");
        CHECK(p.src.loads == 3);
    });
}

TEST_CASE("The context may go after any handler, with all that a cache can do under way") {
    redis_server server;
    bool ended = false;
    int handlers = 0;
    for (; !ended; handlers += handlers < 60 ? 1 : 5) {
        source src;
        int over = 0;
        std::optional<asio::io_context> context(std::in_place, 1);
        std::array<std::shared_ptr<boost::redis::connection>, 2> connections;
        for (auto& c : connections) { // which go with the context
            c = std::make_shared<boost::redis::connection>(*context);
            asio::co_spawn(*context, keep_running(c, server.port()), asio::detached);
        }
        cache_on<acache::redis_client> a(acache::redis_client(*connections[0], quick), *context, src);
        cache_on<acache::redis_client> b(acache::redis_client(*connections[1], quick), *context, src);
        acache::DataLoader<std::string, std::string> loader(
            a.cache, [](std::vector<std::string> keys) -> asio::awaitable<std::vector<std::string>> {
                co_return keys;
            });
        const auto use = [&]() -> asio::awaitable<void> {
            (void)co_await a.redis.ready(10s);
            (void)co_await b.redis.ready(10s);
            const auto done = [&](std::exception_ptr, auto&&...) { ++over; };
            src.takes = 1ms;
            for (auto* each : {&a, &b}) {
                asio::co_spawn(*context, each->get(k), done);
                asio::co_spawn(*context, each->cache.get(k), done);
                asio::co_spawn(*context, each->cache.get_many(std::vector<std::string>{k, "x"}), done);
                asio::co_spawn(*context, each->cache.refresh("x", each->load()), done);
                asio::co_spawn(*context, each->cache.set("y", "1"), done);
                asio::co_spawn(*context, each->cache.invalidate(k), done);
                asio::co_spawn(*context, each->cache.invalidate_tag("team"), done);
            }
            asio::co_spawn(*context, loader.load_many(std::vector<std::string>{"x", "z"}), done);
            asio::co_spawn(*context, a.cache.clear(), done);
        };
        asio::co_spawn(*context, use(), asio::detached);
        for (int i = 0; i != handlers && over != 16; ++i) {
            context->run_one_for(50ms);
        }
        ended = over == 16;
        connections = {};
        if (handlers % 2 == 0) {
            context.reset(); // before the caches
        }
    }
    CHECK(handlers > 60);
}
