// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_SPACE_HPP
#define ACACHE_REDIS_DETAIL_REDIS_SPACE_HPP

#include <acache/detail/context_watch.hpp>
#include <acache/detail/tag_table.hpp>
#include <acache/redis/detail/envelope.hpp>
#include <acache/redis/detail/lease_keeper.hpp>
#include <acache/redis/detail/redis_link.hpp>
#include <acache/redis/detail/redis_scripts.hpp>
#include <acache/redis/detail/removal_queue.hpp>
#include <acache/redis/detail/slot_names.hpp>
#include <acache/redis/detail/slot_watch.hpp>
#include <acache/redis/detail/tag_stamps.hpp>
#include <acache/redis/error.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/redis/request.hpp>
#include <boost/system/system_error.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace acache::detail {

/// One cache's part of a Redis: the keys that begin with its prefix, in what generation they are, and what is
/// known of them here. What it knows changes on the link's executor, in the order of the server's messages;
/// the coroutines that ask run elsewhere.
class redis_space : public redis_member, public context_watcher {
public:
    redis_space(std::shared_ptr<redis_link> link, std::string_view prefix, std::chrono::nanoseconds lease_ttl,
                std::size_t max_queued_removals)
        : link_(std::move(link)), names_(prefix), leases_(*this, lease_ttl), queued_(max_queued_removals) {}

    [[nodiscard]] redis_link& link() noexcept { return *link_; }
    [[nodiscard]] const std::string& prefix() const noexcept override { return names_.prefix(); }
    [[nodiscard]] std::uint64_t coherence() const noexcept {
        return coherence_.load(std::memory_order_acquire);
    }
    [[nodiscard]] tag_table& tags() noexcept { return tags_; }
    [[nodiscard]] slot_watches& watches() noexcept { return watches_; }
    [[nodiscard]] lease_keeper<redis_space>& leases() noexcept { return leases_; }
    [[nodiscard]] const slot_names& names() const noexcept { return names_; } // on the link's executor
    [[nodiscard]] std::shared_ptr<redis_space> shared() {
        return std::static_pointer_cast<redis_space>(shared_from_this());
    }
    [[nodiscard]] std::weak_ptr<redis_space> weak() { return shared(); }
    [[nodiscard]] tag_stamps& stamps() noexcept { return stamps_; }

    /// The replies to what `push(request, names)` asks, all of it under one generation: asked again where
    /// that has changed before the answer was here. Throws `redis_errc::unavailable` at once where the server
    /// is not there, or removals are due that it has not carried out.
    template <class Push>
    asio::awaitable<redis_reply> ask(const Push& push) {
        for (int tries = 1;; ++tries) {
            std::uint64_t seen = 0;
            const auto build = [&](boost::redis::request& to) {
                seen = clears();
                const bool answers = open_ && is_good();
                if (answers) {
                    push(to, std::as_const(names_));
                }
                return answers;
            };
            auto reply = co_await link_->exec(build);
            if (seen == clears()) {
                co_return reply;
            }
            if (tries == 4) {
                throw boost::system::system_error(redis_errc::unavailable,
                                                  "the cache is cleared over and over");
            }
        }
    }

    /// How often the space has been cleared, as far as is known here.
    [[nodiscard]] std::uint64_t clears() const noexcept { return clears_.load(std::memory_order_acquire); }

    // Removals that could not be carried out, or of which that is not known. Tried again at once, and when
    // the server is back; nothing is read before that.
    void queue_removal(std::string_view key) {
        queue([&](removal_queue& q) { q.add_key(key); });
    }
    void queue_tag(std::string_view tag) {
        queue([&](removal_queue& q) { q.add_tag(tag); });
    }
    void queue_clear() {
        queue([](removal_queue& q) { q.add_all(); });
    }
    /// The key has been written: an older removal is out of date.
    void written(std::string_view key) {
        if (due_.load(std::memory_order_acquire) == 0) {
            return;
        }
        change_queue([&](removal_queue& q) { q.forget(key); });
    }

    /// How many invalidations of tags are known of: a load that begins now is younger than these.
    [[nodiscard]] std::uint64_t stamp() const noexcept { return stamp_.load(std::memory_order_acquire); }

    /// A name that no other generation has, of any process.
    [[nodiscard]] std::string fresh_generation() { return names_.generation_of(leases_.next_id()); }
    /// This process has started a generation. Any thread; in force for whatever is asked after that.
    void cleared(std::string generation) {
        link_->dispatch([self = weak(), generation = std::move(generation)] {
            if (const auto living = self.lock()) {
                living->names_.generation(generation);
                living->started_anew();
                living->read_state(); // somebody else may have done so since
            }
        });
    }
    void learn(std::uint64_t stamp) noexcept {
        auto known = this->stamp();
        while (known < stamp && !stamp_.compare_exchange_weak(known, stamp)) {
        }
    }

    // The server does not know whose doing it is what a script does, and so tells us of our own. Whether it
    // was no more than that, the slot says. On the link's executor, as what pushes requests is.

    /// A script is about to change the slot of a key, so that it begins like this.
    void expect_echo(const std::string& key, std::string_view header) {
        expect_echo(key, echo{std::string(header), nullptr});
    }
    void push_renewal(boost::redis::request& to, const std::string& key, const std::string& header,
                      std::chrono::milliseconds ttl) {
        expect_echo(key, header);
        to.push("EVAL", redis_scripts::renew, 1, names_.slot(key), header, ttl.count());
    }
    /// The start of a generation, with no script: that is not told to us.
    void push_clear(boost::redis::request& to, std::string_view generation) const {
        to.push("MULTI");
        to.push("HSET", names_.state(), "gen", generation);
        to.push("SET", names_.clears(), "");
        to.push("DEL", names_.clears());
        to.push("EXEC");
    }

    /// Takes a lease away that this process has put into the slot of a key.
    void give_back(const std::string& header, const std::string& key) {
        leases_.let_go(header);
        const auto self = shared();
        const auto was_there = std::make_shared<bool>(false);
        link_->submit(
            [self, header, key, was_there](boost::redis::request& to) {
                self->expect_echo(key, echo{std::string(), was_there});
                to.push("EVAL", redis_scripts::release, 1, self->names_.slot(key), header);
                return self->open_;
            },
            [self, key, was_there](error_code failure, const redis_reply& reply) {
                *was_there = !failure && reply.nodes.at(0).value == "1";
                if (!*was_there) {
                    self->expect_no_echo(key, was_there);
                }
                self->watches_.ring(key);
            });
    }

    /// Tries again what the server has failed to do, whether anybody asks for something or not; whether that
    /// is still to be done. What it could not do as it is not there waits for `opened`.
    bool try_again() {
        if (open_ && is_unread_) {
            read_state();
        }
        (void)is_good();
        return open_ && (is_unread_ || due_.load(std::memory_order_acquire) != 0);
    }

    // What the link tells.

    void push_opening(boost::redis::request& to) override {
        to.push("EVAL", redis_scripts::open, 2, names_.state(), names_.clears(), fresh_generation(),
                std::to_string(stamp()));
    }

    void opened(const redis_reply& reply, std::size_t at) override {
        take_state(reply, at);
        open_ = true;
        is_unread_ = false;
        started_anew();
        coherence_.store(++openings_, std::memory_order_release);
        repairing_ = false;
        (void)is_good();
        all_changed();
    }

    void lost() noexcept override {
        coherence_.store(0, std::memory_order_release);
        open_ = false;
        echoes_.clear();
        watches_.ring_all(); // nobody would tell them any more
        tell_lost();
    }

    void changed(std::string_view name) override {
        switch (names_.kind_of(name)) {
        case slot_names::kind::slot:
            if (const auto key = names_.key_of(name)) {
                slot_changed(std::string(*key));
            }
            return;
        case slot_names::kind::tag:
            stamps_.forget(names_.tag_of(name));
            tags_.invalidate(names_.tag_of(name));
            return;
        case slot_names::kind::clears:
            started_anew();
            all_changed();
            return;
        case slot_names::kind::state:
            link_->post([self = weak()] { // nothing is sent in the midst of reading
                if (const auto living = self.lock()) {
                    living->read_state();
                }
            });
            return;
        default:
            return;
        }
    }

    void context_gone(asio::execution_context& context) override { watches_.discard_waiters_of(context); }

protected:
    // What the cache is to hear, on the link's executor.
    virtual void key_changed(std::string_view key) = 0;
    virtual void tell_lost() noexcept = 0;
    virtual void all_changed() = 0;

private:
    struct echo {
        std::string header; // empty: the slot is
        /// Set where a script has emptied the slot: one empty slot looks like the other, and may be somebody
        /// else's doing.
        std::shared_ptr<bool> emptied;
    };

    void expect_echo(const std::string& key, echo expected) {
        if (echoes_.size() == most_echoes) {
            echoes_.clear(); // they are then taken for changes by others, which is only more work
        }
        echoes_.insert_or_assign(key, std::move(expected));
    }
    void expect_no_echo(const std::string& key, const std::shared_ptr<bool>& emptied) {
        if (const auto at = echoes_.find(key); at != echoes_.end() && at->second.emptied == emptied) {
            echoes_.erase(at);
        }
    }
    /// What has been heard of a slot is no more than the echo, as that begins like this now.
    [[nodiscard]] bool explains(const echo& expected, std::string_view header) const {
        if (!expected.emptied) {
            return header == expected.header;
        }
        return *expected.emptied && (header.empty() || leases_.is_own(header)); // who loads it next is us
    }

    template <class Change>
    void change_queue(Change change) {
        const std::lock_guard lock{queue_mutex_};
        const auto before = due_.load(std::memory_order_relaxed);
        change(queued_);
        const auto after = queued_.size();
        turn_.store(queued_.turn(), std::memory_order_release);
        due_.store(after, std::memory_order_release);
        link_->counters.queued_removals.fetch_add(
            static_cast<std::int64_t>(after) - static_cast<std::int64_t>(before), std::memory_order_relaxed);
    }
    template <class Change>
    void queue(Change change) {
        change_queue(change);
        link_->dispatch([self = weak()] {
            if (const auto living = self.lock()) {
                (void)living->is_good();
            }
        });
    }

    /// Nothing that is asked now is answered before the removals that are due are carried out: there are
    /// none, or they have been sent. Sends them if need be.
    bool is_good() {
        if (due_.load(std::memory_order_acquire) == 0) {
            return true;
        }
        if (open_ && !repairing_) {
            make_good();
        }
        return repairing_ && sent_turn_ == turn_.load(std::memory_order_acquire);
    }

    /// What is found from now on is of another generation, or may be.
    void started_anew() {
        clears_.fetch_add(1, std::memory_order_acq_rel);
        stamps_.forget_all();
        watches_.ring_all();
    }

    /// Takes generation and stamp from a reply to the opening script; whether the generation is another one.
    bool take_state(const redis_reply& reply, std::size_t at) {
        if (at + 2 >= reply.nodes.size() || is_error(reply.nodes[at])) {
            throw boost::system::system_error(
                redis_errc::server_error,
                std::string(at < reply.nodes.size() ? reply.nodes[at].value : "no reply"));
        }
        const bool is_other = names_.generation(reply.nodes[at + 1].value);
        learn(to_number(reply.nodes[at + 2].value));
        return is_other;
    }

    void slot_changed(const std::string& key) {
        const auto expected = echoes_.find(key);
        if (expected == echoes_.end()) {
            watches_.ring(key);
            key_changed(key);
            return;
        }
        link_->post( // nothing is sent in the midst of reading
            [self = weak(), key, expected = std::move(expected->second)] {
                if (const auto living = self.lock()) {
                    living->compare(key, expected);
                }
            });
        echoes_.erase(expected);
    }
    /// Whether somebody else has changed the slot too.
    void compare(const std::string& key, const echo& expected) {
        const auto self = shared();
        link_->submit(
            [self, key](boost::redis::request& to) {
                to.push("GETRANGE", self->names_.slot(key), 0, slot_header_size - 1);
                return self->open_;
            },
            [self, key, expected](error_code failure, const redis_reply& reply) {
                if (failure || !self->explains(expected, reply.nodes.at(0).value)) {
                    self->watches_.ring(key);
                    self->key_changed(key);
                }
            });
    }

    /// Somebody has invalidated a tag or cleared all, or has taken the state away.
    void read_state() {
        if (std::exchange(reading_, true)) {
            read_again_ = true;
            return;
        }
        const auto self = shared();
        link_->submit(
            [self](boost::redis::request& to) {
                self->push_opening(to);
                return true;
            },
            [self](error_code failure, const redis_reply& reply) {
                self->reading_ = false;
                self->is_unread_ = failure || reply.nodes.empty() || is_error(reply.nodes[0]);
                if (!self->is_unread_ && self->take_state(reply, 0)) {
                    self->started_anew();
                    self->all_changed();
                }
                const bool is_late = failure == redis_errc::timeout;
                if ((std::exchange(self->read_again_, false) || is_late) && self->open_) {
                    self->read_state();
                } else if (self->is_unread_) {
                    self->leases_.tick_on();
                }
            });
    }

    /// Carries out what is due, before anything else is asked. It stays due until the server has said that it
    /// is done.
    void make_good() {
        auto kept = std::make_shared<removal_queue::content>();
        change_queue([&](removal_queue& q) {
            *kept = q.due();
            sent_turn_ = q.turn();
        });
        repairing_ = true;
        const auto generation = fresh_generation();
        const auto self = shared();
        link_->submit(
            [self, kept, generation](boost::redis::request& to) {
                self->push_removals(to, *kept, generation);
                return true;
            },
            [self, kept, generation](error_code failure, const redis_reply& reply) {
                self->repairing_ = false;
                if (failure || std::ranges::any_of(reply.nodes, is_error)) {
                    self->clears_.fetch_add(1,
                                            std::memory_order_acq_rel); // what was asked since does not count
                    self->leases_.tick_on();
                    return;
                }
                self->change_queue([&](removal_queue& q) { q.done(*kept); });
                self->link_->counters.removals_replayed.fetch_add(kept->size(), std::memory_order_relaxed);
                if (kept->all != 0) {
                    self->names_.generation(generation);
                    self->started_anew();
                    self->all_changed();
                }
            });
    }

    void push_removals(boost::redis::request& to, const removal_queue::content& due,
                       std::string_view generation) {
        if (due.all != 0) {
            push_clear(to, generation);
        }
        for (const auto& [tag, turn] : due.tags) {
            to.push("EVAL", redis_scripts::invalidate_tag, 2, names_.state(), names_.tag(tag), tag);
        }
        for (const auto& [key, turn] : due.keys) {
            to.push("UNLINK", names_.slot(key));
        }
    }

    const std::shared_ptr<redis_link> link_;
    tag_table tags_;
    slot_watches watches_;
    tag_stamps stamps_;
    std::atomic<std::uint64_t> coherence_ = 0;
    std::atomic<std::uint64_t> clears_ = 0;
    std::atomic<std::uint64_t> stamp_ = 0;
    std::atomic<std::size_t> due_ = 0;    // removals queued
    std::atomic<std::uint64_t> turn_ = 0; // of the last one

    // Of the link's executor.
    slot_names names_;
    static constexpr std::size_t most_echoes = 10'000;
    boost::unordered_flat_map<std::string, echo> echoes_; // of keys whose slots we have changed
    std::uint64_t openings_ = 0;
    bool open_ = false;
    std::uint64_t sent_turn_ = 0; // of the last one that was sent
    bool repairing_ = false;
    bool reading_ = false;
    bool read_again_ = false;
    bool is_unread_ = false; // there is news of the state, and the server did not say what it is

    lease_keeper<redis_space> leases_;

    std::mutex queue_mutex_;
    removal_queue queued_;
};

} // namespace acache::detail

#endif
