// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_LEVEL_FILLS_HPP
#define ACACHE_DETAIL_LEVEL_FILLS_HPP

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>

namespace acache::detail {

/// What is on its way into level 1, so that whoever changes a key meanwhile can keep an older value out of it
/// (contract C30). To put something in, or to take it out, is done under the lock of the key, together with
/// the look at the fences. Keys are told apart by their hash alone: a collision keeps one more value out,
/// which is harmless. Thread-safe.
class level_fills {
    struct traffic {
        std::size_t fills = 0;
        std::uint64_t fences = 0;
    };
    struct alignas(64) shard {
        std::mutex mutex;
        boost::unordered_flat_map<std::uint64_t, traffic> under_way;
    };

public:
    /// A value on its way, from before level 2 is asked for it until it has been put in or not.
    class fill {
    public:
        fill(level_fills& all, std::uint64_t hash) : all_(&all), hash_(hash) {
            shard& s = all.of(hash);
            const std::lock_guard lock{s.mutex};
            traffic& t = s.under_way[hash];
            ++t.fills;
            seen_ = t.fences;
            epoch_ = all.epoch_.load(std::memory_order_acquire);
        }
        fill(fill&& other) noexcept
            : all_(std::exchange(other.all_, nullptr)), hash_(other.hash_), seen_(other.seen_),
              epoch_(other.epoch_) {}
        fill& operator=(fill&&) = delete;
        ~fill() {
            if (all_ != nullptr) {
                shard& s = all_->of(hash_);
                const std::lock_guard lock{s.mutex};
                leave(s);
            }
        }

        /// Returns `act(fenced)`, called under the lock of the key.
        template <class Act>
        [[nodiscard]] auto settle(Act act) {
            shard& s = all_->of(hash_);
            const std::lock_guard lock{s.mutex};
            return act(is_fenced(s));
        }
        /// The same, after which it is on its way no more. Nothing else may be asked of it.
        template <class Act>
        [[nodiscard]] auto settle_and_end(Act act) {
            shard& s = all_->of(hash_);
            const std::lock_guard lock{s.mutex};
            auto result = act(is_fenced(s));
            leave(s);
            all_ = nullptr;
            return result;
        }
        /// As `settle`, which also fences the key's other fills.
        template <class Act>
        [[nodiscard]] auto settle_alone(Act act) {
            shard& s = all_->of(hash_);
            const std::lock_guard lock{s.mutex};
            const bool was_fenced = is_fenced(s);
            ++s.under_way.find(hash_)->second.fences;
            return act(was_fenced);
        }
        [[nodiscard]] bool fenced() {
            return settle([](bool is) { return is; });
        }

    private:
        [[nodiscard]] bool is_fenced(const shard& s) const {
            return s.under_way.find(hash_)->second.fences != seen_ ||
                   all_->epoch_.load(std::memory_order_acquire) != epoch_;
        }
        void leave(shard& s) const noexcept {
            const auto at = s.under_way.find(hash_);
            if (--at->second.fills == 0) {
                s.under_way.erase(at);
            }
        }

        level_fills* all_;
        std::uint64_t hash_;
        std::uint64_t seen_ = 0;
        std::uint64_t epoch_ = 0;
    };

    /// Keeps out what is on its way for this key, and returns `write()`, called under the key's lock.
    template <class Write>
    [[nodiscard]] auto fence(std::uint64_t hash, Write write) {
        shard& s = of(hash);
        const std::lock_guard lock{s.mutex};
        if (const auto at = s.under_way.find(hash); at != s.under_way.end()) {
            ++at->second.fences;
        }
        return write();
    }

    /// Keeps out what is on its way for any key. What was put in before is there when this returns.
    void fence_all() {
        epoch_.fetch_add(1, std::memory_order_acq_rel);
        for (shard& s : shards_) {
            const std::lock_guard lock{s.mutex};
        }
    }

    /// Keys that something is on its way for.
    [[nodiscard]] std::size_t keys() {
        std::size_t count = 0;
        for (shard& s : shards_) {
            const std::lock_guard lock{s.mutex};
            count += s.under_way.size();
        }
        return count;
    }

private:
    [[nodiscard]] shard& of(std::uint64_t hash) noexcept {
        return shards_[hash * 0x9e3779b97f4a7c15 >> 59]; // hashes of integers may be these integers
    }

    std::array<shard, 32> shards_;
    std::atomic<std::uint64_t> epoch_ = 0;
};

} // namespace acache::detail

#endif
