// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_PROBE_HPP
#define ACACHE_REDIS_DETAIL_REDIS_PROBE_HPP

#include <acache/clock.hpp>
#include <acache/redis/detail/redis_operation.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

namespace acache::detail {

/// Asks the server for its time, which also shows that it answers, be it late.
class redis_probe final : public redis_operation {
public:
    /// `ended` is called when the time is over, and when the answer comes.
    explicit redis_probe(std::function<void(redis_probe&, error_code)> ended) : ended_(std::move(ended)) {
        request.push("TIME");
    }

    void settled(error_code ec) override { ended_(*this, ec); }
    void answered_late(error_code ec) override { ended_(*this, ec); }
    [[nodiscard]] bool is_probe() const noexcept override { return true; }

    std::uint64_t connection = 0; // the number of the connection that it was sent on
    time_point asked = std::chrono::steady_clock::now();
    time_point answered;

private:
    std::function<void(redis_probe&, error_code)> ended_;
};

} // namespace acache::detail

#endif
