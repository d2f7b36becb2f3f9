// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_PROMETHEUS_TEXT_HPP
#define ACACHE_DETAIL_PROMETHEUS_TEXT_HPP

#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace acache::detail {

/// Appends lines in Prometheus' text format. Numbers are written as integers or exact decimal fractions, by
/// `std::to_chars`: no locale changes them.
class prometheus_text {
public:
    /// `of` is the label that tells whose a sample is.
    prometheus_text(std::string& out, std::string_view of) noexcept : out_(out), of_(of) {}

    void header(std::string_view name, std::string_view type, std::string_view help) {
        out_.append("# HELP ").append(name).append(" ").append(help).append("\n");
        out_.append("# TYPE ").append(name).append(" ").append(type).append("\n");
    }

    /// Begins a sample; labels and a value follow.
    prometheus_text& sample(std::string_view name, std::string_view suffix, std::string_view owner) {
        out_.append(name).append(suffix).append("{").append(of_).append("=\"");
        escaped(owner);
        out_.append("\"");
        return *this;
    }

    /// Nothing, if the label has no name. The value must need no escaping.
    prometheus_text& label(std::string_view name, std::string_view value) {
        if (!name.empty()) {
            out_.append(",").append(name).append("=\"").append(value).append("\"");
        }
        return *this;
    }

    prometheus_text& label(std::string_view name, std::chrono::nanoseconds value) {
        out_.append(",").append(name).append("=\"");
        seconds(value);
        out_.append("\"");
        return *this;
    }

    void value(std::uint64_t number) {
        out_.append("} ");
        integer(number);
        out_.append("\n");
    }

    void value(std::chrono::nanoseconds duration) {
        out_.append("} ");
        seconds(duration);
        out_.append("\n");
    }

private:
    void escaped(std::string_view text) {
        for (const char c : text) {
            if (c == '\n') {
                out_.append("\\n");
                continue;
            }
            if (c == '\\' || c == '"') {
                out_.push_back('\\');
            }
            out_.push_back(c);
        }
    }

    void integer(std::uint64_t number) {
        std::array<char, std::numeric_limits<std::uint64_t>::digits10 + 1> digits;
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
        out_.append(digits.data(), end);
    }

    /// A duration, which is not negative, in seconds.
    void seconds(std::chrono::nanoseconds duration) {
        constexpr std::uint64_t second = 1'000'000'000;
        const auto count = static_cast<std::uint64_t>(duration.count());
        integer(count / second);
        if (auto fraction = count % second; fraction != 0) {
            out_.push_back('.');
            for (auto digit = second / 10; fraction != 0; digit /= 10) {
                out_.push_back(static_cast<char>('0' + fraction / digit));
                fraction %= digit;
            }
        }
    }

    std::string& out_;
    const std::string_view of_;
};

} // namespace acache::detail

#endif
