// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_KEY_LINES_HPP
#define ACACHE_DETAIL_KEY_LINES_HPP

#include <acache/detail/waiter.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace acache::detail {

/// Lets writes to keys follow one another in the order in which they came, each of which may be to many keys,
/// and lets readers wait for those that came before. Keys are told apart by their hash alone: a collision
/// makes two keys wait for each other, which is harmless. Thread-safe.
class key_lines {
public:
    enum class role : std::uint8_t { writer, reader };

    /// A place in the line of each of these keys, taken at once and given up with the object.
    class place : private waiter {
    public:
        place(key_lines& lines, std::vector<std::uint64_t> hashes, role as)
            : lines_(lines), hashes_(std::move(hashes)), writes_(as == role::writer) {
            std::ranges::sort(hashes_);
            const auto doubles = std::ranges::unique(hashes_); // nobody is to wait for himself
            hashes_.erase(doubles.begin(), doubles.end());
            lines_.enter(*this);
        }
        ~place() { lines_.leave(*this); }

        /// An operation to be `co_await`ed until all that came before on these keys is over.
        [[nodiscard]] auto come() {
            return wait(lines_.mutex_, [this](waiter& self) {
                const std::lock_guard lock{lines_.mutex_};
                if (blocked_ != 0) {
                    lines_.waiting_.park(self);
                }
                return blocked_ != 0;
            });
        }

    private:
        friend class key_lines;
        key_lines& lines_;
        std::vector<std::uint64_t> hashes_;
        const bool writes_;
        std::size_t blocked_ = 0; // the lines in which somebody is before it
    };

    /// Writers, and whether there are none.
    [[nodiscard]] std::size_t size() const noexcept { return writers_.load(std::memory_order_acquire); }
    [[nodiscard]] bool idle() const noexcept { return size() == 0; }
    /// Whether a writer is in the line of the key. Readers do not make it longer for each other.
    [[nodiscard]] bool busy(std::uint64_t hash) {
        const std::lock_guard lock{mutex_};
        const auto line = lines_.find(hash);
        return line != lines_.end() && std::ranges::any_of(line->second, &place::writes_);
    }
    /// The keys that have a line.
    [[nodiscard]] std::vector<std::uint64_t> busy() {
        const std::lock_guard lock{mutex_};
        std::vector<std::uint64_t> result;
        for (const auto& [hash, line] : lines_) {
            result.push_back(hash);
        }
        return result;
    }

    /// Lets go of the coroutines that wait on a context which is being destroyed.
    void discard_waiters_of(const asio::execution_context& context) {
        discard_waiters(mutex_, wakeups_, [&](wait_list& gone) { waiting_.take_all_of(context, gone); });
    }

private:
    void enter(place& p) {
        writers_ += p.writes_ ? 1 : 0;
        try {
            const std::lock_guard lock{mutex_};
            for (const auto hash : p.hashes_) {
                auto& line = lines_[hash];
                line.push_back(&p);
                p.blocked_ += line.size() == 1 ? 0 : 1;
            }
        } catch (...) {
            leave(p);
            throw;
        }
    }

    void leave(place& p) noexcept {
        wait_list next;
        const wakeups::scope waking(wakeups_);
        {
            const std::lock_guard lock{mutex_};
            for (const auto hash : p.hashes_) {
                leave(p, hash, next);
            }
        }
        writers_ -= p.writes_ ? 1 : 0;
        next.resume_all({});
    }

    void leave(place& p, std::uint64_t hash, wait_list& next) noexcept {
        const auto line = lines_.find(hash);
        if (line == lines_.end()) {
            return;
        }
        auto& all = line->second;
        const bool was_first = !all.empty() && all.front() == &p;
        std::erase(all, &p);
        if (all.empty()) {
            lines_.erase(line);
        } else if (was_first && --all.front()->blocked_ == 0) {
            waiting_.take_if([first = all.front()](const waiter& w) { return &w == first; }, next);
        }
    }

    std::mutex mutex_;
    wakeups wakeups_;
    std::unordered_map<std::uint64_t, std::deque<place*>> lines_;
    wait_list waiting_;
    std::atomic<std::size_t> writers_ = 0;
};

} // namespace acache::detail

#endif
