// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Prints how many bytes an entry costs over its key and value, u64 to u64, a million entries, as lines
// `name,bytes an entry`.
//
// Counted is what malloc holds for live blocks, by its own books (mallinfo2): the headers and the rounding of
// each block are in it, pages of mapped blocks too, whether they were touched or not. What the C library
// keeps for later is not; the resident set, which includes that, is printed for comparison.

#include "common/coroutines.hpp"

#include <acache/acache.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#ifdef __GLIBC__
#include <malloc.h>
#include <unistd.h>

namespace {

using benchmarks::awaitable;
namespace asio = boost::asio;

constexpr std::uint64_t entries = 1'000'000;

struct memory {
    double allocated;
    double resident;
};

memory memory_now() {
    const auto info = mallinfo2();
    memory result{static_cast<double>(info.uordblks + info.hblkhd), 0};
    if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
        unsigned long total = 0;
        unsigned long resident = 0;
        if (std::fscanf(file, "%lu %lu", &total, &resident) == 2) {
            result.resident = static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
        }
        std::fclose(file);
    }
    return result;
}

/// The cost an entry of a cache in which `keys` keys were set, the last of which it holds.
bool print(const std::string& name, acache::cache_options options, std::uint64_t keys) {
    malloc_trim(0);
    const memory before = memory_now();
    asio::io_context context(1);
    options.capacity = entries;
    acache::async_cache<std::uint64_t, std::uint64_t> cache{context, options};
    benchmarks::run(context, [&]() -> awaitable<void> {
        for (std::uint64_t key = 0; key != keys; ++key) {
            co_await cache.set(key * 0x9e3779b97f4a7c15, key);
        }
    });
    const memory after = memory_now();
    const auto over_key_and_value = [](double bytes) {
        return bytes / static_cast<double>(entries) - static_cast<double>(2 * sizeof(std::uint64_t));
    };
    std::printf("%s,%.2f\n", name.c_str(), over_key_and_value(after.allocated - before.allocated));
    std::printf("%s.resident,%.2f\n", name.c_str(), over_key_and_value(after.resident - before.resident));
    const auto size = cache.metrics().size;
    if (size != entries) {
        std::fprintf(stderr, "memory_use: %s: %llu entries\n", name.c_str(),
                     static_cast<unsigned long long>(size));
    }
    return size == entries;
}

} // namespace

int main() {
    const acache::cache_options with_ttl{.ttl = std::chrono::hours(1)};
    bool held = print("memory", {}, entries);
    held &= print("memory_with_ttl", with_ttl, entries);
    held &= print("memory_after_churn", with_ttl, 4 * entries); // each entry evicted three times over
    return held ? 0 : 1;
}

#else
int main() {
    std::fprintf(stderr, "memory_use: needs glibc, whose books it reads\n");
    return 1;
}
#endif
