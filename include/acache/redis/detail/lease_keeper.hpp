// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_LEASE_KEEPER_HPP
#define ACACHE_REDIS_DETAIL_LEASE_KEEPER_HPP

#include <acache/redis/detail/envelope.hpp>
#include <acache/redis/detail/loose_timer.hpp>
#include <acache/redis/detail/redis_link.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace acache::detail {

/// Keeps the leases of this process alive in Redis as long as their loads go on: each lasts for `ttl` and is
/// renewed three times in that. So a process that dies delays the others by no more than `ttl`. Thread-safe.
///
/// `Space` says what the slot of a key is called now, and hears when it is time to look at leases of others
/// again, and to try again what has failed.
template <class Space>
class lease_keeper {
public:
    lease_keeper(Space& space, std::chrono::nanoseconds ttl) : space_(space), ttl_(ttl) {
        std::random_device random;
        process_ = static_cast<std::uint64_t>(random()) << 32 | random();
    }

    [[nodiscard]] std::chrono::milliseconds ttl() const noexcept {
        return std::chrono::ceil<std::chrono::milliseconds>(ttl_);
    }

    /// That no other write has, of this process or another.
    [[nodiscard]] slot_id next_id() noexcept {
        slot_id result;
        const std::uint64_t parts[]{process_, counter_.fetch_add(1, std::memory_order_relaxed)};
        static_assert(sizeof(parts) == sizeof(result));
        std::memcpy(result.data(), parts, sizeof(parts));
        return result;
    }

    /// A slot begins with a lease of this process.
    [[nodiscard]] bool is_own(std::string_view header) const noexcept {
        constexpr std::size_t id_at = slot_header_size - std::tuple_size_v<slot_id>;
        return header.size() == slot_header_size && header[2] == 'L' &&
               std::memcmp(header.data() + id_at, &process_, sizeof(process_)) == 0;
    }

    /// From here on the lease of the key, which its slot begins with, is renewed.
    void keep(const std::string& header, std::string_view key) {
        {
            const std::lock_guard lock{mutex_};
            live_.emplace(header, key);
        }
        tick_on();
    }
    void let_go(const std::string& header) {
        const std::lock_guard lock{mutex_};
        live_.erase(header);
    }

    /// Makes sure that who waits for others' leases is woken now and then, should no news of them come, and
    /// that what has failed is tried again.
    void tick_on() {
        space_.link().dispatch([space = space_.weak()] {
            if (const auto living = space.lock()) {
                living->leases().arm();
            }
        });
    }

private:
    // On the link's executor.

    void arm() {
        if (timer_.is_running()) {
            return;
        }
        const auto at = std::chrono::steady_clock::now() +
                        std::chrono::ceil<std::chrono::steady_clock::duration>(ttl_ / 3);
        timer_.start(space_.link().get_executor(), at, [space = space_.weak()] {
            if (const auto living = space.lock()) {
                living->leases().tick();
            }
        });
    }

    void tick() {
        if (++ticks_ % 4 == 0) {
            space_.watches().ring_all();
        }
        const bool is_due = space_.try_again();
        if (renew() || is_due || !space_.watches().empty()) {
            arm();
        }
    }

    /// Whether there is any lease.
    bool renew() {
        std::unordered_map<std::string, std::string> due;
        {
            const std::lock_guard lock{mutex_};
            due = live_;
        }
        if (due.empty()) {
            return false;
        }
        space_.link().submit(
            [space = space_.weak().lock(), due = std::move(due)](boost::redis::request& to) {
                for (const auto& [header, key] : due) {
                    space->push_renewal(to, key, header, space->leases().ttl());
                }
                return true;
            },
            [](boost::system::error_code, const redis_reply&) {});
        return true;
    }

    Space& space_;
    const std::chrono::nanoseconds ttl_;
    std::uint64_t process_;
    std::atomic<std::uint64_t> counter_ = 1;
    std::mutex mutex_;
    std::unordered_map<std::string, std::string> live_; // what the slot begins with, and the key
    loose_timer timer_;
    unsigned ticks_ = 0;
};

} // namespace acache::detail

#endif
