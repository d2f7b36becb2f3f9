// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "tsan_suppressions.hpp"

#include <acache/detail/serializer.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <thread>
#include <vector>

namespace {

namespace asio = boost::asio;

TEST_CASE("A serializer on four threads runs one function at a time, and each thread's in their order") {
    constexpr int threads = 4;
    constexpr int functions = 5000;
    asio::thread_pool pool(threads);
    const boost::intrusive_ptr<acache::detail::serializer> s(
        new acache::detail::serializer(pool.get_executor()));
    // Neither is atomic: the serializer guards them.
    std::vector<int> last(threads, -1);
    int ran = 0;
    bool in_order = true;
    for (int t = 0; t != threads; ++t) {
        asio::post(pool, [&, t] {
            for (int i = 0; i != functions; ++i) {
                const auto function = [&, t, i] {
                    in_order = in_order && last[static_cast<std::size_t>(t)] == i - 1;
                    last[static_cast<std::size_t>(t)] = i;
                    ++ran;
                };
                if (i % 3 == 0) {
                    s->post(function);
                } else if (i % 3 == 1) {
                    s->dispatch(function);
                } else {
                    s->dispatch_here(function);
                }
            }
        });
    }
    pool.join();
    CHECK(ran == threads * functions);
    CHECK(in_order);
}

} // namespace
