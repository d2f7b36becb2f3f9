// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_KEPT_TEXT_HPP
#define ACACHE_DETAIL_KEPT_TEXT_HPP

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

namespace acache::detail {

/// A copy of a string-like key that needs no allocation up to a usual length. Not Boost's small_vector, which
/// does the same, since that takes longer to compile than most of this library.
template <class Char>
class kept_text {
public:
    explicit kept_text(std::basic_string_view<Char> text) : size_(text.size()) {
        if (in_place()) {
            std::copy_n(text.data(), size_, inline_);
        } else {
            heap_.reset(new Char[size_]);
            std::copy_n(text.data(), size_, heap_.get());
        }
    }
    kept_text(kept_text&& other) noexcept : size_(other.size_), heap_(std::move(other.heap_)) {
        if (in_place()) {
            std::copy_n(other.inline_, size_, inline_);
        }
        other.size_ = 0;
    }
    kept_text& operator=(kept_text&&) = delete;
    ~kept_text() = default;

    [[nodiscard]] std::basic_string_view<Char> view() const noexcept {
        return {in_place() ? inline_ : heap_.get(), size_};
    }

private:
    static constexpr std::size_t inline_size = 96 / sizeof(Char);

    [[nodiscard]] bool in_place() const noexcept { return size_ <= inline_size; }

    std::size_t size_;
    std::unique_ptr<Char[]> heap_; // null where the text is in place
    Char inline_[inline_size];
};

} // namespace acache::detail

#endif
