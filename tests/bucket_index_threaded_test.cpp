// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/index_bucket.hpp>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cstdint>
#include <thread>

namespace {

using acache::detail::index_bucket;

TEST_CASE("who finds a tag finds its id, or a later one of that place") {
    const auto tag_of = [](std::uint32_t id) { return static_cast<std::uint8_t>(id % 200 + 1); };
    constexpr std::uint32_t last = 1'000'000;
    index_bucket bucket;
    std::atomic<std::uint32_t> published{0};
    std::atomic<int> faults{0};
    std::atomic<bool> reads{false};
    std::jthread reader([&] {
        reads = true;
        reads.notify_one();
        for (std::uint32_t next = 0; next < last;) {
            next = published.load(std::memory_order_acquire) + 1;
            if (bucket.matching(tag_of(next)) == 1 && bucket.id_at(0) < next) {
                ++faults;
            }
        }
    });
    reads.wait(false);
    for (std::uint32_t id = 1; id != last; ++id) {
        bucket.put(tag_of(id), id);
        published.store(id, std::memory_order_release);
        bucket.clear(0);
    }
    reader.join();
    CHECK(faults == 0);
}

} // namespace
