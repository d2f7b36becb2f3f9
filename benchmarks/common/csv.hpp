// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_BENCHMARKS_COMMON_CSV_HPP
#define ACACHE_BENCHMARKS_COMMON_CSV_HPP

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace benchmarks {

/// A file of values separated by commas, without quotes; its first line names the columns.
class csv {
public:
    explicit csv(const std::string& path) {
        std::ifstream file(path);
        std::string line;
        if (!std::getline(file, line)) {
            throw std::runtime_error(path + ": cannot be read, or is empty");
        }
        columns_ = split(line);
        while (std::getline(file, line)) {
            rows_.push_back(split(line));
            if (rows_.back().size() != columns_.size()) {
                throw std::runtime_error(path + ": not as many values as columns: " + line);
            }
        }
    }

    [[nodiscard]] const std::vector<std::string>& columns() const { return columns_; }
    [[nodiscard]] std::size_t rows() const { return rows_.size(); }

    [[nodiscard]] const std::string& text(std::size_t row, std::string_view column) const {
        const auto at = std::find(columns_.begin(), columns_.end(), column);
        if (at == columns_.end()) {
            throw std::runtime_error("no column " + std::string(column));
        }
        return rows_[row][static_cast<std::size_t>(at - columns_.begin())];
    }

    [[nodiscard]] double number(std::size_t row, std::string_view column) const {
        const std::string& value = text(row, column);
        double result = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
        if (error != std::errc() || end != value.data() + value.size()) {
            throw std::runtime_error("not a number in column " + std::string(column) + ": " + value);
        }
        return result;
    }

private:
    static std::vector<std::string> split(std::string_view line) {
        std::vector<std::string> values;
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        for (;;) {
            const auto comma = std::min(line.find(','), line.size());
            values.emplace_back(line.substr(0, comma));
            if (comma == line.size()) {
                return values;
            }
            line.remove_prefix(comma + 1);
        }
    }

    std::vector<std::string> columns_;
    std::vector<std::vector<std::string>> rows_;
};

} // namespace benchmarks

#endif
