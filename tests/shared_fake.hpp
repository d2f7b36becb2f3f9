// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_SHARED_FAKE_HPP
#define ACACHE_TESTS_SHARED_FAKE_HPP

#include <acache/shared_backend.hpp>
#include <acache/testing.hpp>

#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shared {

using acache::entry;
using acache::lease_mode;
using acache::testing::op;
using boost::asio::awaitable;

/// What all clients share. Every write has a number.
template <class K, class V>
struct server {
    struct slot {
        std::optional<entry<V>> value;
        std::vector<std::string> tags;
        std::uint64_t began = 0;
        std::uint64_t version = 0;
    };
    struct message {
        std::uint64_t number;
        std::optional<K> key; // none and no tag: everything
        std::optional<std::string> tag;
    };
    struct inbox {
        bool open = true;
        std::deque<message> messages;
    };

    std::mutex mutex;
    std::uint64_t number = 0;
    std::map<K, slot> slots;
    std::map<std::string, std::uint64_t, std::less<>> invalidated;
    std::vector<std::shared_ptr<inbox>> clients;

    /// Wants the mutex.
    void tell(const inbox* but, std::optional<K> key, std::optional<std::string> tag = {}) {
        for (const auto& c : clients) {
            if (c->open && c.get() != but) {
                c->messages.push_back({number, key, tag});
            }
        }
    }
    void write(const K& key, std::optional<entry<V>> value, const inbox* by) {
        slot& s = slots[key];
        s.version = s.began = ++number;
        s.tags.clear();
        if (value && value->details) {
            for (const auto& t : value->details->tags) {
                s.tags.push_back(t.of->name());
            }
        }
        s.value = std::move(value);
        tell(by, key);
    }
};

/// A backend over a server that others write to as well, with everything that such backends can do. Like a
/// client with one connection it has heard of whatever was done before a reply of its own. A script parks
/// its operations, before they take effect or when the answer is on its way, and makes them fail (`set_many`
/// is a `set`, `invalidate_tag` a `clear`); messages are kept until `deliver` or the next reply. A handle.
template <class K, class V>
class fake {
    using server_type = server<K, V>;
    using found = std::optional<entry<V>>;

    struct state {
        std::shared_ptr<server_type> to;
        std::shared_ptr<typename server_type::inbox> in = std::make_shared<typename server_type::inbox>();
        acache::testing::script script;
        acache::detail::tag_table tags;
        std::weak_ptr<acache::change_listener<K>> listener;
        std::recursive_mutex delivery;
        std::atomic<std::uint64_t> coherence = 1;
        std::uint64_t coherences = 1;
        std::atomic<bool> down = false;
        std::map<K, std::uint64_t> own; // guarded by the server's mutex
        std::atomic<std::uint64_t> heard = 0;
    };

public:
    using clock_type = acache::testing::manual_clock;
    static constexpr std::string_view tier_name = "far";

    struct lease {
        std::optional<std::uint64_t> version;
    };

    explicit fake(std::shared_ptr<server_type> to = std::make_shared<server_type>()) {
        state_->to = std::move(to);
        const std::lock_guard lock{state_->to->mutex};
        state_->to->clients.push_back(state_->in);
    }

    [[nodiscard]] acache::testing::script script() const { return state_->script; }
    [[nodiscard]] std::shared_ptr<server_type> to() const { return state_->to; }

    [[nodiscard]] awaitable<found> get(const K& key) {
        return act<found>(state_, op::get, [key](state& s) { return look(s, key); });
    }
    [[nodiscard]] awaitable<found> get(const K& key, lease& l, lease_mode) {
        return act<found>(state_, op::get, [key, &l](state& s) {
            l.version = s.to->slots[key].version;
            return look(s, key);
        });
    }
    [[nodiscard]] awaitable<std::vector<found>> get_many(std::span<const K> keys) {
        return act<std::vector<found>>(
            state_, op::get_many,
            [all = std::vector<K>(keys.begin(), keys.end())](state& s) { return look(s, all); });
    }
    [[nodiscard]] awaitable<std::vector<found>> get_many(std::span<const K> keys, std::span<lease> leases) {
        return act<std::vector<found>>(state_, op::get_many, [keys, leases](state& s) {
            for (std::size_t i = 0; i != keys.size(); ++i) {
                leases[i].version = s.to->slots[keys[i]].version;
            }
            return look(s, std::vector<K>(keys.begin(), keys.end()));
        });
    }
    [[nodiscard]] awaitable<void> set(const K& key, entry<V> e) {
        return act<void>(state_, op::set,
                         [key, e = std::move(e)](state& s) { write(s, key, e); });
    }
    [[nodiscard]] awaitable<bool> set(const K& key, entry<V> e, lease& l) {
        return act<bool>(state_, op::set,
                         [key, e = std::move(e), l](state& s) { return store(s, key, e, l); });
    }
    [[nodiscard]] awaitable<std::vector<bool>> set_many(std::span<const K> keys, std::vector<found> entries,
                                                        std::span<lease> leases) {
        return act<std::vector<bool>>(
            state_, op::set, [keys, entries = std::move(entries), leases](state& s) {
                std::vector<bool> result;
                for (std::size_t i = 0; i != keys.size(); ++i) {
                    result.push_back(entries[i] && store(s, keys[i], *entries[i], leases[i]));
                }
                return result;
            });
    }
    [[nodiscard]] awaitable<bool> erase(const K& key) {
        return act<bool>(state_, op::erase, [key](state& s) {
            const bool was = s.to->slots[key].value.has_value();
            write(s, key, std::nullopt);
            return was;
        });
    }
    [[nodiscard]] awaitable<void> clear() {
        return act<void>(state_, op::clear, [](state& s) {
            ++s.to->number;
            for (auto& [key, slot] : s.to->slots) {
                slot = {{}, {}, s.to->number, s.to->number};
                s.own[key] = s.to->number;
            }
            s.to->tell(s.in.get(), {});
        });
    }

    [[nodiscard]] acache::detail::tag_table& tags() { return state_->tags; }
    [[nodiscard]] awaitable<void> invalidate_tag(std::string_view tag) {
        state_->tags.invalidate(tag);
        return act<void>(state_, op::clear, [name = std::string(tag)](state& s) {
            s.to->invalidated[name] = ++s.to->number;
            s.to->tell(s.in.get(), {}, name);
        });
    }

    void listen(std::weak_ptr<acache::change_listener<K>> listener) { state_->listener = listener; }
    [[nodiscard]] std::uint64_t coherence() const { return state_->coherence; }

    /// Operations fail, as without a connection, until it is `up` again.
    void down(bool is = true) { state_->down = is; }
    /// From here on no changes are heard, and those on their way are not either.
    void lose() {
        const std::lock_guard delivering{state_->delivery};
        {
            const std::lock_guard lock{state_->to->mutex};
            state_->in->open = false;
            state_->in->messages.clear();
        }
        state_->coherence = 0;
        if (const auto l = state_->listener.lock()) {
            l->lost();
        }
    }
    void restore() {
        const std::lock_guard delivering{state_->delivery};
        {
            const std::lock_guard lock{state_->to->mutex};
            state_->in->open = true;
        }
        state_->coherence = ++state_->coherences;
        if (const auto l = state_->listener.lock()) {
            l->all_changed();
        }
    }
    /// The changes that are on their way have arrived.
    void deliver() const { deliver(*state_, std::uint64_t(-1)); }
    [[nodiscard]] std::size_t on_their_way() const {
        const std::lock_guard lock{state_->to->mutex};
        return state_->in->messages.size();
    }

    /// The number of the change that is being heard, or was last.
    [[nodiscard]] std::uint64_t heard() const { return state_->heard; }
    /// The number of the last write to the key by this client.
    [[nodiscard]] std::uint64_t last_write(const K& key) const {
        const std::lock_guard lock{state_->to->mutex};
        return state_->own[key];
    }

    /// What the server has, at once and uncounted.
    [[nodiscard]] found peek(const K& key) const {
        const std::lock_guard lock{state_->to->mutex};
        return state_->to->slots[key].value;
    }
    /// Somebody else writes or removes the key; nobody has heard yet.
    void write_elsewhere(const K& key, found value) const {
        const std::lock_guard lock{state_->to->mutex};
        state_->to->write(key, std::move(value), nullptr);
    }

private:
    static found look(state& s, const K& key) {
        auto& slot = s.to->slots[key];
        if (!slot.value) {
            return {};
        }
        for (const auto& name : slot.tags) {
            const auto at = s.to->invalidated.find(name);
            if (at != s.to->invalidated.end() && at->second > slot.began) {
                return {};
            }
        }
        found result = slot.value;
        if (!slot.tags.empty()) {
            const acache::detail::tag_table::load now(s.tags);
            auto* const details = new acache::entry_details;
            result->details = acache::entry_details_ptr(details);
            details->tags = s.tags.taggings(slot.tags, now.began());
        }
        return result;
    }
    static std::vector<found> look(state& s, const std::vector<K>& keys) {
        std::vector<found> result;
        for (const auto& key : keys) {
            result.push_back(look(s, key));
        }
        return result;
    }
    static void write(state& s, const K& key, found value) {
        s.to->write(key, std::move(value), s.in.get());
        s.own[key] = s.to->number;
    }
    static bool store(state& s, const K& key, const entry<V>& e, const lease& l) {
        if (l.version && *l.version != s.to->slots[key].version) {
            return false;
        }
        write(s, key, e);
        return true;
    }

    static void deliver(state& s, std::uint64_t up_to) {
        const std::lock_guard delivering{s.delivery};
        for (;;) {
            std::optional<typename server_type::message> next;
            {
                const std::lock_guard lock{s.to->mutex};
                if (s.in->messages.empty() || s.in->messages.front().number > up_to) {
                    return;
                }
                next = std::move(s.in->messages.front());
                s.in->messages.pop_front();
            }
            s.heard = next->number;
            const auto l = s.listener.lock();
            if (next->tag) {
                s.tags.invalidate(*next->tag);
            } else if (l && next->key) {
                l->changed(*next->key);
            } else if (l) {
                l->all_changed();
            }
        }
    }

    template <class R, class Effect>
    static awaitable<R> act(std::shared_ptr<state> s, op kind, Effect effect) {
        co_await s->script.begin(kind);
        if (s->down) {
            throw std::runtime_error("no connection");
        }
        std::uint64_t number = 0;
        if constexpr (std::is_void_v<R>) {
            apply(*s, effect, number);
            co_await s->script.end(kind);
            deliver(*s, number);
        } else {
            auto result = apply(*s, effect, number);
            co_await s->script.end(kind);
            deliver(*s, number);
            co_return result;
        }
    }
    template <class Effect>
    static auto apply(state& s, Effect& effect, std::uint64_t& number) {
        const std::lock_guard lock{s.to->mutex};
        number = s.to->number;
        return effect(s);
    }

    std::shared_ptr<state> state_ = std::make_shared<state>();
};

} // namespace shared

#endif
