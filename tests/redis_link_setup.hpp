// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_REDIS_LINK_SETUP_HPP
#define ACACHE_TESTS_REDIS_LINK_SETUP_HPP

#include "redis_connection.hpp"
#include "redis_server.hpp"

#include <acache/redis/client.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/redis/connection.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acache_test {

/// What a member was told.
class recording_member : public acache::detail::redis_member {
public:
    explicit recording_member(std::string prefix) : prefix_(std::move(prefix)) {}

    [[nodiscard]] const std::string& prefix() const noexcept override { return prefix_; }
    void push_opening(boost::redis::request& request) override { request.push("GET", prefix_ + "state"); }
    void opened(const acache::detail::redis_reply& reply, std::size_t at) override {
        if (refuse > 0) {
            --refuse;
            throw std::runtime_error("no use");
        }
        state = reply.nodes.at(at).value;
        open = true;
        ++openings;
    }
    void changed(std::string_view key) override { changes.emplace_back(key); }
    void lost() noexcept override {
        open = false;
        ++losses;
    }

    [[nodiscard]] bool has_change(std::string_view key) const {
        return std::ranges::find(changes, key) != changes.end();
    }

    std::vector<std::string> changes;
    std::string state;
    bool open = false;
    int openings = 0;
    int losses = 0;
    int refuse = 0;

private:
    std::string prefix_;
};

/// Where the reply to the i-th command of a request begins.
inline std::size_t of_command(const acache::detail::redis_reply& reply, std::size_t i) {
    std::size_t at = 0;
    for (std::size_t seen = 0; at != reply.nodes.size(); ++at) {
        if (reply.nodes[at].depth == 0 && seen++ == i) {
            break;
        }
    }
    return at;
}

/// g++ 12 cannot make a list of strings inside a coroutine.
template <class... Words>
std::vector<std::string> words(const Words&... each) {
    return {std::string(each)...};
}

/// The link without what keeps its client going.
inline std::shared_ptr<acache::detail::redis_link> bare_link_of(const acache::redis_client& client) {
    return std::static_pointer_cast<acache::detail::redis_link>(
        acache::detail::link_of(client)->shared_from_this());
}

/// A server, and a client of it in a context of one thread.
struct redis_world {
    explicit redis_world(acache::redis_client_options options = quick)
        : client(std::in_place, connection, options) {
        asio::co_spawn(io, keep_running(connection, server.port()), asio::detached);
    }

    template <class Condition>
    bool run_until(Condition condition, std::chrono::milliseconds at_most = 20s) {
        const auto deadline = std::chrono::steady_clock::now() + at_most;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > deadline) {
                return false;
            }
            io.restart();
            io.run_one_for(5ms);
        }
        return true;
    }

    std::shared_ptr<recording_member> add(std::string prefix) {
        auto member = std::make_shared<recording_member>(std::move(prefix));
        acache::detail::link_of(*client)->add(member);
        return member;
    }

    /// Runs a coroutine to its end, on the client's executor.
    template <class T>
    T run(asio::awaitable<T> work) {
        std::exception_ptr failure;
        std::optional<T> result;
        asio::co_spawn(io, std::move(work), [&](std::exception_ptr e, T value) {
            failure = e;
            result = std::move(value);
        });
        if (!run_until([&] { return result.has_value(); })) {
            throw std::runtime_error("a coroutine does not end");
        }
        if (failure) {
            std::rethrow_exception(failure);
        }
        return std::move(*result);
    }

    /// The replies to one command.
    acache::detail::redis_reply command(std::vector<std::string> line) {
        return run(exec(*acache::detail::link_of(*client), std::move(line)));
    }
    /// The error of one command; none where it has none.
    boost::system::error_code error_of(std::vector<std::string> line) {
        try {
            command(std::move(line));
            return {};
        } catch (const boost::system::system_error& e) {
            return e.code();
        }
    }

    static asio::awaitable<acache::detail::redis_reply> exec(acache::detail::redis_link& link,
                                                             std::vector<std::string> line) {
        const auto build = [&line](boost::redis::request& request) {
            if (line.size() == 1) {
                request.push(line.front()); // an empty range would be no command at all
            } else {
                request.push_range(line.front(), line.begin() + 1, line.end());
            }
            return true;
        };
        co_return co_await link.exec(build);
    }

    redis_server server;
    asio::io_context io{1};
    std::shared_ptr<boost::redis::connection> connection = std::make_shared<boost::redis::connection>(io);
    std::optional<acache::redis_client> client;
};

} // namespace acache_test

#endif
