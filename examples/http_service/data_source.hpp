// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef HTTP_SERVICE_DATA_SOURCE_HPP
#define HTTP_SERVICE_DATA_SOURCE_HPP

#include <acache/error.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;

struct user {
    std::int64_t id;
    std::string name;
};

/// Where the data lives: a database, another service. Every query takes its time, and is counted.
/// Thread-safe.
class data_source {
public:
    data_source() {
        for (std::int64_t id = 1; id <= 1000; ++id) {
            names_.emplace(id, "user " + std::to_string(id));
        }
    }

    /// An empty element for an id that nobody has.
    asio::awaitable<std::vector<std::optional<user>>> find_users(std::vector<std::int64_t> ids) {
        ++user_queries;
        co_await latency(50ms);
        std::vector<std::optional<user>> found;
        const std::lock_guard lock(mutex_);
        for (const auto id : ids) {
            const auto at = names_.find(id);
            found.push_back(at != names_.end() ? std::optional(user{id, at->second}) : std::nullopt);
        }
        co_return found;
    }

    /// Whether there is such a user.
    asio::awaitable<bool> rename_user(std::int64_t id, std::string name) {
        co_await latency(50ms);
        const std::lock_guard lock(mutex_);
        const auto at = names_.find(id);
        if (at != names_.end()) {
            at->second = std::move(name);
        }
        co_return at != names_.end();
    }

    /// Whether there was such a user.
    asio::awaitable<bool> remove_user(std::int64_t id) {
        co_await latency(50ms);
        const std::lock_guard lock(mutex_);
        co_return names_.erase(id) != 0;
    }

    asio::awaitable<std::string> make_report(std::string_view name) {
        ++report_queries;
        co_await latency(name == "endless" ? 1h : 200ms);
        if (name.empty()) {
            throw boost::system::system_error(acache::errc::not_found);
        }
        if (name == "broken") {
            throw std::runtime_error("the report cannot be made");
        }
        co_return "The report on " + std::string(name) + "\n";
    }

    std::atomic<std::uint64_t> user_queries = 0;
    std::atomic<std::uint64_t> report_queries = 0;

private:
    static asio::awaitable<void> latency(std::chrono::milliseconds time) {
        asio::steady_timer timer(co_await asio::this_coro::executor, time);
        co_await timer.async_wait(asio::use_awaitable);
    }

    std::mutex mutex_;
    std::map<std::int64_t, std::string> names_;
};

#endif
