// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_KEY_FORMAT_HPP
#define ACACHE_KEY_FORMAT_HPP

#include <acache/detail/format_library.hpp>
#include <acache/detail/key_format_parser.hpp>
#include <acache/key_buffer.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace acache {
namespace detail {

template <class T>
inline constexpr bool is_std_string = false;
template <class Alloc>
inline constexpr bool is_std_string<std::basic_string<char, std::char_traits<char>, Alloc>> = true;
template <>
inline constexpr bool is_std_string<std::string_view> = true;

template <class T>
concept key_integer = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>;

/// Types that a plain "{}" writes without the format library, and as it would.
template <class T>
concept fast_key_argument = key_integer<T> || std::same_as<T, char> || is_std_string<T>;

template <class T>
void append_fast(key_buffer& out, const T& value) {
    if constexpr (key_integer<T>) {
        constexpr std::size_t most_digits = std::numeric_limits<T>::digits10 + 2; // one more, and a sign
        char* const begin = out.prepare(most_digits);
        out.commit(static_cast<std::size_t>(std::to_chars(begin, begin + most_digits, value).ptr - begin));
    } else if constexpr (std::same_as<T, char>) {
        out.push_back(value);
    } else if constexpr (is_std_string<T>) {
        out.append(value);
    }
}

} // namespace detail

/// The format of a key made of values of types `Args`, checked when it is compiled, as `std::format_string`
/// is. Use it as a parameter by the name `key_format`:
///
///     template <class... Args>
///     void f(acache::key_format<Args...> format, const Args&... args);
///     f("user:{}", 42);
///
/// Formats are those of `std::format` ({fmt}'s, where the standard library has none). A format does not
/// compile if its fields do not suit the arguments, if unnumbered fields leave an argument out, if there
/// are arguments and no field, if two fields have nothing between them, or if the key would depend on the
/// locale. Keys of different arguments are different as long as no argument's text holds what
/// separates it from the next: keys made of several free strings want a typed key instead.
template <class... Args>
class basic_key_format {
    using parser = detail::key_format_parser<sizeof...(Args)>;

public:
    /// `text` must live as long as the format, as a literal does.
    template <std::convertible_to<std::string_view> Text>
    consteval basic_key_format(const Text& text) : text_(text) {
        // Here and not in the class, which is also named where overloads are weighed and no format is given.
        static_assert((detail::formattable<Args> && ...),
                      "acache::key_format: an argument has a type that cannot be formatted; give the type a "
                      "formatter, or make the key with a function");
        const parser parsed{text_,
                            {detail::key_argument{detail::fast_key_argument<std::remove_cvref_t<Args>>,
                                                  std::is_arithmetic_v<std::remove_cvref_t<Args>>}...}};
        pieces_ = parsed.pieces;
        piece_count_ = parsed.piece_count;
        fast_ = parsed.fast;
        (void)detail::format_library::format_string<const Args&...>{text};
    }

    [[nodiscard]] constexpr std::string_view text() const noexcept { return text_; }

    /// Writes the key into `out` in place of what it holds. Allocates nothing for integers, strings and
    /// characters in plain fields, unless the key is longer than the buffer. Throws what a formatter
    /// of the user's throws, and `std::bad_alloc`.
    std::string_view write(key_buffer& out, const Args&... args) const {
        out.clear();
        if (fast_) {
            write_fast(std::index_sequence_for<Args...>{}, out, args...);
        } else {
            detail::format_library::vformat_to(std::back_inserter(out), text_,
                                               detail::format_library::make_format_args(args...));
        }
        return out.view();
    }

private:
    template <std::size_t... I>
    void write_fast(std::index_sequence<I...>, key_buffer& out, const Args&... args) const {
        for (std::size_t n = 0; n != piece_count_; ++n) {
            const auto& piece = pieces_[n];
            std::copy_n(piece.text.begin(), piece.text.size(), out.prepare(piece.text.size()));
            out.commit(piece.size);
            (void)((piece.argument == I && (detail::append_fast(out, args), true)) || ...);
        }
    }

    std::string_view text_;
    std::array<detail::key_piece, parser::most_pieces> pieces_;
    std::size_t piece_count_;
    bool fast_;
};

template <class... Args>
using key_format = basic_key_format<std::type_identity_t<Args>...>;

} // namespace acache

#endif
