// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_SIMULATION_BACKEND_HPP
#define ACACHE_TESTS_SIMULATION_BACKEND_HPP

#include <acache/entry.hpp>
#include <acache/testing.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <optional>
#include <random>
#include <span>
#include <type_traits>
#include <vector>

namespace simulation {

namespace asio = boost::asio;

using engine = std::mt19937_64;

/// Lets the others run, so many times.
inline asio::awaitable<void> hop(int times) {
    for (; times > 0; --times) {
        co_await asio::post(co_await asio::this_coro::executor, asio::deferred);
    }
}

/// A backend whose operations take a number of steps before they take effect, and a number after, each drawn;
/// and some fail, if they are to.
class slow_backend {
    template <class T>
    using awaitable = asio::awaitable<T>;
    using inner = acache::testing::scripted_backend<int, int>;
    using found = std::optional<acache::entry<int>>;

public:
    using clock_type = inner::clock_type;

    slow_backend(engine& random, bool fails) : random_(&random), fails_(fails) {}

    [[nodiscard]] awaitable<found> get(const int& key) { return take_time(*this, inner_.get(key)); }
    [[nodiscard]] awaitable<std::vector<found>> get_many(std::span<const int> keys) {
        return take_time(*this, inner_.get_many(keys));
    }
    [[nodiscard]] awaitable<void> set(const int& key, acache::entry<int> e) {
        return take_time(*this, inner_.set(key, e));
    }
    [[nodiscard]] awaitable<bool> erase(const int& key) { return take_time(*this, inner_.erase(key)); }
    [[nodiscard]] awaitable<void> clear() { return take_time(*this, inner_.clear()); }

private:
    [[nodiscard]] int steps() const { return static_cast<int>((*random_)() % 6); }

    template <class T>
    static awaitable<T> take_time(slow_backend self, awaitable<T> operation) {
        co_await hop(self.steps());
        if (self.fails_ && (*self.random_)() % 6 == 0) {
            throw boost::system::system_error(asio::error::connection_reset);
        }
        if constexpr (std::is_void_v<T>) {
            co_await std::move(operation);
            co_await hop(self.steps());
        } else {
            auto result = co_await std::move(operation);
            co_await hop(self.steps());
            co_return result;
        }
    }

    inner inner_;
    engine* random_;
    bool fails_;
};

} // namespace simulation

#endif
