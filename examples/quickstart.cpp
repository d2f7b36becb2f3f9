// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// The two things that acache is for: a coroutine function whose results are cached, and a loader that
// gathers single look-ups into one batch call.

#include <acache/acache.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using stopwatch = std::chrono::steady_clock;

asio::awaitable<void> wait_for(std::chrono::milliseconds time) {
    asio::steady_timer timer(co_await asio::this_coro::executor, time);
    co_await timer.async_wait(asio::use_awaitable);
}

long long ms_since(stopwatch::time_point start) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(stopwatch::now() - start).count();
}

// Takes a second, as a big query does. The result does not depend on who asked for it.
asio::awaitable<std::string> make_report(std::int64_t customer, std::string_view asked_by) {
    std::cout << "  ... making the report on customer " << customer << " for " << asked_by << std::endl;
    co_await wait_for(1s);
    co_return "report on customer " + std::to_string(customer);
}

asio::awaitable<void> ask_for_reports() {
    acache::async_cache<std::string, std::string> cache{co_await asio::this_coro::executor, {.ttl = 60s}};

    // "{}" would put every argument into the key; a numbered field leaves the others out on purpose.
    auto get_report = cache.cached("report:{0}", make_report);

    const auto ask = [&](std::int64_t customer, std::string_view asked_by) -> asio::awaitable<void> {
        const auto start = stopwatch::now();
        const std::string report = co_await get_report(customer, asked_by);
        std::cout << asked_by << " got the " << report << " after " << ms_since(start) << " ms" << std::endl;
    };
    co_await ask(42, "Ada");
    co_await ask(42, "Ben");
    co_await ask(43, "Ada");
}

struct user {
    std::int64_t id;
    std::string name;
};

// One query for many users: SELECT ... WHERE id IN (...).
asio::awaitable<std::vector<user>> find_users(std::span<const std::int64_t> ids) {
    std::cout << "  ... one batch call for users";
    std::vector<user> found;
    for (const auto id : ids) {
        std::cout << ' ' << id;
        found.push_back({id, "user " + std::to_string(id)});
    }
    std::cout << std::endl;
    co_await wait_for(100ms);
    co_return found;
}

asio::awaitable<void> greet(acache::DataLoader<std::int64_t, user>& users, std::int64_t id) {
    const auto start = stopwatch::now();
    const user found = co_await users.load(id);
    std::cout << "hello, " << found.name << ", after " << ms_since(start) << " ms" << std::endl;
}

int main() {
    asio::io_context context;
    const auto rethrow = [](std::exception_ptr error) {
        if (error) {
            std::rethrow_exception(error);
        }
    };

    asio::co_spawn(context, ask_for_reports(), rethrow);
    context.run();
    context.restart();

    acache::DataLoader<std::int64_t, user> users{context, find_users};
    for (const std::int64_t id : {1, 2, 1, 3}) {
        asio::co_spawn(context, greet(users, id), rethrow);
    }
    context.run();
}
