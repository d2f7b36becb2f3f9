// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// What reads cost that the second level answers, a Redis of its own on loopback, beside the same commands
// sent by Boost.Redis alone. Nanoseconds by the clock on the wall, since waiting for the server is most of
// it, and as `.cpu` of this thread. All figures take turns, a few milliseconds each, so that what disturbs
// one disturbs the others; they are medians of the turns.
//
//   redis_benchmark [--rounds N] [--only FIGURE]   200 turns; the figures whose names begin so

#include "common/coroutines.hpp"
#include "common/measure.hpp"
#include "common/median.hpp"
#include "common/redis_server.hpp"

#include <acache/acache.hpp>
#include <acache/redis.hpp>

#include <benchmark/benchmark.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/redis/connection.hpp>
#include <boost/redis/request.hpp>
#include <boost/redis/response.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using benchmarks::awaitable;
namespace asio = boost::asio;
namespace redis = boost::redis;
using namespace std::chrono_literals;

using near_level = acache::memory_backend<std::string, std::string>;
using far_level = acache::redis_backend<std::string, std::string>;
using tier = acache::tiered_backend<near_level, far_level>;
using cache_type = acache::async_cache<std::string, std::string, tier>;

constexpr std::size_t many = 100;
constexpr std::size_t callers = 256;

std::vector<std::string> make_keys(std::size_t value_size) {
    const std::size_t count = value_size > 1000 ? 1024 : 4096;
    std::vector<std::string> keys;
    for (std::size_t i = 0; i != count; ++i) {
        keys.push_back("user:" + std::to_string(value_size) + ":" + std::to_string(100'000 + i));
    }
    return keys;
}

[[nodiscard]] std::shared_ptr<redis::connection> connect(asio::io_context& context, std::uint16_t port) {
    redis::config config;
    config.addr.port = std::to_string(port);
    config.reconnect_wait_interval = 20ms;
    auto connection = std::make_shared<redis::connection>(context);
    asio::co_spawn(
        context,
        [connection, config]() -> awaitable<void> {
            asio::steady_timer pause(co_await asio::this_coro::executor);
            while (connection->will_reconnect()) { // the server may not be up yet
                co_await connection->async_run(config, {redis::logger::level::disabled},
                                               asio::as_tuple(asio::use_awaitable));
                pause.expires_after(20ms);
                co_await pause.async_wait(asio::use_awaitable);
            }
        },
        asio::detached);
    return connection;
}

// ---- Boost.Redis alone
// ---------------------------------------------------------------------------------------------

awaitable<std::string> bare_get(redis::connection& connection, std::string_view key) {
    redis::request request;
    request.push("GET", key);
    redis::response<std::string> response;
    co_await connection.async_exec(request, response, asio::use_awaitable);
    co_return std::move(std::get<0>(response).value());
}

awaitable<std::vector<std::string>> bare_get_many(redis::connection& connection,
                                                  std::span<const std::string> keys) {
    redis::request request;
    request.push_range("MGET", keys.begin(), keys.end());
    redis::response<std::vector<std::string>> response;
    co_await connection.async_exec(request, response, asio::use_awaitable);
    co_return std::move(std::get<0>(response).value());
}

awaitable<void> bare_set(redis::connection& connection, std::string_view key, std::string_view value) {
    redis::request request;
    request.push("SET", key, value, "PX", 3'600'000);
    co_await connection.async_exec(request, redis::ignore, asio::use_awaitable);
}

/// What there is, or else a marker from now on.
awaitable<std::optional<std::string>> bare_look(redis::connection& connection, std::string_view key) {
    redis::request request;
    request.push("SET", key, "marker", "NX", "GET", "PX", 3000);
    redis::response<std::optional<std::string>> response;
    co_await connection.async_exec(request, response, asio::use_awaitable);
    co_return std::move(std::get<0>(response).value());
}

/// What a miss has to ask and to tell.
awaitable<std::string> bare_miss(redis::connection& connection, std::string_view key,
                                 std::string_view value) {
    (void)co_await bare_look(connection, key);
    std::string made(value);
    co_await bare_set(connection, key, made);
    co_return made;
}

// ---- Turns
// -------------------------------------------------------------------------------------------------------------

/// Awaits `work(i)` of many callers at once, each for its share of the items.
template <class Work>
awaitable<void> at_once(std::size_t items, const Work& work) {
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer over(executor, asio::steady_timer::time_point::max());
    std::size_t left = callers;
    for (std::size_t c = 0; c != callers; ++c) {
        asio::co_spawn(
            executor,
            [&, c]() -> awaitable<void> {
                for (std::size_t i = c; i < items; i += callers) {
                    co_await work(i);
                }
            },
            [&](std::exception_ptr error) {
                if (error) {
                    std::rethrow_exception(error);
                }
                if (--left == 0) {
                    over.cancel();
                }
            });
    }
    co_await over.async_wait(asio::as_tuple(asio::use_awaitable));
}

struct measured {
    std::string name;
    std::size_t items; // in a turn
    std::function<awaitable<void>()> turn;
    std::vector<double> wall{};
    std::vector<double> cpu{};
};

class turns {
public:
    explicit turns(std::string only) : only_(std::move(only)) {}

    /// `work(i)` is awaited for each i of a turn, one after the other.
    template <class Work>
    void add(const std::string& name, std::size_t items, Work work) {
        add_turn(name, items, [items, work]() -> awaitable<void> {
            for (std::size_t i = 0; i != items; ++i) {
                co_await work(i);
            }
        });
    }
    template <class Work>
    void add_at_once(const std::string& name, std::size_t items, Work work) {
        add_turn(name, items, [items, work] { return at_once(items, work); });
    }

    [[nodiscard]] std::size_t count() const noexcept { return all_.size(); }

    awaitable<void> take(std::size_t rounds) {
        for (std::size_t round = 0; round != rounds + 2; ++round) {
            for (measured& m : all_) {
                const double cpu = benchmarks::thread_time();
                const double start = benchmarks::wall_time();
                co_await m.turn();
                if (round >= 2) { // or else it was to get warm
                    const auto items = static_cast<double>(m.items);
                    m.wall.push_back((benchmarks::wall_time() - start) / items);
                    m.cpu.push_back((benchmarks::thread_time() - cpu) / items);
                }
            }
        }
    }
    void print() const {
        for (const measured& m : all_) {
            std::printf("%s,%.1f\n%s.cpu,%.1f\n", m.name.c_str(), benchmarks::median(m.wall), m.name.c_str(),
                        benchmarks::median(m.cpu));
        }
    }

private:
    void add_turn(const std::string& name, std::size_t items, std::function<awaitable<void>()> turn) {
        if (name.starts_with(only_)) {
            all_.push_back({name, items, std::move(turn)});
        }
    }

    std::string only_;
    std::vector<measured> all_;
};

// ---- The figures
// -------------------------------------------------------------------------------------------------------

/// Values of one size, and a cache whose level 1 keeps a 64th of them: full, and hardly ever what is asked
/// for next.
class values {
public:
    values(asio::io_context& context, redis::connection& bare, const acache::redis_client& client,
           std::size_t size)
        : bare_(bare), size_(size), value_(size, 'x'), keys_(make_keys(size)), prefix_(std::to_string(size)),
          direct_(client, {.prefix = "direct" + prefix_}),
          cache_(context, tier(near_level({.capacity = keys_.size() / 64}),
                               far_level(client, {.prefix = "tier" + prefix_}))),
          near_(context, tier(near_level({.capacity = 2 * keys_.size()}),
                              far_level(client, {.prefix = "near" + prefix_}))) {}

    awaitable<void> fill() {
        co_await at_once(keys_.size(), [this](std::size_t i) -> awaitable<void> {
            const auto now = acache::coarse_clock::now();
            co_await bare_set(bare_, keys_[i], value_);
            co_await direct_.set(keys_[i], acache::entry<std::string>(value_, now, now + 1h));
            co_await cache_.set(keys_[i], value_);
            co_await near_.set(keys_[i], value_);
        });
    }

    /// Whether any of it is wanted.
    [[nodiscard]] bool add_to(turns& to) {
        const std::size_t before = to.count();
        const std::string size = "/" + std::to_string(size_);
        constexpr std::size_t singles = 100;
        to.add("redis_floor_get" + size, singles,
               [this](std::size_t) -> awaitable<void> { check(co_await bare_get(bare_, next())); });
        to.add("redis_floor_look" + size, singles, [this](std::size_t) -> awaitable<void> {
            check((co_await bare_look(bare_, next())).value());
        });
        to.add("redis_backend_get" + size, singles, [this](std::size_t) -> awaitable<void> {
            check((co_await direct_.get(next())).value().value);
        });
        to.add("redis_cache_get" + size, singles,
               [this](std::size_t) -> awaitable<void> { check((co_await cache_.get(next())).value()); });
        to.add("redis_get_or_load" + size, singles, [this](std::size_t) -> awaitable<void> {
            check(co_await cache_.get_or_load(next(), no_load));
        });

        const std::size_t batches = size_ > 1000 ? 4 : 20;
        to.add("redis_floor_mget" + size, batches, [this](std::size_t) -> awaitable<void> {
            check_many((co_await bare_get_many(bare_, next_many())).size());
        });
        to.add("redis_backend_get_many" + size, batches, [this](std::size_t) -> awaitable<void> {
            check_many((co_await direct_.get_many(next_many())).size());
        });
        to.add("redis_cache_get_many" + size, batches, [this](std::size_t) -> awaitable<void> {
            check_many((co_await cache_.get_many(next_many())).size());
        });

        const std::size_t together = size_ > 1000 ? 1024 : 2048;
        to.add_at_once("redis_floor_callers" + size, together, [this](std::size_t i) -> awaitable<void> {
            check(co_await bare_get(bare_, keys_[i % keys_.size()]));
        });
        to.add_at_once("redis_backend_callers" + size, together, [this](std::size_t i) -> awaitable<void> {
            check((co_await direct_.get(keys_[i % keys_.size()])).value().value);
        });
        to.add_at_once("redis_cache_callers" + size, together, [this](std::size_t i) -> awaitable<void> {
            check((co_await cache_.get(keys_[i % keys_.size()])).value());
        });
        to.add_at_once("redis_load_callers" + size, together, [this](std::size_t i) -> awaitable<void> {
            check(co_await cache_.get_or_load(keys_[i % keys_.size()], no_load));
        });

        to.add("redis_near_hit" + size, 20'000, [this](std::size_t i) -> awaitable<void> {
            check((co_await near_.get(keys_[i % keys_.size()])).value());
        });
        to.add("redis_floor_miss" + size, 50, [this](std::size_t) -> awaitable<void> {
            check(co_await bare_miss(bare_, fresh_key("bare:"), value_));
        });
        to.add("redis_miss" + size, 50, [this](std::size_t) -> awaitable<void> {
            check(co_await cache_.get_or_load(
                fresh_key(""), [this](const std::string&) -> awaitable<std::string> { co_return value_; }));
        });
        return to.count() != before;
    }

private:
    static awaitable<std::string> no_load(const std::string& key) {
        throw std::runtime_error("not found: " + key);
        co_return key;
    }
    static void expect(bool condition) {
        if (!condition) {
            throw std::runtime_error("level 2 has not answered as it should");
        }
    }
    void check(const std::string& value) const {
        expect(value.size() == size_);
        benchmark::DoNotOptimize(value.data());
    }
    static void check_many(std::size_t found) { expect(found == many); }

    [[nodiscard]] const std::string& next() { return keys_[at_++ % keys_.size()]; }
    [[nodiscard]] std::span<const std::string> next_many() {
        const std::size_t first = many * (at_++ % (keys_.size() / many));
        return std::span<const std::string>(keys_).subspan(first, many);
    }
    [[nodiscard]] std::string fresh_key(const char* prefix) {
        return prefix + std::string("fresh:") + std::to_string(size_) + ":" + std::to_string(at_++);
    }

    redis::connection& bare_;
    const std::size_t size_;
    const std::string value_;
    const std::vector<std::string> keys_;
    const std::string prefix_;
    far_level direct_;
    cache_type cache_;
    cache_type near_;
    std::size_t at_ = 0;
};

void measure_all(std::size_t rounds, const std::string& only) {
    const benchmarks::redis_server server;
    asio::io_context context(1);
    const auto bare = connect(context, server.port());
    const auto shared = connect(context, server.port());
    const acache::redis_client client(shared);
    turns all(only);
    std::exception_ptr failure;
    asio::co_spawn(
        context,
        [&]() -> awaitable<void> {
            if (!co_await client.ready(10s)) {
                throw std::runtime_error(
                    "no server: install redis-server, or name it in ACACHE_REDIS_SERVER");
            }
            values small(context, *bare, client, 100);
            values large(context, *bare, client, 10'240);
            if (!co_await client.ready(10s)) {
                throw std::runtime_error("the caches do not open");
            }
            for (values* const v : {&small, &large}) {
                if (v->add_to(all)) {
                    co_await v->fill();
                }
            }
            co_await all.take(rounds);
            all.print();
        },
        [&](std::exception_ptr error) {
            failure = error;
            bare->cancel();
            shared->cancel();
            context.stop();
        });
    context.run();
    if (failure) {
        std::rethrow_exception(failure);
    }
}

} // namespace

int main(int argc, char** argv) try {
    benchmarks::calm_malloc();
    std::size_t rounds = 200;
    std::string only;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::string_view(argv[i]) == "--rounds") {
            rounds = std::strtoul(argv[i + 1], nullptr, 10);
        } else if (std::string_view(argv[i]) == "--only") {
            only = argv[i + 1];
        }
    }
    measure_all(rounds, only);
} catch (const std::exception& error) {
    std::fprintf(stderr, "redis_benchmark: %s\n", error.what());
    return 1;
}
