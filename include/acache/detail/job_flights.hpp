// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_JOB_FLIGHTS_HPP
#define ACACHE_DETAIL_JOB_FLIGHTS_HPP

#include <cstddef>
#include <utility>
#include <vector>

namespace acache::detail {

/// The flights of a job, by pointers that own them. A single one, as of every job that is no batch, needs no
/// allocation.
template <class Pointer>
class job_flights {
public:
    [[nodiscard]] const Pointer* begin() const noexcept { return many_.empty() ? &single_ : many_.data(); }
    [[nodiscard]] const Pointer* end() const noexcept { return begin() + size(); }
    [[nodiscard]] std::size_t size() const noexcept { return single_ ? std::size_t{1} : many_.size(); }
    [[nodiscard]] const Pointer& front() const noexcept { return *begin(); }

    void reserve(std::size_t count) {
        if (count > 1) {
            many_.reserve(count);
        }
    }
    void push_back(Pointer added) {
        if (size() == 0) {
            single_ = std::move(added);
            return;
        }
        if (single_) {
            many_.reserve(2); // may throw; what follows does not
            many_.push_back(std::move(single_));
            single_ = nullptr;
        }
        many_.push_back(std::move(added));
    }
    void pop_back() noexcept {
        if (single_) {
            single_ = nullptr;
        } else {
            many_.pop_back();
        }
    }
    void clear() noexcept {
        single_ = nullptr;
        many_.clear();
    }

private:
    Pointer single_; // null unless it is the only one
    std::vector<Pointer> many_;
};

} // namespace acache::detail

#endif
