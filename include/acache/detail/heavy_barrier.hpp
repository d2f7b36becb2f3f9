// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_HEAVY_BARRIER_HPP
#define ACACHE_DETAIL_HEAVY_BARRIER_HPP

#include <acache/detail/compiler.hpp>

#if defined(__linux__) && __has_include(<linux/membarrier.h>)
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace acache::detail {

/// A full memory barrier in every thread of the process that is running, made by one of them: the other half
/// of a barrier that costs the others nothing. Linux has it since 4.14.
class heavy_barrier {
public:
    /// False where there is none: then `run` does nothing.
    [[nodiscard]] static bool available() noexcept {
        static const bool registered = !thread_sanitized && enlist();
        return registered;
    }

    static void run() noexcept {
        // A process made by fork may have to enlist again.
        while (available() && !issue()) {
            enlist();
        }
    }

private:
#if defined(__linux__) && __has_include(<linux/membarrier.h>)
    static bool enlist() noexcept {
        return ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
    }
    static bool issue() noexcept {
        return ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
    }
#else
    static bool enlist() noexcept { return false; }
    static bool issue() noexcept { return true; }
#endif
};

} // namespace acache::detail

#endif
