// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_KEY_BUFFER_HPP
#define ACACHE_KEY_BUFFER_HPP

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

namespace acache {

/// Where a key is written: on the stack, in place, and on the heap when it outgrows `inline_size` characters.
class key_buffer {
public:
    static constexpr std::size_t inline_size = 200;
    using value_type = char; // for std::back_inserter

    key_buffer() noexcept : data_(inline_) {} // leaves inline_ as it is: zeroing would cost more than writing
    key_buffer(const key_buffer&) = delete;
    key_buffer& operator=(const key_buffer&) = delete;

    /// Valid until the next change.
    [[nodiscard]] std::string_view view() const noexcept { return {data_, size_}; }

    void clear() noexcept { size_ = 0; }

    /// Room for `count` more characters; `commit` takes what was written there.
    [[nodiscard]] char* prepare(std::size_t count) {
        if (capacity_ - size_ < count) {
            grow(count);
        }
        return data_ + size_;
    }
    void commit(std::size_t count) noexcept { size_ += count; }

    void append(std::string_view text) {
        std::copy_n(text.data(), text.size(), prepare(text.size()));
        commit(text.size());
    }

    void push_back(char c) {
        *prepare(1) = c;
        commit(1);
    }

private:
    void grow(std::size_t count) {
        const auto capacity = std::max(2 * capacity_, size_ + count);
        std::unique_ptr<char[]> larger(new char[capacity]);
        std::copy_n(data_, size_, larger.get());
        heap_ = std::move(larger);
        data_ = heap_.get();
        capacity_ = capacity;
    }

    char* data_;
    std::size_t size_ = 0;
    std::size_t capacity_ = inline_size;
    std::unique_ptr<char[]> heap_;
    char inline_[inline_size];
};

} // namespace acache

#endif
