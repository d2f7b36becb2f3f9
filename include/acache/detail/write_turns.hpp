// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_WRITE_TURNS_HPP
#define ACACHE_DETAIL_WRITE_TURNS_HPP

#include <acache/detail/waiter.hpp>

#include <cstddef>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace acache::detail {

/// Lets one coroutine a key write to an asynchronous backend, in the order in which they came. Keys are told
/// apart by their hash alone: a collision makes two keys take turns, which is harmless.
class write_turns {
public:
    /// A place in the line of a key, and the turn when it has come; given up when it goes out of scope.
    class turn : private waiter {
    public:
        turn(write_turns& turns, std::size_t hash) : turns_(turns), hash_(hash) {}
        ~turn() {
            if (mine_) {
                turns_.pass_on(hash_);
            }
        }

        /// Takes the turn if nobody else has it or waits for it.
        [[nodiscard]] bool try_take() {
            return turns_.take_or(*this, [](wait_list&) {});
        }
        /// Takes the turn, together with those who have it now: who waits for it waits for all of them.
        void share() {
            const std::lock_guard lock{turns_.mutex_};
            ++turns_.lines_[hash_].holders;
            mine_ = true;
        }
        /// An operation to be `co_await`ed until the turn has come.
        [[nodiscard]] auto come() {
            return wait(turns_.mutex_, [this](waiter& self) {
                return !turns_.take_or(*this, [&](wait_list& waiting) { waiting.park(self); });
            });
        }

    private:
        friend class write_turns;
        write_turns& turns_;
        const std::size_t hash_;
        bool mine_ = false;
    };

    [[nodiscard]] bool idle() {
        const std::lock_guard lock{mutex_};
        return lines_.empty();
    }
    [[nodiscard]] bool busy(std::size_t hash) {
        const std::lock_guard lock{mutex_};
        return lines_.contains(hash);
    }

    /// The keys that are being written.
    [[nodiscard]] std::vector<std::size_t> busy() {
        const std::lock_guard lock{mutex_};
        std::vector<std::size_t> result;
        for (const auto& [hash, of_key] : lines_) {
            result.push_back(hash);
        }
        return result;
    }

    void discard_waiters_of(const asio::execution_context& context) {
        discard_waiters(mutex_, wakeups_, [&](wait_list& gone) {
            for (auto& [hash, of_key] : lines_) {
                of_key.waiting.take_all_of(context, gone);
            }
        });
    }

private:
    struct line {
        std::size_t holders = 0;
        wait_list waiting;
    };

    template <class Else>
    [[nodiscard]] bool take_or(turn& t, Else otherwise) {
        const std::lock_guard lock{mutex_};
        const auto [at, free] = lines_.try_emplace(t.hash_);
        if (free) {
            at->second.holders = 1;
            t.mine_ = true;
        } else {
            otherwise(at->second.waiting);
        }
        return free;
    }

    void pass_on(std::size_t hash) {
        waiter* next = nullptr;
        const wakeups::scope waking(wakeups_);
        {
            const std::lock_guard lock{mutex_};
            const auto at = lines_.find(hash);
            if (--at->second.holders != 0) {
                return;
            }
            next = at->second.waiting.take_first();
            if (next == nullptr) {
                lines_.erase(at);
            } else {
                at->second.holders = 1;
                static_cast<turn*>(next)->mine_ = true;
            }
        }
        if (next != nullptr) {
            next->resume({});
        }
    }

    std::mutex mutex_;
    wakeups wakeups_;
    std::unordered_map<std::size_t, line> lines_; // one for each key being written
};

} // namespace acache::detail

#endif
