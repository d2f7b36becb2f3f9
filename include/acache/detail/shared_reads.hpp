// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_SHARED_READS_HPP
#define ACACHE_DETAIL_SHARED_READS_HPP

#include <acache/detail/level_fills.hpp>
#include <acache/detail/waiter.hpp>
#include <acache/entry.hpp>

#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace acache::detail {

/// The reads of level 2 that are under way, so that who asks for the same key waits for the one that is
/// (contract C28). The first to ask reads in its own coroutine: a read costs no coroutine of its own, and no
/// executor. If that caller leaves before the answer has come, the others ask anew, together. A read that is
/// fenced is not joined any more (contract C14). Thread-safe.
template <class K, class V, class KeyEqual>
class shared_reads {
    struct shard;

public:
    class read : public boost::intrusive::list_base_hook<
                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    public:
        read(shard& where, level_fills& fills, const K& k, std::uint64_t h)
            : key(k), hash(h), fill(fills, h), shard_(where) {}

        const K key;
        const std::uint64_t hash;
        level_fills::fill fill;

        // Written by who reads, before it is over; constant from then on.
        std::optional<entry<V>> found;
        std::exception_ptr failure;
        /// There is an answer, though it may be that there is no entry.
        bool answered = false;

    private:
        friend class shared_reads;
        shard& shard_;
        bool over_ = false;
        wait_list waiting_;
    };
    using read_ptr = std::shared_ptr<read>;

    /// Ends a read that one has begun, however that comes.
    class reading {
    public:
        explicit reading(read_ptr of) noexcept : read_(std::move(of)) {}
        reading(const reading&) = delete;
        reading& operator=(const reading&) = delete;
        ~reading() { end(); }

        /// Whoever waits gets what the read has come to.
        void end() noexcept {
            if (read_) {
                shared_reads::end(*std::exchange(read_, nullptr));
            }
        }

    private:
        read_ptr read_;
    };

    struct joined {
        read_ptr of;
        bool begun; // by this call, and to be carried out by the caller
    };

    [[nodiscard]] joined join_or_begin(level_fills& fills, const K& key, std::uint64_t hash) {
        shard& s = of(hash);
        read_ptr fenced;
        const std::lock_guard lock{s.mutex};
        if (const auto at = s.by_hash.find(hash); at != s.by_hash.end()) {
            if (KeyEqual{}(at->second->key, key) && !at->second->fill.fenced()) {
                return {at->second, false};
            }
            fenced = at->second;
        }
        auto begun = std::make_shared<read>(s, fills, key, hash);
        s.by_hash[hash] = begun;
        s.under_way.push_back(*begun);
        return {std::move(begun), true};
    }

    /// An operation to be `co_await`ed until the read is over. `w` and the read outlive it.
    [[nodiscard]] auto wait(waiter& w, read& r) {
        return w.wait(r.shard_.mutex, [&r](waiter& self) {
            const std::lock_guard lock{r.shard_.mutex};
            if (!r.over_) {
                r.waiting_.park(self);
            }
            return !r.over_;
        });
    }

    /// Lets go of the coroutines that wait on a context which is being destroyed.
    void discard_waiters_of(const asio::execution_context& context) {
        for (shard& s : shards_) {
            discard_waiters(s.mutex, s.waking, [&](wait_list& gone) {
                for (read& r : s.under_way) {
                    r.waiting_.take_all_of(context, gone);
                }
            });
        }
    }

private:
    struct shard {
        std::mutex mutex;
        wakeups waking;
        boost::unordered_flat_map<std::uint64_t, read_ptr> by_hash; // those that may be joined
        boost::intrusive::list<read, boost::intrusive::constant_time_size<false>> under_way;
    };

    static void end(read& r) noexcept {
        shard& s = r.shard_;
        wait_list waiting;
        read_ptr last;
        const wakeups::scope waking(s.waking);
        {
            const std::lock_guard lock{s.mutex};
            r.over_ = true;
            r.unlink();
            r.waiting_.take_all(waiting);
            if (const auto at = s.by_hash.find(r.hash); at != s.by_hash.end() && at->second.get() == &r) {
                last = std::move(at->second);
                s.by_hash.erase(at);
            }
        }
        waiting.resume_all({});
    }

    [[nodiscard]] shard& of(std::uint64_t hash) noexcept { return shards_[hash * 0x9e3779b97f4a7c15 >> 60]; }

    std::array<shard, 16> shards_;
};

} // namespace acache::detail

#endif
