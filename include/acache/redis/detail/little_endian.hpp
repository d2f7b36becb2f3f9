// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_LITTLE_ENDIAN_HPP
#define ACACHE_REDIS_DETAIL_LITTLE_ENDIAN_HPP

#include <boost/endian/conversion.hpp>

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

namespace acache::detail {

/// Numbers with one form on the wire: whole ones of up to 64 bits, and the two formats of IEEE 754.
template <class T>
concept wire_number = std::is_arithmetic_v<T> && !std::is_same_v<T, bool> && sizeof(T) <= 8 &&
                      (std::is_integral_v<T> || std::numeric_limits<T>::is_iec559);

/// There is room for a T at `to`.
template <wire_number T>
void store_little_endian(char* to, T number) noexcept {
    boost::endian::endian_store<T, sizeof(T), boost::endian::order::little>(
        reinterpret_cast<unsigned char*>(to), number);
}

template <wire_number T>
void append_little_endian(std::string& to, T number) {
    char bytes[sizeof(T)];
    store_little_endian(bytes, number);
    to.append(bytes, sizeof(T));
}

/// `from` has at least the bytes of a T.
template <wire_number T>
[[nodiscard]] T load_little_endian(std::string_view from) noexcept {
    return boost::endian::endian_load<T, sizeof(T), boost::endian::order::little>(
        reinterpret_cast<const unsigned char*>(from.data()));
}

/// Reads from the front of `bytes`, and never beyond their end: what is missing is zero or empty, and makes
/// `failed` true for good.
class byte_reader {
public:
    explicit byte_reader(std::string_view bytes) noexcept : rest_(bytes) {}

    [[nodiscard]] std::string_view take(std::size_t count) noexcept {
        if (count > rest_.size()) {
            failed_ = true;
            rest_ = {};
            return {};
        }
        const std::string_view taken = rest_.substr(0, count);
        rest_.remove_prefix(count);
        return taken;
    }
    template <wire_number T>
    [[nodiscard]] T number() noexcept {
        const std::string_view bytes = take(sizeof(T));
        return bytes.empty() ? T{} : load_little_endian<T>(bytes);
    }

    [[nodiscard]] std::size_t left() const noexcept { return rest_.size(); }
    [[nodiscard]] bool failed() const noexcept { return failed_; }

private:
    std::string_view rest_;
    bool failed_ = false;
};

} // namespace acache::detail

#endif
