// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CLEAR_COUNT_HPP
#define ACACHE_DETAIL_CLEAR_COUNT_HPP

#include <atomic>
#include <cstdint>

namespace acache::detail {

/// Counts the clears of a store whose operations take time, for who reads an entry and is to write it back:
/// what was cleared in between must not return. Thread-safe.
class clear_count {
public:
    using mark = std::uint64_t;

    /// A clear, from before it looks for writes to wait for until it has taken effect or failed.
    class scope {
    public:
        explicit scope(clear_count& count) noexcept : count_(count) { ++count_.begun_; }
        scope(const scope&) = delete;
        scope& operator=(const scope&) = delete;
        ~scope() { ++count_.over_; }

    private:
        clear_count& count_;
    };

    /// To be taken before the entry is read.
    [[nodiscard]] mark now() const noexcept { return over_; }
    /// Whether no clear can have come since, and none is under way. One that begins later waits for who has
    /// the turn of its key.
    [[nodiscard]] bool none_since(mark m) const noexcept { return begun_ == m; }

private:
    std::atomic<mark> begun_ = 0;
    std::atomic<mark> over_ = 0;
};

} // namespace acache::detail

#endif
