// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Prints how often hits allocate, as lines `name,allocations a hit`. A program of its own, since counting
// costs time. Asio allocates coroutine frames with aligned_alloc, which a counter on operator new does not
// see: the C library's functions are counted, which operator new calls too.

#include "common/coroutines.hpp"

#include <acache/acache.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

#ifdef __GLIBC__

namespace {
std::atomic<std::size_t> allocations = 0;
}

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t size) {
    ++allocations;
    return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
    ++allocations;
    return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
    ++allocations;
    return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
    ++allocations;
    return __libc_memalign(alignment, size);
}
int posix_memalign(void** result, std::size_t alignment, std::size_t size) {
    ++allocations;
    *result = __libc_memalign(alignment, size);
    return *result == nullptr ? ENOMEM : 0;
}
}

namespace {

using benchmarks::awaitable;
namespace asio = boost::asio;

constexpr std::uint64_t keys = 1000;

/// Calls `look_up` for all keys to fill the cache, a second time to warm up, and a third time, counted.
template <class LookUp>
double allocations_a_hit(asio::io_context& context, LookUp look_up) {
    std::size_t counted = 0;
    benchmarks::run(context, [&]() -> awaitable<void> {
        for (int round = 0; round != 3; ++round) {
            const std::size_t before = allocations;
            for (std::uint64_t key = 0; key != keys; ++key) {
                co_await look_up(key);
            }
            counted = allocations - before;
        }
    });
    return static_cast<double>(counted) / static_cast<double>(keys);
}

void print(const char* name, double count) {
    std::printf("%s,%.3f\n", name, count);
}

} // namespace

int main() {
    asio::io_context context(1);
    const auto load = [](std::uint64_t key) -> awaitable<std::uint64_t> { co_return key; };

    acache::async_cache<std::uint64_t, std::uint64_t> cache{context, {.capacity = keys}};
    print("awaited_hit.allocations",
          allocations_a_hit(context, [&](std::uint64_t key) { return cache.get_or_load(key, load); }));

    const std::size_t before = allocations;
    std::size_t found = 0;
    for (std::uint64_t key = 0; key != keys; ++key) {
        found += cache.try_get(key) ? 1U : 0U;
    }
    const std::size_t after = allocations;
    print("try_get.allocations", static_cast<double>(after - before) / static_cast<double>(keys));

    acache::async_cache<std::string, std::uint64_t> by_name{context, {.capacity = keys}};
    const auto get = by_name.cached("user:{}", load);
    print("cached_hit.allocations", allocations_a_hit(context, [&](std::uint64_t key) { return get(key); }));

    // What would make all of the above meaningless.
    const std::size_t unseen = allocations;
    void* volatile aligned = std::aligned_alloc(64, 128);
    std::free(aligned);
    void* volatile plain = ::operator new(64);
    ::operator delete(plain);
    const bool all_hits =
        found == keys && cache.metrics().hits == 3 * keys && by_name.metrics().hits == 2 * keys;
    if (allocations != unseen + 2 || !all_hits) {
        std::fprintf(stderr, "hit_allocations: not every allocation is seen, or not every call was a hit\n");
        return 1;
    }
}

#else
int main() {
    std::fprintf(stderr, "hit_allocations: needs glibc, whose allocations it counts\n");
    return 1;
}
#endif
