// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_REDIS_TWO_PROCESSES_HPP
#define ACACHE_TESTS_REDIS_TWO_PROCESSES_HPP

#include "redis_setup.hpp"

#include <acache/entry.hpp>
#include <acache/redis/backend.hpp>

#include <catch2/catch_test_macros.hpp>

#include <optional>
#include <string>

namespace acache_test {

using string_backend = acache::redis_backend<std::string, std::string>;

/// A server, and two processes with the same cache.
struct two_processes {
    explicit two_processes(const acache::redis_client_options& options = quick)
        : here(context, server.port(), options), there(context, server.port(), options) {}

    redis_server server;
    asio::io_context context;
    redis_process here, there;
    string_backend a{here.client(), {.prefix = "users"}}, b{there.client(), {.prefix = "users"}};

    asio::awaitable<void> ready() {
        REQUIRE(co_await here.client().ready(20s));
        REQUIRE(co_await there.client().ready(20s));
    }
    /// What the key's slot is called now.
    std::string slot(const std::string& key) const {
        const std::string names = server.command({"KEYS", "users:v:*:" + key});
        return names.substr(0, names.find('\n'));
    }
    std::string generation() const { return server.command({"HGET", "users:s", "gen"}); }
};

inline const std::string k = "k";

[[nodiscard]] inline std::string value_of(const std::optional<acache::entry<std::string>>& found) {
    return found ? found->value : "(none)";
}

} // namespace acache_test

#endif
