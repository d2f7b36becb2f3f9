// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// What comes at an awkward time: news, answers and losses in an order that is rare, made certain by a server
// that is paused.

#include "redis_two_processes.hpp"

#include <acache/redis.hpp>
#include <acache/shared_backend.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace acache_test;
using acache::lease_mode;
using backend = string_backend;

acache::entry<std::string> tagged(backend& by, std::string value) {
    const acache::detail::tag_table::load reading(by.tags());
    auto* const details = new acache::entry_details;
    const acache::entry_details_ptr owner(details);
    details->tags = by.tags().taggings({"team"}, reading.began());
    const auto now = acache::coarse_clock::now();
    return acache::entry<std::string>(std::move(value), acache::entry_stamps{now, now + 60s, now + 60s},
                                      owner);
}

struct listener final : acache::change_listener<std::string> {
    void changed(const std::string& key) override { keys.insert(key); }
    void lost() override { ++losses; }
    void all_changed() override { ++all; }
    std::multiset<std::string> keys;
    int losses = 0;
    int all = 0;
};

/// A codec that refuses some text, in both directions, by exceptions.
struct picky_codec {
    void encode(const std::string& text, std::string& to) const {
        if (text == "bad") {
            throw std::runtime_error("cannot be encoded");
        }
        to += text;
    }
    [[nodiscard]] std::optional<std::string> decode(std::string_view from) const {
        if (from == "bad") {
            throw std::runtime_error("cannot be decoded");
        }
        return std::string(from);
    }
};
using picky_backend = acache::redis_backend<std::string, std::string, picky_codec, picky_codec>;

} // namespace

TEST_CASE("C30 A lease that somebody else has overwritten hides no later removal from its process") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        const auto told = std::make_shared<listener>();
        p.a.listen(told);
        {
            backend::lease lease;
            CHECK_FALSE(co_await p.a.get(k, lease, lease_mode::wait));
            co_await p.b.set(k, fresh("1"));
        } // there is nothing to give back
        CHECK(co_await comes_true([&] { return told->keys.count(k) == 1; }));
        CHECK(value_of(co_await p.a.get(k)) == "1");
        CHECK(co_await p.b.erase(k));
        CHECK(co_await comes_true([&] { return told->keys.count(k) == 2; }, 5s));
    });
}

TEST_CASE("C15 Tags hold when the server has lost what it knew of them") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        for (int i = 0; i != 3; ++i) {
            co_await p.a.invalidate_tag("team");
        }
        const auto told = std::make_shared<listener>();
        p.a.listen(told);
        p.server.command({"FLUSHALL"});
        CHECK(co_await comes_true([&] { return told->losses != 0 && told->all != 0; }));
        co_await p.ready();
        co_await p.a.set(k, tagged(p.a, "old"));
        CHECK(value_of(co_await p.b.get(k)) == "old");
        co_await p.b.invalidate_tag("team");
        CHECK_FALSE(co_await p.a.get(k));
        CHECK_FALSE(co_await p.b.get(k));
        co_await p.a.set(k, tagged(p.a, "new"));
        CHECK(value_of(co_await p.b.get(k)) == "new");
    });
}

TEST_CASE("A clear takes along what the server knows of tags") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        for (int i = 0; i != 10; ++i) {
            co_await p.a.invalidate_tag("tag " + std::to_string(i));
        }
        co_await p.a.set(k, tagged(p.a, "old"));
        co_await p.a.clear();
        co_await p.a.set(k, tagged(p.a, "1"));
        co_await p.b.invalidate_tag("team");
        CHECK(std::stoi(p.server.command({"HLEN", "users:s"})) <= 5);
        CHECK_FALSE(co_await p.a.get(k));
        co_await p.a.set(k, tagged(p.a, "2"));
        CHECK(value_of(co_await p.b.get(k)) == "2");
        co_await p.b.invalidate_tag("other");
        CHECK(value_of(co_await p.a.get(k)) == "2");
        co_await p.b.invalidate_tag("team");
        CHECK_FALSE(co_await p.a.get(k));
    });
}

TEST_CASE("C33 The name of a key that its codec throws at disturbs nobody") {
    redis_server server;
    asio::io_context context;
    redis_process here(context, server.port());
    picky_backend a(here.client(), {.prefix = "users"});
    run(context, [&]() -> asio::awaitable<void> {
        REQUIRE(co_await here.client().ready(20s));
        const auto told = std::make_shared<listener>();
        a.listen(told);
        const std::string slots = "users:v:" + server.command({"HGET", "users:s", "gen"}) + ":";
        server.command({"SET", slots + "bad", "x"});
        server.command({"SET", slots + "good", "x"});
        CHECK(co_await comes_true([&] { return told->keys.count("good") == 1; }));
        CHECK(told->keys.size() == 1);
    });
}

TEST_CASE("A value that its codec throws at leaves no older one, and fails alone") {
    redis_server server;
    asio::io_context context;
    redis_process here(context, server.port());
    picky_backend a(here.client(), {.prefix = "users"});
    run(context, [&]() -> asio::awaitable<void> {
        REQUIRE(co_await here.client().ready(20s));
        co_await a.set(k, fresh("old"));
        std::string failure;
        try {
            co_await a.set(k, fresh("bad"));
        } catch (const std::runtime_error& e) {
            failure = e.what();
        }
        CHECK(failure == "cannot be encoded");
        CHECK_FALSE(co_await a.get(k));

        const std::vector<std::string> keys{"x", "y"};
        std::vector<picky_backend::lease> leases(2);
        CHECK_FALSE((co_await a.get_many(keys, leases))[0]);
        std::vector<std::optional<acache::entry<std::string>>> entries(2);
        entries[0] = fresh("bad");
        entries[1] = fresh("good");
        const auto stored = co_await a.set_many(keys, std::move(entries), leases);
        CHECK(stored == std::vector{false, true});
        CHECK(value_of(co_await a.get("y")) == "good");
    });
}

TEST_CASE("C32 A look that is cancelled leaves no lease behind that others would wait for") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        asio::cancellation_signal leave;
        backend::lease lease;
        std::vector<backend::lease> leases(1);
        const std::vector<std::string> keys(1, "many");
        int over = 0;
        const auto done = [&](std::exception_ptr e) { over += e ? 1 : 100; };
        p.server.pause();
        asio::co_spawn(
            p.context, [&]() -> asio::awaitable<void> { (void)co_await p.a.get(k, lease, lease_mode::wait); },
            asio::bind_cancellation_slot(leave.slot(), done));
        co_await pause_for(20ms);
        leave.emit(asio::cancellation_type::all);
        CHECK(co_await comes_true([&] { return over == 1; }));
        p.server.resume();

        const auto from = std::chrono::steady_clock::now();
        backend::lease next;
        CHECK_FALSE(co_await p.b.get(k, next, lease_mode::wait));
        CHECK(co_await p.b.set(k, fresh("1"), next));
        CHECK(std::chrono::steady_clock::now() - from < 1s);
    });
}

TEST_CASE("C32 A process does not wait for itself when its look is made twice") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        redis_hand hand(p.server.port());
        hand.command({"PING"});
        p.server.pause();
        std::optional<std::string> got;
        backend::lease lease;
        const auto from = std::chrono::steady_clock::now();
        asio::co_spawn(
            p.context,
            [&]() -> asio::awaitable<void> { got = value_of(co_await p.a.get(k, lease, lease_mode::wait)); },
            asio::detached);
        co_await pause_for(20ms);
        // It hears that the cache has been cleared before it knows the answer.
        auto typed = std::async(std::launch::async, [&] { hand.command({"SET", "users:c", "x"}); });
        co_await pause_for(50ms);
        p.server.resume();
        CHECK(co_await comes_true([&] { return got.has_value(); }));
        CHECK(got == "(none)");
        CHECK(std::chrono::steady_clock::now() - from < 1s);
        CHECK(co_await p.a.set(k, fresh("1"), lease));
        typed.get();
    });
}

TEST_CASE("A clear is not missed because the server was slow to tell what begins with it") {
    two_processes p({.timeout = 100ms, .keepalive = 10s, .failures_to_open = 100});
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        co_await p.a.set(k, fresh("old"));
        redis_hand hand(p.server.port());
        hand.command({"MULTI"});
        hand.command({"HSET", "users:s", "gen", "another"});
        hand.command({"CLIENT", "PAUSE", "300", "ALL"});
        hand.command({"EXEC"});
        co_await pause_for(600ms);
        CHECK(p.here.metrics().losses == 0);
        CHECK_FALSE(co_await p.a.get(k));
        CHECK_FALSE(co_await p.b.get(k));
    });
}

TEST_CASE("C29 A removal that the server has refused is tried again though nobody asks for anything") {
    redis_server server;
    asio::io_context context;
    redis_process here(context, server.port());
    backend a(here.client(), {.prefix = "users", .lease = 300ms});
    run(context, [&]() -> asio::awaitable<void> {
        REQUIRE(co_await here.client().ready(20s));
        co_await a.set(k, fresh("old"));
        server.command({"ACL", "SETUSER", "default", "-unlink"});
        CHECK_FALSE(co_await a.erase(k));
        co_await pause_for(50ms);
        CHECK(here.metrics().queued_removals == 1);
        server.command({"ACL", "SETUSER", "default", "+unlink"});
        CHECK(co_await comes_true([&] { return here.metrics().queued_removals == 0; }, 5s));
        CHECK(server.command({"KEYS", "users:v:*"}).empty());
    });
}

TEST_CASE("A backend may go while its operations are under way") {
    redis_server server;
    asio::io_context context;
    redis_process here(context, server.port());
    auto a = std::make_unique<backend>(here.client(), acache::redis_options{.prefix = "users"});
    run(context, [&]() -> asio::awaitable<void> {
        REQUIRE(co_await here.client().ready(20s));
        int over = 0;
        const auto done = [&](std::exception_ptr, auto&&...) { ++over; };
        const std::vector<std::string> keys{"x", "y"};
        server.pause();
        asio::co_spawn(context, a->get("1"), done);
        asio::co_spawn(context, a->get_many(keys), done);
        asio::co_spawn(context, a->set("3", fresh("3")), done);
        asio::co_spawn(context, a->erase("5"), done);
        asio::co_spawn(context, a->clear(), done);
        asio::co_spawn(context, a->invalidate_tag("team"), done);
        co_await pause_for(20ms);
        a.reset();
        server.resume();
        CHECK(co_await comes_true([&] { return over == 6; }));
    });
}
