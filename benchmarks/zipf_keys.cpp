// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Writes a sequence of requests, Zipf 0.99, to standard output, for programs in other languages: each key in
// four bytes, the least first.

#include "common/zipf.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string_view>

namespace {

bool parse(std::string_view text, std::size_t& number) {
    return std::from_chars(text.data(), text.data() + text.size(), number).ptr == text.data() + text.size();
}

} // namespace

int main(int argc, char** argv) {
    std::size_t distinct = 0;
    std::size_t requests = 0;
    std::size_t seed = 1;
    if (argc < 3 || argc > 4 || !parse(argv[1], distinct) || distinct == 0 || !parse(argv[2], requests) ||
        (argc == 4 && !parse(argv[3], seed))) {
        std::fprintf(stderr, "usage: zipf_keys DISTINCT REQUESTS [SEED]\n");
        return 2;
    }
    const benchmarks::zipf_keys keys(distinct, requests, seed);
    for (const std::uint64_t key : keys.requests()) {
        for (unsigned shift = 0; shift != 32; shift += 8) {
            std::putchar(static_cast<int>(key >> shift & 0xff));
        }
    }
    return std::fflush(stdout) == 0 ? 0 : 1;
}
