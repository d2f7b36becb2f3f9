// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Users in MariaDB or MySQL, read through a cache: whoever wants one asks for that one, and those who ask at
// the same time make one SELECT ... WHERE id IN (...).
//
//     user_directory --mysql HOST:PORT [--redis HOST:PORT]
//
// Logs in as $MYSQL_USER, or root, with $MYSQL_PWD; makes the database acache_example, and some users in it,
// if they are not there. With Redis all who run this program share one cache.
//
// Boost.MySQL and acache::redis are not headers alone: one more source file includes <boost/mysql/src.hpp>
// and <acache/redis/src.hpp>.

#include <acache/acache.hpp>
#include <acache/redis.hpp>
#include <acache/tiered_backend.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancel_after.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/describe/class.hpp>
#include <boost/mysql/connection_pool.hpp>
#include <boost/mysql/error_with_diagnostics.hpp>
#include <boost/mysql/pool_params.hpp>
#include <boost/mysql/results.hpp>
#include <boost/mysql/sequence.hpp>
#include <boost/mysql/static_results.hpp>
#include <boost/mysql/with_diagnostics.hpp>
#include <boost/mysql/with_params.hpp>
#include <boost/redis/config.hpp>
#include <boost/redis/connection.hpp>
#include <boost/redis/logger.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asio = boost::asio;
namespace mysql = boost::mysql;
using namespace std::chrono_literals;

/// A row of the table. By its description Boost.MySQL reads it, and Boost.JSON writes it to Redis.
struct user {
    std::int64_t id;
    std::string name;
    std::int64_t visits;
};
BOOST_DESCRIBE_STRUCT(user, (), (id, name, visits))

using user_id = std::int64_t;

/// The table, and how often it was read. Knows nothing of caches.
class user_table {
public:
    explicit user_table(mysql::connection_pool& pool) : pool_(pool) {}

    /// Those of the users that there are, in one query. At least one id.
    asio::awaitable<std::map<user_id, user>> find(std::vector<user_id> ids) {
        ++selects_;
        mysql::static_results<user> rows;
        auto connection = co_await connect();
        co_await connection->async_execute(
            mysql::with_params("SELECT id, name, visits FROM acache_example.users WHERE id IN ({})", ids),
            rows);
        std::map<user_id, user> found;
        for (const user& each : rows.rows()) {
            found.emplace(each.id, each);
        }
        co_return found;
    }

    asio::awaitable<void> count_visit(user_id id) {
        co_await run(
            mysql::with_params("UPDATE acache_example.users SET visits = visits + 1 WHERE id = {}", id));
    }

    /// Makes the table, with users 1 to `count`, where there is none.
    asio::awaitable<void> create(user_id count) {
        co_await run("CREATE DATABASE IF NOT EXISTS acache_example");
        co_await run("CREATE TABLE IF NOT EXISTS acache_example.users (id BIGINT NOT NULL PRIMARY KEY, "
                     "name VARCHAR(100) NOT NULL, visits BIGINT NOT NULL)");
        std::vector<user> users;
        for (user_id id = 1; id <= count; ++id) {
            users.push_back({id, "user " + std::to_string(id), 0});
        }
        const auto row = [](const user& u, mysql::format_context_base& to) {
            mysql::format_sql_to(to, "({}, {}, {})", u.id, u.name, u.visits);
        };
        co_await run(mysql::with_params("INSERT IGNORE INTO acache_example.users VALUES {}",
                                        mysql::sequence(std::move(users), row)));
    }

    [[nodiscard]] int selects() const { return selects_; }

private:
    template <class Query>
    asio::awaitable<void> run(Query query) {
        mysql::results none;
        auto connection = co_await connect();
        co_await connection->async_execute(std::move(query), none);
    }
    /// The pool itself would wait for ever for a server that is not there.
    asio::awaitable<mysql::pooled_connection> connect() {
        co_return co_await pool_.async_get_connection(
            mysql::with_diagnostics(asio::cancel_after(5s, asio::use_awaitable)));
    }

    mysql::connection_pool& pool_;
    int selects_ = 0;
};

/// What a request's handler does: it wants one user, and knows of no others.
template <class Users>
asio::awaitable<user> handle(Users& users, user_id id) {
    co_return co_await users.load(id);
}

/// Handlers for users 1 to `handlers`, all at once. Prints what they cost.
template <class Users>
asio::awaitable<void> serve(Users& users, const user_table& table, user_id handlers) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    const int before = table.selects();
    std::vector<decltype(asio::co_spawn(executor, handle(users, 1), asio::deferred))> all;
    for (user_id id = 1; id <= handlers; ++id) {
        all.push_back(asio::co_spawn(executor, handle(users, id), asio::deferred));
    }
    const auto [order, errors, answers] =
        co_await asio::experimental::make_parallel_group(std::move(all))
            .async_wait(asio::experimental::wait_for_all(), asio::use_awaitable);
    for (const auto& error : errors) {
        if (error) {
            std::rethrow_exception(error);
        }
    }
    std::cout << answers.size() << " handlers, " << table.selects() - before << " SELECT" << std::endl;
}

template <class Cache>
asio::awaitable<void> show(Cache& cache, user_table& table) {
    // A tick's worth of ids makes one query, of no more than the server likes to parse.
    acache::DataLoader users(cache, [&table](std::vector<user_id> ids) { return table.find(std::move(ids)); },
                             {.max_batch_size = 1000});

    co_await table.create(1000);
    co_await serve(users, table, 100); // one SELECT, or none if Redis has them
    co_await serve(users, table, 100);

    const user before = co_await users.load(7);
    co_await table.count_visit(7);
    co_await cache.invalidate(7); // first the database, then the cache: a load in between is not stored
    const user after = co_await users.load(7);
    std::cout << after.name << " has visited once more: " << before.visits + 1 << ", " << after.visits
              << std::endl;

    try {
        co_await users.load(1'000'000);
    } catch (const boost::system::system_error& error) {
        if (error.code() != acache::errc::not_found) {
            throw;
        }
        std::cout << "nobody has the id 1000000" << std::endl;
    }
}

constexpr acache::cache_options users_options{
    .ttl = 60s, .name = "users", .load_timeout = 10s, .negative_ttl = 5s};

asio::awaitable<void> with_memory(asio::any_io_executor executor, user_table& table) {
    acache::async_cache<user_id, user> cache(executor, users_options);
    co_await show(cache, table);
}

/// Memory over Redis, which all processes share: what one has loaded the others find there, and when one
/// changes it, it is gone from the memory of all. Without Redis the database alone is asked.
asio::awaitable<void> with_redis(asio::any_io_executor executor, user_table& table,
                                 boost::redis::connection& connection) {
    const acache::redis_client client(connection);
    acache::tiered_backend levels(
        acache::memory_backend<user_id, user>({.capacity = 10'000}),
        acache::redis_backend<user_id, user>(client, {.prefix = "acache_example:users"}));
    acache::async_cache<user_id, user, decltype(levels)> cache(executor, std::move(levels), users_options);
    if (!co_await client.ready(2s)) {
        std::cout << "Redis is not there" << std::endl;
    }
    co_await show(cache, table);
    co_await cache.drain();
}

struct address {
    std::string host;
    std::uint16_t port;
};

std::optional<address> parse_address(std::string_view text) {
    const auto colon = text.rfind(':');
    address parsed{std::string(text.substr(0, colon)), 0};
    const char* const end = text.data() + text.size();
    if (colon == text.npos || colon == 0 ||
        std::from_chars(text.data() + colon + 1, end, parsed.port) != std::from_chars_result{end, {}}) {
        return std::nullopt;
    }
    return parsed;
}

std::string environment(const char* name, const char* otherwise) {
    const char* const value = std::getenv(name);
    return value != nullptr ? value : otherwise;
}

int main(int argc, char** argv) try {
    std::optional<address> database, redis;
    bool understood = argc % 2 == 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string_view name = argv[i];
        const auto given = parse_address(argv[i + 1]);
        understood = understood && given && (name == "--mysql" || name == "--redis");
        (name == "--redis" ? redis : database) = given;
    }
    if (!understood || !database) {
        std::cerr << "usage: user_directory --mysql HOST:PORT [--redis HOST:PORT]\n";
        return 2;
    }

    asio::io_context context;
    mysql::pool_params where;
    where.server_address.emplace_host_and_port(database->host, database->port);
    where.username = environment("MYSQL_USER", "root");
    where.password = environment("MYSQL_PWD", "");
    mysql::connection_pool pool(context, std::move(where));
    pool.async_run(asio::detached);
    user_table table(pool);

    // All of it runs on this one thread, and connections outlive what uses them.
    boost::redis::connection connection(context);
    const auto end = [&](std::exception_ptr error) {
        connection.cancel();
        pool.cancel();
        if (error) {
            std::rethrow_exception(error);
        }
    };
    if (redis) {
        boost::redis::config config;
        config.addr = {redis->host, std::to_string(redis->port)};
        connection.async_run(config, boost::redis::logger{boost::redis::logger::level::crit}, asio::detached);
        asio::co_spawn(context, with_redis(context.get_executor(), table, connection), end);
    } else {
        asio::co_spawn(context, with_memory(context.get_executor(), table), end);
    }
    context.run();
} catch (const mysql::error_with_diagnostics& error) {
    std::cerr << "user_directory: " << error.what() << ' ' << error.get_diagnostics().server_message()
              << '\n';
    return 1;
} catch (const std::exception& error) {
    std::cerr << "user_directory: " << error.what() << '\n';
    return 1;
}
