// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_SHARED_STORE_HPP
#define ACACHE_TESTS_SHARED_STORE_HPP

#include <acache/entry.hpp>
#include <acache/shared_backend.hpp>
#include <acache/testing.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace setup {

namespace asio = boost::asio;

/// A store that several caches of a test share, as processes share a server, with all that an
/// `acache::shared_backend.hpp` asks for. Each cache has a `store_client` of its own; what one writes the
/// others are told of at once, or when the test has it told. For one thread.
template <class K, class V>
class shared_server {
public:
    using entry = acache::entry<V>;
    using id = std::uint64_t;

    /// What hears of changes.
    class member {
    public:
        virtual ~member() = default;
        virtual void changed(const K& key) = 0;
        virtual void all_changed() = 0;
        virtual void tag_invalidated(const std::string& tag) = 0;
    };

    /// A value, or nothing but the mark of who loads it.
    struct slot {
        id is;
        std::optional<entry> value;
        std::vector<std::string> tags;
        /// How many tags had been invalidated when its load began.
        std::uint64_t began = 0;
    };

    [[nodiscard]] const slot* find(const K& key) const {
        const auto at = slots_.find(key);
        return at == slots_.end() ? nullptr : &at->second;
    }
    id put(const K& key, slot fresh, const member* by) {
        fresh.is = ++last_id_;
        slots_.insert_or_assign(key, std::move(fresh));
        tell(by, [&](member& m) { m.changed(key); });
        return last_id_;
    }
    bool remove(const K& key, const member* by) {
        const auto at = slots_.find(key);
        const bool was = at != slots_.end() && at->second.value;
        if (at != slots_.end()) {
            slots_.erase(at);
            tell(by, [&](member& m) { m.changed(key); });
        }
        return was;
    }
    void clear(const member* by) {
        slots_.clear();
        tell(by, [&](member& m) { m.all_changed(); });
    }
    void invalidate_tag(const std::string& tag, const member* by) {
        invalidated_[tag] = ++invalidations_;
        tell(by, [&](member& m) { m.tag_invalidated(tag); });
    }
    [[nodiscard]] bool valid(const slot& s) const {
        return std::ranges::all_of(s.tags, [&](const std::string& tag) {
            const auto at = invalidated_.find(tag);
            return at == invalidated_.end() || at->second <= s.began;
        });
    }
    [[nodiscard]] std::uint64_t invalidations() const { return invalidations_; }

    void add(std::weak_ptr<member> m) { members_.push_back(std::move(m)); }

    /// For the test: what is stored, and what whoever has no cache of the test's does.
    [[nodiscard]] std::optional<V> value(const K& key) const {
        const auto* s = find(key);
        return s != nullptr && s->value ? std::optional<V>(s->value->value) : std::nullopt;
    }
    [[nodiscard]] bool leased(const K& key) const {
        const auto* s = find(key);
        return s != nullptr && !s->value;
    }
    void write(const K& key, entry e) { put(key, slot{0, std::move(e), {}, invalidations_}, nullptr); }
    /// The holder of the key's lease has died.
    void expire_lease(const K& key) {
        if (leased(key)) {
            remove(key, nullptr);
        }
    }

private:
    // A listener may end a member.
    template <class F>
    void tell(const member* by, F f) {
        const auto all = members_;
        for (const auto& weak : all) {
            if (const auto m = weak.lock(); m && m.get() != by) {
                f(*m);
            }
        }
    }

    std::map<K, slot> slots_;
    std::map<std::string, std::uint64_t> invalidated_;
    std::uint64_t invalidations_ = 0;
    id last_id_ = 0;
    std::vector<std::weak_ptr<member>> members_;
};

/// One process's way to the server; copies are the same. Its `script()` counts, parks and fails operations,
/// leased ones as those of their kind, `set_many` as a `set`. With `has_near`, it answers without suspending
/// what it has read or written and not heard a change of.
template <class K, class V, bool has_near = false>
class store_client {
    template <class T>
    using awaitable = asio::awaitable<T>;
    using entry = acache::entry<V>;
    using found = std::optional<entry>;
    using server = shared_server<K, V>;
    using slot = typename server::slot;
    using op = acache::testing::op;

    struct waiting {
        waiting(K k, const asio::any_io_executor& executor)
            : key(std::move(k)), timer(executor, asio::steady_timer::time_point::max()) {}
        const K key;
        asio::steady_timer timer;
        bool woken = false;
    };

    struct process final : server::member {
        explicit process(std::shared_ptr<server> s) : at(std::move(s)) {}

        void changed(const K& key) override {
            hear([this, key] {
                near.erase(key);
                if (const auto l = listener.lock()) {
                    l->changed(key);
                }
                wake(key);
            });
        }
        void all_changed() override {
            hear([this] {
                near.clear();
                if (const auto l = listener.lock()) {
                    l->all_changed();
                }
                for (auto* w : waiters) {
                    wake(*w);
                }
            });
        }
        void tag_invalidated(const std::string& tag) override {
            hear([this, tag] { tags.invalidate(tag); });
        }
        void hear(std::function<void()> notice) {
            if (deaf) {
                unheard.push_back(std::move(notice));
            } else {
                notice();
            }
        }
        void wake(const K& key) {
            for (auto* w : waiters) {
                if (w->key == key) {
                    wake(*w);
                }
            }
        }
        static void wake(waiting& w) {
            w.woken = true;
            w.timer.cancel();
        }

        const std::shared_ptr<server> at;
        acache::testing::script script;
        std::weak_ptr<acache::change_listener<K>> listener;
        std::list<waiting*> waiters;
        std::map<K, entry> near;
        acache::detail::tag_table tags;
        bool deaf = false;
        bool takes_over = true;
        bool stubborn = false;
        std::vector<std::function<void()>> unheard;
    };
    using process_ptr = std::shared_ptr<process>;

public:
    using clock_type = acache::testing::manual_clock;
    static constexpr std::string_view tier_name = "store";
    static constexpr std::string_view local_tier_name = has_near ? "near" : "store";

    class lease {
    public:
        lease() = default;
        lease(lease&& other) noexcept
            : process_(std::move(other.process_)), key_(std::move(other.key_)), saw_(other.saw_),
              began_(other.began_), is_mark_(std::exchange(other.is_mark_, false)) {}
        lease& operator=(lease&& other) noexcept {
            lease taken(std::move(other));
            std::swap(process_, taken.process_);
            std::swap(key_, taken.key_);
            std::swap(saw_, taken.saw_);
            std::swap(began_, taken.began_);
            std::swap(is_mark_, taken.is_mark_);
            return *this;
        }
        ~lease() {
            if (is_mark_ && holds()) {
                process_->at->remove(key_, process_.get());
                process_->wake(key_); // of the same process: nobody tells it
            }
        }

    private:
        friend class store_client;
        [[nodiscard]] bool holds() const {
            const auto* s = process_->at->find(key_);
            return s != nullptr && s->is == saw_;
        }

        process_ptr process_;
        K key_{};
        typename server::id saw_ = 0; // nothing
        std::uint64_t began_ = 0;
        bool is_mark_ = false;
    };

    explicit store_client(std::shared_ptr<server> s) : process_(std::make_shared<process>(s)) {
        s->add(process_);
    }

    [[nodiscard]] acache::testing::script script() const { return process_->script; }
    /// Changes are told later.
    void go_deaf() { process_->deaf = true; }
    void hear_again() {
        process_->deaf = false;
        for (const auto& notice : std::exchange(process_->unheard, {})) {
            notice();
        }
    }
    /// From now on `go_on` leaves the mark of another one's lease where it is.
    void never_take_over() { process_->takes_over = false; }
    /// From now on writes with a lease are not cancelled.
    void ignore_cancellation() { process_->stubborn = true; }
    /// Look-ups that wait for somebody's lease.
    [[nodiscard]] std::size_t waiters() const { return process_->waiters.size(); }

    [[nodiscard]] acache::local_answer<V> try_get(const K& key)
        requires has_near
    {
        const auto at = process_->near.find(key);
        return at == process_->near.end() ? acache::local_answer<V>::unknown()
                                          : acache::local_answer<V>::here(at->second);
    }
    [[nodiscard]] awaitable<found> get(const K& key) { return plain_get(process_, key); }
    [[nodiscard]] awaitable<std::vector<found>> get_many(std::span<const K> keys) {
        return plain_get_many(process_, {keys.begin(), keys.end()});
    }
    [[nodiscard]] awaitable<void> set(const K& key, entry e) {
        return plain_set(process_, key, std::move(e));
    }
    [[nodiscard]] awaitable<bool> erase(const K& key) { return do_erase(process_, key); }
    [[nodiscard]] awaitable<void> clear() { return do_clear(process_); }

    [[nodiscard]] awaitable<found> get(const K& key, lease& l, acache::lease_mode mode) {
        return leased_get(process_, key, l, mode);
    }
    [[nodiscard]] awaitable<bool> set(const K& key, entry e, lease& l) {
        return leased_set(process_, key, std::move(e), l);
    }
    [[nodiscard]] awaitable<std::vector<found>> get_many(std::span<const K> keys, std::span<lease> leases) {
        return leased_get_many(process_, {keys.begin(), keys.end()}, leases);
    }
    [[nodiscard]] awaitable<std::vector<bool>> set_many(std::span<const K> keys, std::vector<found> entries,
                                                        std::span<lease> leases) {
        return do_set_many(process_, {keys.begin(), keys.end()}, std::move(entries), leases);
    }

    void listen(std::weak_ptr<acache::change_listener<K>> listener) {
        process_->listener = std::move(listener);
    }
    [[nodiscard]] std::uint64_t coherence() const { return process_->deaf ? 0 : 1; }

    [[nodiscard]] acache::detail::tag_table& tags() { return process_->tags; }
    [[nodiscard]] awaitable<void> invalidate_tag(std::string_view tag) {
        process_->tags.invalidate(tag);
        return do_invalidate_tag(process_, std::string(tag));
    }

private:
    // What an entry has of tags is its process's.

    [[nodiscard]] static slot to_slot(entry e, std::uint64_t began) {
        slot result{0, std::move(e), {}, began};
        if (const auto details = result.value->details) {
            for (const auto& t : details->tags) {
                result.tags.push_back(t.of->name());
            }
        }
        return result;
    }
    [[nodiscard]] static found from_slot(process& p, const slot& s) {
        if (!s.value || !p.at->valid(s)) {
            return std::nullopt;
        }
        entry result = *s.value;
        if (result.details) {
            auto* const own = new acache::entry_details;
            own->load_time = result.details->load_time;
            own->validator = result.details->validator;
            own->tags = p.tags.taggings(s.tags, p.tags.now());
            result.details.reset(own);
        }
        return result;
    }

    [[nodiscard]] static found read(process& p, const K& key) {
        const auto* s = p.at->find(key);
        auto result = s == nullptr ? std::nullopt : from_slot(p, *s);
        if (has_near && result) {
            p.near.insert_or_assign(key, *result);
        }
        return result;
    }
    static void write(process& p, const K& key, const entry& e, std::uint64_t began) {
        p.at->put(key, to_slot(e, began), &p);
        p.wake(key);
        if (has_near) {
            p.near.insert_or_assign(key, e);
        }
    }
    /// True where somebody else's lease is to be waited for.
    [[nodiscard]] static bool read(const process_ptr& p, const K& key, lease& l, acache::lease_mode mode,
                                   found& result) {
        l.process_ = p;
        l.key_ = key;
        l.began_ = p->at->invalidations();
        result = read(*p, key);
        const auto* s = p->at->find(key);
        if (s != nullptr && (s->value || (mode == acache::lease_mode::go_on && !p->takes_over))) {
            l.saw_ = s->is;
        } else if (s == nullptr || mode == acache::lease_mode::go_on) {
            l.saw_ = p->at->put(key, slot{}, p.get());
            l.is_mark_ = true;
        } else {
            return true;
        }
        return false;
    }
    [[nodiscard]] static bool write(const process_ptr& p, const K& key, const entry& e, lease& l) {
        const bool none = l.process_ == nullptr;
        if (!none && (l.saw_ == 0 || !l.holds())) {
            return false;
        }
        write(*p, key, e, none ? p->at->invalidations() : l.began_);
        l.is_mark_ = false;
        return true;
    }

    static awaitable<found> plain_get(process_ptr p, K key) {
        co_await p->script.begin(op::get);
        auto result = read(*p, key);
        co_await p->script.end(op::get);
        co_return result;
    }
    static awaitable<std::vector<found>> plain_get_many(process_ptr p, std::vector<K> keys) {
        co_await p->script.begin(op::get_many);
        std::vector<found> result;
        for (const K& key : keys) {
            result.push_back(read(*p, key));
        }
        co_await p->script.end(op::get_many);
        co_return result;
    }
    static awaitable<void> plain_set(process_ptr p, K key, entry e) {
        co_await p->script.begin(op::set);
        write(*p, key, e, p->at->invalidations());
        co_await p->script.end(op::set);
    }
    static awaitable<bool> do_erase(process_ptr p, K key) {
        co_await p->script.begin(op::erase);
        p->near.erase(key);
        const bool was = p->at->remove(key, p.get());
        p->wake(key);
        co_await p->script.end(op::erase);
        co_return was;
    }
    static awaitable<void> do_clear(process_ptr p) {
        co_await p->script.begin(op::clear);
        p->near.clear();
        p->at->clear(p.get());
        co_await p->script.end(op::clear);
    }
    static awaitable<void> do_invalidate_tag(process_ptr p, std::string tag) {
        co_await p->script.begin(op::erase);
        p->at->invalidate_tag(tag, p.get());
        co_await p->script.end(op::erase);
    }

    static awaitable<found> leased_get(process_ptr p, K key, lease& l, acache::lease_mode mode) {
        l.process_ = p; // has seen nothing yet
        co_await p->script.begin(op::get);
        found result;
        while (read(p, key, l, mode, result)) {
            co_await change(*p, key);
        }
        co_await p->script.end(op::get);
        co_return result;
    }
    static awaitable<bool> leased_set(process_ptr p, K key, entry e, lease& l) {
        if (p->stubborn) {
            co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        }
        co_await p->script.begin(op::set);
        const bool stored = write(p, key, e, l);
        co_await p->script.end(op::set);
        co_return stored;
    }
    static awaitable<std::vector<found>> leased_get_many(process_ptr p, std::vector<K> keys,
                                                         std::span<lease> leases) {
        for (auto& l : leases) {
            l.process_ = p;
        }
        co_await p->script.begin(op::get_many);
        std::vector<found> result(keys.size());
        for (std::size_t i = 0; i != keys.size(); ++i) {
            (void)read(p, keys[i], leases[i], acache::lease_mode::go_on, result[i]);
        }
        co_await p->script.end(op::get_many);
        co_return result;
    }
    static awaitable<std::vector<bool>> do_set_many(process_ptr p, std::vector<K> keys,
                                                    std::vector<found> entries, std::span<lease> leases) {
        co_await p->script.begin(op::set);
        std::vector<bool> result;
        for (std::size_t i = 0; i != keys.size(); ++i) {
            result.push_back(entries[i] && write(p, keys[i], *entries[i], leases[i]));
        }
        co_await p->script.end(op::set);
        co_return result;
    }

    struct registration {
        registration(process& p, waiting& w) : of(p), at(w) { of.waiters.push_back(&at); }
        registration(const registration&) = delete;
        ~registration() { of.waiters.remove(&at); }
        process& of;
        waiting& at;
    };

    /// Until somebody changes the key.
    static awaitable<void> change(process& p, const K& key) {
        waiting here(key, co_await asio::this_coro::executor);
        const registration registered(p, here);
        try {
            co_await here.timer.async_wait(asio::deferred);
        } catch (const boost::system::system_error&) {
            if (!here.woken) {
                throw;
            }
        }
    }

    process_ptr process_;
};

} // namespace setup

#endif
