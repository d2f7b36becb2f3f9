// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_KEY_FORMAT_PARSER_HPP
#define ACACHE_DETAIL_KEY_FORMAT_PARSER_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <string_view>

/// Errors in a key format. None of these functions is constexpr nor defined: the compiler names the one that
/// the check of a format wanted to call, and shows the line.
namespace acache::key_format_error {

void a_key_that_ignores_an_argument_returns_wrong_data(const char* what_to_do);
void the_format_has_no_field_but_the_function_has_arguments(const char* what_to_do);
void two_fields_with_nothing_between_make_ambiguous_keys(const char* what_to_do);
void a_field_has_no_argument(const char* what_to_do);
void a_width_or_precision_is_taken_from_an_argument(const char* what_to_do);
void the_option_L_makes_a_key_depend_on_the_locale(const char* what_to_do);
void numbered_and_unnumbered_fields_are_mixed(const char* what_to_do);
void a_brace_stands_alone(const char* what_to_do);

} // namespace acache::key_format_error

namespace acache::detail {

/// What the parser has to know of an argument's type.
struct key_argument {
    bool fast;       ///< written without the format library where its field has no spec
    bool arithmetic; ///< its spec may ask for the locale
};

/// A stretch of the format's text, then the value of an argument. The text is held in place and padded, so
/// that it is copied in one move of known length.
struct key_piece {
    static constexpr std::size_t most_text = 16;
    static constexpr std::size_t no_argument = std::numeric_limits<std::size_t>::max();

    std::array<char, most_text> text{};
    std::size_t size = 0;
    std::size_t argument = no_argument;
};

/// Takes a format apart at compile time. Knows the rules of keys and the outline of the format syntax;
/// whether a spec suits its argument is for the format library to check.
template <std::size_t Arguments>
class key_format_parser {
public:
    static constexpr std::size_t most_pieces = 2 * Arguments + 4;

    consteval key_format_parser(std::string_view text, std::array<key_argument, Arguments> arguments)
        : rest_(text), arguments_(arguments) {
        while (!rest_.empty()) {
            const auto brace = rest_.find_first_of("{}");
            if (brace == rest_.npos) {
                add(take(rest_.size()));
            } else if (brace + 1 < rest_.size() && rest_[brace + 1] == rest_[brace]) {
                add(take(brace + 1));
                take(1);
            } else {
                parse_field(take(brace));
            }
        }
        check_fields();
    }

    std::array<key_piece, most_pieces> pieces{};
    std::size_t piece_count = 0;
    /// Whether the pieces are all that is needed to write a key.
    bool fast = true;

private:
    constexpr std::string_view take(std::size_t count) {
        const auto taken = rest_.substr(0, count);
        rest_.remove_prefix(count);
        return taken;
    }

    constexpr void add(std::string_view literal, std::size_t argument = key_piece::no_argument) {
        while (literal.size() > key_piece::most_text) {
            add(literal.substr(0, key_piece::most_text));
            literal.remove_prefix(key_piece::most_text);
        }
        after_field_ = argument != key_piece::no_argument;
        if (piece_count == most_pieces) {
            fast = false;
            return;
        }
        auto& piece = pieces[piece_count++];
        std::copy(literal.begin(), literal.end(), piece.text.begin());
        piece.size = literal.size();
        piece.argument = argument;
    }

    constexpr void parse_field(std::string_view literal) {
        const auto end = rest_.find('}');
        if (rest_[0] == '}' || end == rest_.npos) {
            key_format_error::a_brace_stands_alone("write {{ or }} for a brace in the key");
        }
        if (literal.empty() && after_field_) {
            key_format_error::two_fields_with_nothing_between_make_ambiguous_keys("put a ':' between them");
        }
        auto field = take(end + 1).substr(1, end - 1);
        const auto argument = parse_number(field);
        if (argument >= Arguments) {
            key_format_error::a_field_has_no_argument("remove it, or give the function another argument");
        }
        check_spec(field, arguments_[argument]);
        fast = fast && field.empty() && arguments_[argument].fast;
        add(literal, argument);
    }

    /// Takes the argument's number off the field; without one, it is the field's own.
    constexpr std::size_t parse_number(std::string_view& field) {
        std::size_t number = 0;
        std::size_t digits = 0;
        for (; digits != field.size() && field[digits] >= '0' && field[digits] <= '9'; ++digits) {
            number = 10 * number + static_cast<std::size_t>(field[digits] - '0');
        }
        field.remove_prefix(digits);
        if (digits == 0) {
            return unnumbered_++;
        }
        ++numbered_;
        return number;
    }

    static constexpr void check_spec(std::string_view spec, key_argument argument) {
        if (spec.find('{') != spec.npos) {
            key_format_error::a_width_or_precision_is_taken_from_an_argument("write it as a number");
        }
        // ":*<8L": what stands before an alignment is the fill, and may be an L
        const bool filled = spec.size() > 2 && std::string_view{"<>^"}.find(spec[2]) != spec.npos;
        if (argument.arithmetic && spec.find('L', filled ? 2 : 0) != spec.npos) {
            key_format_error::the_option_L_makes_a_key_depend_on_the_locale("leave it out");
        }
    }

    constexpr void check_fields() const {
        if (numbered_ != 0 && unnumbered_ != 0) {
            key_format_error::numbered_and_unnumbered_fields_are_mixed("number all fields, or none");
        }
        if (Arguments != 0 && numbered_ + unnumbered_ == 0) {
            key_format_error::the_format_has_no_field_but_the_function_has_arguments("write one {} for each");
        }
        if (numbered_ == 0 && unnumbered_ != Arguments) {
            key_format_error::a_key_that_ignores_an_argument_returns_wrong_data(
                "write one {} for each argument, or, to leave one out on purpose, numbers: \"user:{0}\"");
        }
    }

    std::string_view rest_;
    std::array<key_argument, Arguments> arguments_;
    std::size_t numbered_ = 0;
    std::size_t unnumbered_ = 0;
    bool after_field_ = false;
};

} // namespace acache::detail

#endif
