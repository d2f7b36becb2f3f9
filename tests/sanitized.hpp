// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_SANITIZED_HPP
#define ACACHE_TESTS_SANITIZED_HPP

// Defines SANITIZED where a sanitizer has put an allocator of its own in place of the C library's.

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

/// How often a random test goes on under a sanitizer, which takes ten times as long for it, in place of
/// `times`.
constexpr int unless_sanitized(int times) {
#ifdef SANITIZED
    return times / 8;
#else
    return times;
#endif
}

#endif
