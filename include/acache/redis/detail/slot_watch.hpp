// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_SLOT_WATCH_HPP
#define ACACHE_REDIS_DETAIL_SLOT_WATCH_HPP

#include <acache/detail/waiter.hpp>

#include <boost/intrusive/list.hpp>

#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace acache::detail {

/// Who wants to know when the slot of a key changes: those who wait for what another process loads.
/// Thread-safe.
class slot_watches {
public:
    /// From its making on no change of the slot is missed.
    class watch : private waiter {
    public:
        watch(slot_watches& all, std::string_view key) : all_(all), key_(key) {
            const std::lock_guard lock{all_.mutex_};
            all_.of_[key_].push_back(link_);
        }
        watch(const watch&) = delete;
        watch& operator=(const watch&) = delete;
        ~watch() {
            const std::lock_guard lock{all_.mutex_};
            const auto at = all_.of_.find(key_);
            at->second.erase(at->second.iterator_to(link_));
            if (at->second.empty()) {
                all_.of_.erase(at);
            }
        }

        /// Changes so far do not count.
        void forget() {
            const std::lock_guard lock{all_.mutex_};
            link_.rung = false;
        }
        /// To be `co_await`ed until the slot has changed since the last time that this was awaited, or since
        /// `forget`.
        [[nodiscard]] auto changed() {
            return wait(all_.mutex_, [this](waiter& self) {
                const std::lock_guard lock{all_.mutex_};
                if (std::exchange(link_.rung, false)) {
                    return false;
                }
                all_.waiting_.park(self);
                return true;
            });
        }

    private:
        friend class slot_watches;
        struct link : boost::intrusive::list_base_hook<> {
            explicit link(watch& w) : of(w) {}
            watch& of;
            bool rung = false;
        };

        slot_watches& all_;
        const std::string key_;
        link link_{*this};
    };

    /// The slot of this key has changed.
    void ring(std::string_view key) {
        std::vector<waiter*> woken;
        const wakeups::scope waking(wakeups_);
        {
            const std::lock_guard lock{mutex_};
            if (of_.empty()) {
                return;
            }
            if (const auto at = of_.find(std::string(key)); at != of_.end()) {
                ring(at->second, woken);
            }
        }
        resume(woken);
    }
    /// Any may have.
    void ring_all() {
        std::vector<waiter*> woken;
        const wakeups::scope waking(wakeups_);
        {
            const std::lock_guard lock{mutex_};
            for (auto& [key, links] : of_) {
                ring(links, woken);
            }
        }
        resume(woken);
    }

    [[nodiscard]] bool empty() {
        const std::lock_guard lock{mutex_};
        return of_.empty();
    }

    void discard_waiters_of(const asio::execution_context& context) {
        discard_waiters(mutex_, wakeups_, [&](wait_list& gone) { waiting_.take_all_of(context, gone); });
    }

private:
    using link_list = boost::intrusive::list<watch::link, boost::intrusive::constant_time_size<false>>;

    static void ring(link_list& of, std::vector<waiter*>& woken) {
        for (auto& l : of) {
            if (waiter& w = l.of; w.parked) {
                wait_list::take(w);
                woken.push_back(&w);
            } else {
                l.rung = true;
            }
        }
    }
    static void resume(const std::vector<waiter*>& woken) {
        for (waiter* const w : woken) {
            w->resume({});
        }
    }

    std::mutex mutex_;
    wakeups wakeups_;
    std::unordered_map<std::string, link_list> of_;
    wait_list waiting_;
};

} // namespace acache::detail

#endif
