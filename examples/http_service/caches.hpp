// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef HTTP_SERVICE_CACHES_HPP
#define HTTP_SERVICE_CACHES_HPP

#include "data_source.hpp"

#include <acache/acache.hpp>
#include <acache/prometheus.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The data source behind caches, wherever these keep their entries. Thread-safe.
class caches {
public:
    caches() = default;
    caches(const caches&) = delete;
    caches& operator=(const caches&) = delete;
    virtual ~caches() = default;

    virtual asio::awaitable<user> find_user(std::int64_t id) = 0;
    /// To be called when a user has changed in the data source: who asks from now on gets the user as it is
    /// there, and so do all who share these caches.
    virtual asio::awaitable<void> forget_user(std::int64_t id) = 0;
    virtual asio::awaitable<std::string> find_report(std::string_view name) = 0;

    /// Appends to a page for Prometheus.
    virtual void write_metrics(std::string& page) const = 0;
    /// Lets the loads under way finish, and refuses new ones.
    virtual asio::awaitable<void> drain() = 0;
};

/// The same for given backends. The source outlives the work of the pool.
template <class UserBackend, class ReportBackend>
class caches_over : public caches {
public:
    caches_over(asio::any_io_executor pool, data_source& source, UserBackend users, ReportBackend reports)
        : user_cache_(pool, std::move(users), {.ttl = 60s, .name = "users", .load_timeout = 1s}),
          // On a pool there is no tick in which all requests have come: a window gathers them.
          users_(user_cache_,
                 [&source](std::vector<std::int64_t> ids) { return source.find_users(std::move(ids)); },
                 {.max_batch_size = 1000, .batch_window = 5ms}),
          report_cache_(pool, std::move(reports), {.ttl = 10s, .name = "reports", .load_timeout = 1s}),
          report_(report_cache_.cached(
              "report:{}", [&source](std::string_view name) { return source.make_report(name); })) {}

    asio::awaitable<user> find_user(std::int64_t id) override { return users_.load(id); }
    asio::awaitable<void> forget_user(std::int64_t id) override { co_await user_cache_.invalidate(id); }
    asio::awaitable<std::string> find_report(std::string_view name) override { return report_(name); }

    void write_metrics(std::string& page) const override {
        acache::write_prometheus(
            page, std::array{acache::named_metrics{user_cache_.name(), user_cache_.metrics()},
                             acache::named_metrics{report_cache_.name(), report_cache_.metrics()}});
    }

    asio::awaitable<void> drain() override {
        co_await users_.drain();
        co_await user_cache_.drain();
        co_await report_cache_.drain();
    }

private:
    acache::async_cache<std::int64_t, user, UserBackend> user_cache_;
    acache::DataLoader<std::int64_t, user> users_;
    acache::async_cache<std::string, std::string, ReportBackend> report_cache_;
    std::function<asio::awaitable<std::string>(std::string_view)> report_;
};

/// Keep what this process uses most.
inline acache::memory_backend<std::int64_t, user> users_in_memory() {
    return acache::memory_backend<std::int64_t, user>({.capacity = 100'000});
}
inline acache::memory_backend<std::string, std::string> reports_in_memory() {
    return acache::memory_backend<std::string, std::string>({.capacity = 1000});
}

inline std::unique_ptr<caches> make_memory_caches(asio::thread_pool& pool, data_source& source) {
    using made = caches_over<acache::memory_backend<std::int64_t, user>,
                             acache::memory_backend<std::string, std::string>>;
    return std::make_unique<made>(pool.get_executor(), source, users_in_memory(), reports_in_memory());
}

/// Memory over Redis, which all processes with the same address share. Throws `std::runtime_error` where the
/// program was built without acache::redis: it has one of with_redis.cpp and without_redis.cpp.
std::unique_ptr<caches> make_redis_caches(asio::thread_pool& pool, data_source& source, std::string host,
                                          std::string port);

#endif
