// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_CACHE_HPP
#define ACACHE_REDIS_DETAIL_REDIS_CACHE_HPP

#include <acache/detail/checks.hpp>
#include <acache/entry.hpp>
#include <acache/redis/detail/redis_entries.hpp>
#include <acache/redis/detail/redis_lease.hpp>
#include <acache/redis/detail/redis_space.hpp>
#include <acache/redis/error.hpp>
#include <acache/redis/options.hpp>
#include <acache/shared_backend.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// What a `redis_backend` is a handle to: the way of its operations.
template <class K, class V, class Codec, class KeyCodec>
class redis_cache final : public redis_space {
public:
    using found_entry = std::optional<entry<V>>;

    redis_cache(std::shared_ptr<redis_link> to, const redis_options& options, Codec codec, KeyCodec key_codec)
        : redis_space(std::move(to), checked(options).prefix, options.lease, options.max_queued_removals),
          one_load_(options.one_load), max_payload_(options.max_payload), keys_(std::move(key_codec)),
          entries_(this->link().clock(), std::move(codec)) {}

    void listen(std::weak_ptr<change_listener<K>> listener) {
        const std::lock_guard lock{listener_mutex_};
        listener_ = std::move(listener);
    }

    asio::awaitable<found_entry> get(K key) {
        const auto alive = this->shared();
        const std::string name = name_of(key);
        const tag_table::load reading(tags());
        const auto get = [&](boost::redis::request& to, const slot_names& names) {
            to.push("GET", names.slot(name));
        };
        const auto reply = co_await ask(get);
        auto there = content(reply.nodes.at(0), name);
        if (!there.tags.empty()) {
            co_await judge_tags({&there, 1}, reading);
        }
        co_return std::move(there.found);
    }

    asio::awaitable<found_entry> get(K key, redis_lease& lease, lease_mode mode) {
        const auto alive = this->shared();
        const std::string name = name_of(key);
        std::optional<slot_watches::watch> news;
        if (one_load_ && mode == lease_mode::wait) {
            news.emplace(watches(), name);
        }
        for (bool has_waited = false;;) {
            const tag_table::load reading(tags());
            lease.begin(this->shared(), name);
            const std::string marker = lease_marker(leases().next_id());
            lease_offer offer(*this, name, marker);
            const auto look = [&](boost::redis::request& to, const slot_names& names) {
                if (news) {
                    news->forget();
                }
                push_look(to, names.slot(name), offer);
            };
            const auto reply = co_await ask(look);
            if (is_error(reply.nodes.at(0)) && !is_wrong_type(reply.nodes[0])) {
                offer.answered();
                count(link().counters.failures);
                co_return co_await read_only(name, lease, reading);
            }
            auto there = take(reply.nodes[0], name, marker, lease);
            offer.answered();
            if (there.blocks) {
                co_await unblock(name);
                continue;
            }
            if (there.leased && !news && !co_await take_over(name, there.header.view(), offer, lease)) {
                continue;
            }
            if (!there.leased || !news) {
                if (!there.tags.empty()) {
                    co_await judge_tags({&there, 1}, reading);
                }
                co_return std::move(there.found);
            }
            count(link().counters.leases_awaited, std::exchange(has_waited, true) ? 0 : 1);
            leases().tick_on();
            const asio::any_io_executor executor = co_await asio::this_coro::executor;
            this->watch(asio::query(executor, asio::execution::context));
            co_await news->changed();
        }
    }

    asio::awaitable<std::vector<found_entry>> get_many(std::span<const K> keys) {
        const auto alive = this->shared();
        const auto names = names_of(keys);
        const tag_table::load reading(tags());
        auto there = co_await look_at(names);
        co_await judge_tags(there, reading);
        co_return found_of(std::move(there));
    }

    /// First all that there is, in one command; then marks where there is nothing. Waits for nobody.
    asio::awaitable<std::vector<found_entry>> get_many(std::span<const K> keys,
                                                       std::span<redis_lease> leases) {
        const auto alive = this->shared();
        const auto names = names_of(keys);
        const tag_table::load reading(tags());
        for (std::size_t i = 0; i != names.size(); ++i) {
            leases[i].begin(this->shared(), names[i]);
        }
        auto there = co_await look_at(names);
        std::vector<std::size_t> missing;
        for (std::size_t i = 0; i != names.size(); ++i) {
            leases[i].saw(there[i].header.view());
            if (there[i].header.empty()) {
                missing.push_back(i);
            }
        }
        if (!missing.empty()) {
            std::vector<std::string> markers(missing.size());
            std::ranges::generate(markers, [&] { return lease_marker(this->leases().next_id()); });
            std::deque<lease_offer> offers;
            for (std::size_t m = 0; m != missing.size(); ++m) {
                offers.emplace_back(*this, names[missing[m]], markers[m]);
            }
            const auto look = [&](boost::redis::request& to, const slot_names& at) {
                for (auto& offer : offers) {
                    push_look(to, at.slot(offer.key()), offer);
                }
            };
            const auto reply = co_await ask(look);
            for (std::size_t m = 0; m != missing.size(); ++m) {
                const std::size_t i = missing[m];
                there[i] = take(reply.nodes.at(m), names[i], markers[m], leases[i]);
                offers[m].answered();
            }
        }
        co_await judge_tags(there, reading);
        co_return found_of(std::move(there));
    }

    asio::awaitable<void> set(K key, entry<V> e) {
        const auto alive = this->shared();
        const std::string name = name_of(key);
        const auto lasts = time_to_live(e);
        std::string bytes;
        std::exception_ptr failure; // the codec's
        try {
            bytes = lasts ? encode(name, e, stamp()) : std::string();
        } catch (...) {
            failure = std::current_exception();
        }
        const auto set = [&](boost::redis::request& to, const slot_names& names) {
            if (lasts && fits(bytes) && !failure) {
                push_set(to, names.slot(name), bytes, *lasts);
            } else {
                to.push("UNLINK", names.slot(name));
            }
        };
        count(link().counters.oversized_payloads, fits(bytes) ? 0 : 1);
        co_await carry_out(set, [&](const redis_reply&) { written(name); }, [&] { queue_removal(name); });
        watches().ring(name);
        if (failure) {
            std::rethrow_exception(failure);
        }
    }

    /// Throws where it cannot be known whether the slot still holds what the lease saw, or the value cannot
    /// be stored.
    asio::awaitable<bool> set(K key, entry<V> e, redis_lease& lease) {
        const auto alive = this->shared();
        if (!lease) {
            co_await set(std::move(key), std::move(e));
            co_return true;
        }
        const std::string name = name_of(key);
        const auto lasts = time_to_live(e);
        if (!lasts) {
            co_return false;
        }
        const std::string bytes = encode_for(name, e, lease);
        const auto fill = [&](boost::redis::request& to, const slot_names& names) {
            push_fill(to, names, name, bytes, *lasts, lease);
        };
        const auto reply = co_await ask(fill);
        co_return filled(reply.nodes.at(0), name, lease);
    }

    /// Stores what can be stored; throws where that is nothing, and not because others were faster.
    asio::awaitable<std::vector<bool>> set_many(std::span<const K> keys, std::vector<found_entry> entries,
                                                std::span<redis_lease> leases) {
        const auto alive = this->shared();
        const auto names = names_of(keys);
        std::vector<bool> result(names.size());
        std::vector<std::string> bytes(names.size());
        std::vector<std::chrono::milliseconds> lasts(names.size());
        std::vector<std::size_t> sent;
        for (std::size_t i = 0; i != names.size(); ++i) {
            const auto life = entries[i] ? time_to_live(*entries[i]) : std::nullopt;
            if (life && !(leases[i] && leases[i].header().empty())) {
                try {
                    bytes[i] = encode(names[i], *entries[i], leases[i] ? leases[i].stamp() : stamp());
                } catch (...) {
                    count(link().counters.failures); // the codec's, which is this key's alone
                    continue;
                }
                lasts[i] = *life;
                count(link().counters.oversized_payloads, fits(bytes[i]) ? 0 : 1);
                if (fits(bytes[i])) {
                    sent.push_back(i);
                }
            }
        }
        const auto fill = [&](boost::redis::request& to, const slot_names& at) {
            for (const std::size_t i : sent) {
                push_fill(to, at, names[i], bytes[i], lasts[i], leases[i]);
            }
        };
        bool has_answer = false;
        if (!sent.empty()) {
            const auto reply = co_await ask(fill);
            for (std::size_t n = 0; n != sent.size(); ++n) {
                const std::size_t i = sent[n];
                const redis_node& answer = reply.nodes.at(n);
                has_answer = has_answer || !is_error(answer);
                result[i] = !is_error(answer) && filled(answer, names[i], leases[i]);
            }
        }
        if (!has_answer && std::ranges::any_of(entries, &found_entry::has_value)) {
            // Not that somebody else has written: this process may keep them, as it does single ones.
            throw boost::system::system_error(redis_errc::unavailable, "none of the entries could be stored");
        }
        co_return result;
    }

    asio::awaitable<bool> erase(K key) {
        const auto alive = this->shared();
        const std::string name = name_of(key);
        bool was = false;
        const auto remove = [&](boost::redis::request& to, const slot_names& names) {
            to.push("GETRANGE", names.slot(name), 0, 2); // a lease is none of the cache's entries
            to.push("UNLINK", names.slot(name));
        };
        co_await carry_out(
            remove,
            [&](const redis_reply& reply) {
                was = reply.nodes.at(0).value.ends_with('V');
                written(name);
            },
            [&] { queue_removal(name); });
        watches().ring(name);
        co_return was;
    }

    asio::awaitable<void> clear() {
        const auto alive = this->shared();
        std::string generation;
        const auto start_anew = [&](boost::redis::request& to, const slot_names&) {
            generation = fresh_generation(); // also where it is asked again: others may have used that one
            push_clear(to, generation);
        };
        co_await carry_out(
            start_anew, [&](const redis_reply&) { cleared(generation); }, [&] { queue_clear(); });
    }

    asio::awaitable<void> invalidate_tag(std::string tag) {
        const auto alive = this->shared();
        const auto mark = [&](boost::redis::request& to, const slot_names& names) {
            to.push("EVAL", redis_scripts::invalidate_tag, 2, names.state(), names.tag(tag), tag);
        };
        stamps().forget(tag);
        co_await carry_out(
            mark, [&](const redis_reply& reply) { learn(to_number(reply.nodes.at(0).value)); },
            [&] { queue_tag(tag); });
        stamps().forget(tag);
        tags().invalidate(tag); // for what was read meanwhile, too
    }

private:
    [[nodiscard]] static const redis_options& checked(const redis_options& options) {
        check_positive(options.lease, "redis_options::lease");
        return options;
    }
    [[nodiscard]] std::string name_of(const K& key) const {
        std::string result;
        keys_.encode(key, result);
        return result;
    }
    [[nodiscard]] std::vector<std::string> names_of(std::span<const K> keys) const {
        std::vector<std::string> result;
        result.reserve(keys.size());
        for (const K& key : keys) {
            result.push_back(name_of(key));
        }
        return result;
    }

    /// How long the entry is to be kept: 0 for ever, nothing if it is dead already.
    [[nodiscard]] static std::optional<std::chrono::milliseconds> time_to_live(const entry<V>& e) noexcept {
        if (e.expires == time_point::max()) {
            return std::chrono::milliseconds(0);
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(e.expires - coarse_clock::now());
        return left.count() > 0 ? std::optional(left) : std::nullopt;
    }

    [[nodiscard]] std::string encode(std::string_view name, const entry<V>& e, std::uint64_t began) {
        return entries_.encode(name, e, leases().next_id(), began);
    }
    [[nodiscard]] bool fits(const std::string& bytes) const noexcept { return bytes.size() <= max_payload_; }
    /// For the slot that the lease has seen. Throws where that cannot be.
    [[nodiscard]] std::string encode_for(std::string_view name, const entry<V>& e, const redis_lease& lease) {
        if (lease.header().empty()) {
            throw boost::system::system_error(redis_errc::unavailable, "when the load began");
        }
        auto bytes = encode(name, e, lease.stamp());
        if (!fits(bytes)) {
            count(link().counters.oversized_payloads);
            throw boost::system::system_error(redis_errc::too_large, std::string(name));
        }
        return bytes;
    }

    static void push_set(boost::redis::request& to, const slot_name& slot, std::string_view bytes,
                         std::chrono::milliseconds lasts) {
        if (lasts.count() == 0) {
            to.push("SET", slot, bytes);
        } else {
            to.push("SET", slot, bytes, "PX", lasts.count());
        }
    }
    void push_fill(boost::redis::request& to, const slot_names& names, const std::string& name,
                   std::string_view bytes, std::chrono::milliseconds lasts, const redis_lease& lease) {
        if (lease) {
            expect_echo(name, bytes.substr(0, slot_header_size));
            to.push("EVAL", redis_scripts::fill, 1, names.slot(name), lease.header(), bytes, lasts.count());
        } else {
            push_set(to, names.slot(name), bytes, lasts);
        }
    }
    /// What is in the slot, or else our marker from now on.
    void push_look(boost::redis::request& to, const slot_name& slot, lease_offer& offer) {
        to.push("SET", slot, offer.marker(), "NX", "GET", "PX", leases().ttl().count());
        offer.sent();
    }

    /// What a fill has come to.
    [[nodiscard]] bool filled(const redis_node& answer, std::string_view name, redis_lease& lease) {
        throw_if_error(answer);
        const bool is_stored = !lease || answer.value == "1";
        if (is_stored) {
            lease.used();
            written(name);
            watches().ring(name);
        } else {
            count(link().counters.leases_lost);
        }
        return is_stored;
    }

    [[nodiscard]] slot_content<V> content(const redis_node& node, std::string_view name) {
        const bool holds_nothing = !is_null(node) && !is_error(node) && node.value.empty();
        if (is_wrong_type(node) || holds_nothing) {
            count(link().counters.bad_payloads);
            slot_content<V> result;
            result.blocks = true;
            return result;
        }
        throw_if_error(node);
        if (is_null(node)) {
            return {};
        }
        auto result = entries_.decode(node.value, name);
        count(link().counters.bad_payloads, result.unreadable ? 1 : 0);
        return result;
    }
    /// The same of the answer to a look with a marker, which the lease takes down.
    [[nodiscard]] slot_content<V> take(const redis_node& node, std::string_view name,
                                       const std::string& marker, redis_lease& lease) {
        auto there = content(node, name);
        if (is_null(node) || there.header.view() == marker) { // as is where it has been asked twice
            there.leased = false;
            lease.took(marker);
            count(link().counters.leases_granted);
        } else {
            lease.saw(there.header.view());
        }
        return there;
    }

    /// In the order of the names, in one command.
    asio::awaitable<std::vector<slot_content<V>>> look_at(const std::vector<std::string>& names) {
        const auto get = [&](boost::redis::request& to, const slot_names& at) {
            const auto slots =
                std::views::transform(names, [&at](const std::string& name) { return at.slot(name); });
            to.push_range("MGET", slots.begin(), slots.end());
        };
        std::vector<slot_content<V>> result;
        result.reserve(names.size());
        if (!names.empty()) {
            const auto reply = co_await ask(get);
            throw_if_error(reply.nodes.at(0));
            for (std::size_t i = 0; i != names.size(); ++i) {
                result.push_back(content(reply.nodes.at(i + 1), names[i])); // behind the array's own node
            }
        }
        co_return result;
    }
    [[nodiscard]] static std::vector<found_entry> found_of(std::vector<slot_content<V>> there) {
        std::vector<found_entry> result;
        result.reserve(there.size());
        for (auto& t : there) {
            result.push_back(std::move(t.found));
        }
        return result;
    }

    /// Takes out what is dead of a tag (contract C15), and gives the rest tags of this process's table. The
    /// server is asked only for tags of which nothing is known here.
    asio::awaitable<void> judge_tags(std::span<slot_content<V>> there, const tag_table::load& reading) {
        std::vector<std::string> unknown;
        for (const auto& t : there) {
            for (const auto& tag : t.tags) {
                if (!stamps().find(tag)) {
                    unknown.push_back(tag);
                }
            }
        }
        std::unordered_map<std::string, std::uint64_t> told;
        if (!unknown.empty()) {
            told = co_await ask_stamps(std::move(unknown));
        }
        for (auto& t : there) {
            const bool is_dead = std::ranges::any_of(t.tags, [&](const std::string& tag) {
                const auto at = told.find(tag);
                const auto stamp = at != told.end() ? std::optional(at->second) : stamps().find(tag);
                return !stamp || *stamp > t.began; // not known any more: it has just been invalidated
            });
            if (is_dead) {
                t.found.reset();
            } else if (!t.tags.empty()) {
                put_tags(*t.found, tags().taggings(t.tags, reading.began()));
            }
        }
    }
    asio::awaitable<std::unordered_map<std::string, std::uint64_t>> ask_stamps(std::vector<std::string> of) {
        const auto asked_at = stamps().now();
        const auto get = [&](boost::redis::request& to, const slot_names& names) {
            std::vector<std::string> fields;
            for (const auto& tag : of) {
                fields.push_back("t:" + tag);
            }
            to.push_range("HMGET", names.state(), fields);
        };
        const auto reply = co_await ask(get);
        throw_if_error(reply.nodes.at(0));
        std::unordered_map<std::string, std::uint64_t> result;
        for (std::size_t i = 0; i != of.size(); ++i) {
            const auto& node = reply.nodes.at(i + 1);
            const std::uint64_t stamp = is_null(node) ? 0 : to_number(node.value);
            stamps().learn(of[i], stamp, asked_at);
            result.emplace(std::move(of[i]), stamp);
        }
        co_return result;
    }

    /// Puts our mark in the place of another one, whose load then stores no more; false if that has gone.
    asio::awaitable<bool> take_over(const std::string& name, std::string_view theirs, lease_offer& offer,
                                    redis_lease& lease) {
        const std::string& marker = offer.marker();
        const auto replace = [&](boost::redis::request& to, const slot_names& names) {
            expect_echo(name, marker);
            to.push("EVAL", redis_scripts::fill, 1, names.slot(name), theirs, marker, leases().ttl().count());
            offer.sent();
        };
        const auto reply = co_await ask(replace);
        throw_if_error(reply.nodes.at(0));
        offer.answered();
        const bool is_ours = reply.nodes[0].value == "1";
        if (is_ours) {
            lease.took(marker);
            count(link().counters.leases_granted);
        } else {
            lease.saw(theirs);
        }
        co_return is_ours;
    }

    /// What there is, where the server takes no marks, as with its memory full.
    asio::awaitable<found_entry> read_only(const std::string& name, redis_lease& lease,
                                           const tag_table::load& reading) {
        const auto get = [&](boost::redis::request& to, const slot_names& names) {
            to.push("GET", names.slot(name));
        };
        const auto reply = co_await ask(get);
        auto there = content(reply.nodes.at(0), name);
        lease.saw(there.header.view());
        if (!there.tags.empty()) {
            co_await judge_tags({&there, 1}, reading);
        }
        co_return std::move(there.found);
    }

    /// Takes something away that is no string and can be neither read nor replaced.
    asio::awaitable<void> unblock(const std::string& name) {
        const auto unlink = [&](boost::redis::request& to, const slot_names& names) {
            to.push("UNLINK", names.slot(name));
        };
        const auto reply = co_await ask(unlink);
        throw_if_error(reply.nodes.at(0));
    }

    /// A write that the cache's user asked for: it fails for nobody, since what could not be carried out is
    /// queued.
    template <class Push, class Done, class Queue>
    asio::awaitable<void> carry_out(const Push& push, Done done, Queue queue) {
        bool is_done = false;
        try {
            const auto reply = co_await ask(push);
            is_done = std::ranges::none_of(reply.nodes, is_error);
            if (is_done) {
                done(reply);
            } else {
                count(link().counters.failures);
            }
        } catch (const boost::system::system_error&) {
            // counted by the link
        }
        if (!is_done) {
            queue();
            const auto caller = co_await asio::this_coro::cancellation_state;
            if (caller.cancelled() != asio::cancellation_type::none) {
                throw boost::system::system_error(asio::error::operation_aborted);
            }
        }
    }

    void key_changed(std::string_view name) override {
        if (const auto listener = this->listener()) {
            if (const auto key = key_of(name)) {
                listener->changed(*key);
            }
        }
    }
    [[nodiscard]] std::optional<K> key_of(std::string_view name) const {
        try {
            return keys_.decode(name);
        } catch (const std::bad_alloc&) {
            throw;
        } catch (...) {
            return std::nullopt; // the codec's way to say the same: none of the cache's keys
        }
    }
    void tell_lost() noexcept override {
        if (const auto listener = this->listener()) {
            listener->lost();
        }
    }
    void all_changed() override {
        if (const auto listener = this->listener()) {
            listener->all_changed();
        }
    }
    [[nodiscard]] std::shared_ptr<change_listener<K>> listener() {
        const std::lock_guard lock{listener_mutex_};
        return listener_.lock();
    }

    static void count(std::atomic<std::uint64_t>& counter, std::uint64_t n = 1) noexcept {
        counter.fetch_add(n, std::memory_order_relaxed);
    }

    const bool one_load_;
    const std::size_t max_payload_;
    [[no_unique_address]] const KeyCodec keys_;
    const redis_entries<V, Codec> entries_;
    std::mutex listener_mutex_;
    std::weak_ptr<change_listener<K>> listener_;
};

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
