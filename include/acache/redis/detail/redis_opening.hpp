// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_OPENING_HPP
#define ACACHE_REDIS_DETAIL_REDIS_OPENING_HPP

#include <acache/clock.hpp>
#include <acache/redis/detail/redis_clock.hpp>
#include <acache/redis/detail/redis_members.hpp>
#include <acache/redis/detail/redis_operation.hpp>

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace acache::detail {

/// The reply to TIME.
[[nodiscard]] inline std::optional<std::chrono::microseconds> read_time(const redis_reply& reply,
                                                                        std::size_t at) noexcept {
    if (reply.nodes.size() < at + 3 || reply.nodes[at].size != 2) {
        return std::nullopt;
    }
    std::int64_t seconds = 0, micros = 0;
    const auto number = [](const std::string& text, std::int64_t& to) {
        return std::from_chars(text.data(), text.data() + text.size(), to).ec == std::errc{};
    };
    if (!number(reply.nodes[at + 1].text, seconds) || !number(reply.nodes[at + 2].text, micros)) {
        return std::nullopt;
    }
    return std::chrono::seconds(seconds) + std::chrono::microseconds(micros);
}

/// The request that makes members coherent: tracking of their prefixes, where this connection has none of it,
/// and then the command of each.
class redis_opening final : public redis_operation {
public:
    /// A fresh one is the first on its connection, and waits for that; another is only for the connection on
    /// which it is made.
    redis_opening(bool fresh, std::vector<redis_members::slot_ptr> slots, const redis_tracking& tracking)
        : fresh_(fresh) {
        request.get_config().cancel_if_not_connected = !fresh;
        if (fresh) {
            request.push("CLIENT", "TRACKING", "OFF"); // whoever has used the connection before
        }
        time_at_ = request.get_commands();
        request.push("TIME");
        for (auto& slot : slots) {
            step s{std::move(slot), 0, 0};
            auto& member = *s.slot->member;
            s.tracking_at = request.get_commands();
            if (fresh || !tracking.has(member.prefix())) {
                request.push("CLIENT", "TRACKING", "ON", "BCAST", "NOLOOP", "PREFIX", member.prefix());
            }
            s.opening_at = request.get_commands();
            member.push_opening(request);
            s.slot->opening = true;
            s.slot->flushed = false;
            s.slot->early.clear();
            steps_.push_back(std::move(s));
        }
    }

    struct step {
        redis_members::slot_ptr slot;
        std::size_t tracking_at; // the command that tracks its prefix, if it is not opening_at
        std::size_t opening_at;
    };

    [[nodiscard]] bool fresh() const noexcept { return fresh_; }
    [[nodiscard]] std::vector<step>& steps() noexcept { return steps_; }
    [[nodiscard]] std::optional<std::chrono::microseconds> server_time() const noexcept {
        return read_time(reply, reply.of_command(time_at_));
    }
    /// Whether the server has refused a command.
    [[nodiscard]] bool is_error(std::size_t command) const noexcept {
        const std::size_t at = reply.of_command(command);
        return at >= reply.nodes.size() || reply.nodes[at].is_error();
    }

    std::uint64_t connection = 0; // the number of the connection that it was made on
    time_point asked;

private:
    bool fresh_;
    std::size_t time_at_ = 0;
    std::vector<step> steps_;
};

} // namespace acache::detail

#endif
