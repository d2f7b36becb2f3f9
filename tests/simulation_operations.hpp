// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_SIMULATION_OPERATIONS_HPP
#define ACACHE_TESTS_SIMULATION_OPERATIONS_HPP

#include "simulation_backend.hpp"
#include "simulation_loads.hpp"
#include "simulation_witness.hpp"
#include "simulation_world.hpp"

#include <acache/async_cache.hpp>
#include <acache/data_loader.hpp>
#include <acache/entry.hpp>
#include <acache/testing.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace simulation {

/// The kinds of backend that a run can be over.
struct over_memory {
    static constexpr bool remote = false;
    using backend = acache::testing::manual_backend<int, int>;
};
struct over_slow_backend {
    static constexpr bool remote = true;
    using backend = slow_backend;
};

/// A cache, a loader over it, and what callers do with them.
///
/// To add an operation: a row of the table, and a member function that makes the call and hands on what came
/// of it to the `witness`, or to a `change`.
template <class Kind>
class operations {
public:
    using cache_type = acache::async_cache<int, int, typename Kind::backend>;
    using function = asio::awaitable<void> (operations::*)(operation&, std::vector<int>);

    struct row {
        const char* name;
        access how;
        int weight;
        int max_keys;
        operations::function function;
    };

    operations(world& w, witness& sees, loads& does, asio::io_context& context)
        : world_(w), sees_(sees), loads_(does), cache_(make_cache(w, context)),
          loader_(cache_, does.batch_function(nullptr),
                  acache::data_loader_options{.max_batch_size = w.draw.between<std::size_t>(1, 3)}) {}

    [[nodiscard]] cache_type& cache() { return cache_; }

    [[nodiscard]] const row& draw_row() {
        int all = 0;
        for (const row& r : table()) {
            all += r.weight;
        }
        int left = world_.draw.between(0, all - 1);
        for (const row& r : table()) {
            if ((left -= r.weight) < 0) {
                return r;
            }
        }
        return table().front();
    }
    /// A look at every key, for the end.
    [[nodiscard]] static const row& look_at_all() {
        static constexpr row all{"get_many", access::reads, 1, world::most_keys, &operations::get_many};
        return all;
    }

    asio::awaitable<void> perform(const row& what, operation& c, std::vector<int> keys) {
        return (this->*what.function)(c, std::move(keys));
    }

    void check_metrics() const {
        const auto m = cache_.metrics();
        const auto counted = m.hits + m.stale_hits + m.misses + m.coalesced;
        check(counted <= lookups_ && counted + reads_cancelled_ >= lookups_,
              "look-ups were not counted once each");
        std::uint64_t loads = 0;
        std::uint64_t failures = 0;
        for (const version& v : world_.history.versions()) {
            check(v.is != version::status::loading, "a load has not ended");
            loads += v.is_load ? 1 : 0;
            failures += v.is == version::status::failed ? 1 : 0;
        }
        const bool all_stay = !world_.given.callers_leave;
        // A load that is cancelled before its first step counts, and its loader never ran.
        check(all_stay ? m.loads == loads : m.loads >= loads, "loads were counted wrong");
        check(all_stay ? m.load_failures == failures : m.load_failures <= failures,
              "failures of loads were counted wrong");
        // Who leaves a bulk load does not see which of its keys were refused, nor does who gets a stale
        // value instead.
        check(all_stay && !world_.given.serves_stale ? m.overloaded == world_.refusals
                                                     : m.overloaded >= world_.refusals,
              "refused loads were counted wrong");
        check(m.early_refreshes <= m.refreshes && m.refreshes <= m.loads, "refreshes were counted wrong");
        check(m.refresh_failures <= m.refreshes && m.refresh_failures <= m.load_failures,
              "failures of refreshes were counted wrong");
        check(m.in_flight == 0, "a flight has not ended");
        if constexpr (!Kind::remote) {
            check(m.size <= world_.history.most_stored(), "something is stored that ought not to be");
        }
    }

private:
    static constexpr int only_memory(int weight) { return Kind::remote ? 0 : weight; }

    static const std::array<row, 19>& table() {
        static constexpr std::array<row, 19> rows{{
            {"get_or_load", access::joins, 30, 1, &operations::get_or_load},
            {"lookup", access::joins, 15, 1, &operations::lookup},
            {"get", access::reads, 10, 1, &operations::get},
            {"try_get", access::reads, only_memory(10), 1, &operations::try_get},
            {"get_many", access::reads, 3, 3, &operations::get_many},
            {"get_many_or_load", access::joins, 8, 3, &operations::get_many_or_load},
            {"load", access::joins, 10, 1, &operations::load},
            {"load_many", access::joins, 3, 3, &operations::load_many},
            {"refresh", access::loads, 8, 1, &operations::refresh},
            {"set", access::writes, 7, 1, &operations::set},
            {"plant", access::writes, only_memory(4), 1, &operations::plant},
            {"invalidate", access::writes, 5, 1, &operations::invalidate},
            {"invalidate_tag", access::writes, 7, 0, &operations::invalidate_tag},
            {"invalidate_if by key", access::writes, only_memory(2), 2, &operations::invalidate_by_key},
            {"invalidate_if by value", access::writes, only_memory(2), 0, &operations::invalidate_by_value},
            {"expire", access::writes, 6, 1, &operations::expire},
            {"clear", access::writes, 2, 0, &operations::clear},
            {"forget", access::writes, 3, 1, &operations::forget},
            {"forget_all", access::writes, 1, 0, &operations::forget_all},
        }};
        return rows;
    }

    static cache_type make_cache(world& w, asio::io_context& context) {
        if constexpr (Kind::remote) {
            return cache_type(context, slow_backend(w.draw.random(), w.given.backend_fails), w.options);
        } else {
            return cache_type(context, w.options);
        }
    }

    // ---- Look-ups ----------------------------------------------------------------------------------------

    asio::awaitable<void> get_or_load(operation& c, std::vector<int> keys) {
        const asking as(*this, c, keys[0]);
        const auto loader = loads_.loader(c);
        if (as.plainly) {
            sees_.saw(c, keys[0], co_await cache_.get_or_load(keys[0], loader));
        } else {
            sees_.saw(c, keys[0], co_await cache_.get_or_load(keys[0], loader, as.options));
        }
    }

    asio::awaitable<void> lookup(operation& c, std::vector<int> keys) {
        const asking as(*this, c, keys[0]);
        const auto loader = loads_.loader(c);
        const auto found = co_await cache_.lookup(keys[0], loader, as.options);
        sees_.saw(c, keys[0], found.value);
        sees_.told(c, keys[0], found);
    }

    asio::awaitable<void> get(operation& c, std::vector<int> keys) {
        ++lookups_;
        reads_cancelled_ += 1; // until it has come back
        sees_.took(c, keys[0], co_await cache_.get(keys[0]));
        reads_cancelled_ -= 1;
    }

    asio::awaitable<void> try_get(operation& c, std::vector<int> keys) {
        if constexpr (!Kind::remote) {
            ++lookups_;
            sees_.took(c, keys[0], cache_.try_get(keys[0]));
        }
        co_return;
    }

    asio::awaitable<void> get_many(operation& c, std::vector<int> keys) {
        lookups_ += keys.size();
        reads_cancelled_ += keys.size();
        const auto found = co_await cache_.get_many(keys);
        reads_cancelled_ -= keys.size();
        for (const int key : keys) {
            const auto it = found.find(key);
            sees_.took(c, key, it == found.end() ? std::nullopt : std::optional<int>(it->second));
        }
    }

    asio::awaitable<void> get_many_or_load(operation& c, std::vector<int> keys) {
        const auto batch = loads_.batch_function(&c);
        lookups_ += keys.size();
        const auto found = co_await cache_.get_many_or_load(keys, batch);
        for (const int key : keys) {
            const auto it = found.find(key);
            if (it == found.end()) {
                world_.wrong(&c, key, 0, "get_many_or_load left a key out");
            } else {
                sees_.took_result(c, key, it->second);
            }
        }
    }

    asio::awaitable<void> load(operation& c, std::vector<int> keys) {
        ++lookups_;
        const batch_wait waiting(loads_, c, keys);
        sees_.saw(c, keys[0], co_await loader_.load(keys[0]));
    }

    asio::awaitable<void> load_many(operation& c, std::vector<int> keys) {
        lookups_ += keys.size();
        const batch_wait waiting(loads_, c, keys);
        const auto found = co_await loader_.load_many(keys);
        for (std::size_t i = 0; i != keys.size(); ++i) {
            sees_.took_result(c, keys[i], found.at(i));
        }
    }

    asio::awaitable<void> refresh(operation& c, std::vector<int> keys) {
        const auto loader = loads_.loader(c);
        auto& begun = world_.history.add_change(change::kind::refresh, keys[0], c.began);
        begun.settled = begun.ended = c.began;
        sees_.saw(c, keys[0], co_await cache_.refresh(keys[0], loader));
    }

    /// A look-up of one key with options of its own, from its call to its return.
    class asking {
    public:
        asking(operations& self, operation& c, int key) : history_(self.world_.history) {
            ++self.lookups_;
            world& w = self.world_;
            c.at_once = true;
            c.soft_timeout = w.options.soft_timeout;
            plainly = !w.draw.chance(4);
            if (plainly) {
                return;
            }
            if (w.draw.chance(2)) {
                c.max_age = options.max_age = w.draw.seconds_between(0, 6);
                change_ = &history_.add_change(change::kind::newer, key, c.began);
            }
            if (w.given.serves_stale && w.draw.chance(2)) {
                c.stale.while_revalidate = w.draw.seconds_between(0, 8);
                options.stale_while_revalidate = c.stale.while_revalidate;
            }
            if (w.given.serves_stale && w.draw.chance(2)) {
                c.stale.if_error = w.draw.seconds_between(0, 8);
                options.stale_if_error = c.stale.if_error;
            }
        }
        asking(const asking&) = delete;
        asking& operator=(const asking&) = delete;
        ~asking() {
            if (change_ != nullptr) {
                change_->ended = history_.tick();
            }
        }

        bool plainly = true;
        acache::load_options options;

    private:
        history& history_;
        change* change_ = nullptr;
    };

    /// Who has asked the loader for some keys, and not come back. One that has left may leave its flight
    /// behind.
    class batch_wait {
    public:
        batch_wait(loads& all, const operation& c, const std::vector<int>& keys)
            : loads_(all), operation_(c), keys_(keys) {
            for (const int key : keys) {
                loads_.waiting_since(key).insert(c.began);
            }
        }
        batch_wait(const batch_wait&) = delete;
        batch_wait& operator=(const batch_wait&) = delete;
        ~batch_wait() {
            if (!operation_.cancelled) {
                for (const int key : keys_) {
                    loads_.waiting_since(key).erase(operation_.began);
                }
            }
        }

    private:
        loads& loads_;
        const operation& operation_;
        const std::vector<int>& keys_;
    };

    // ---- Writes ------------------------------------------------------------------------------------------

    /// A write between its call and its end.
    class write {
    public:
        write(world& w, change::kind is, int key, const operation& c, const version* v = nullptr)
            : history_(w.history),
              change_(history_.add_change(is, key, c.began, is == change::kind::set ? v : nullptr)) {}
        write(const write&) = delete;
        write& operator=(const write&) = delete;
        ~write() { change_.ended = history_.tick(); }
        void settle() const { history_.settle(change_); }
        [[nodiscard]] change& of() const { return change_; }

    private:
        history& history_;
        change& change_;
    };

    asio::awaitable<void> set(operation& c, std::vector<int> keys) {
        const nanoseconds life = world_.draw.chance(3) ? world_.draw.seconds_between(0, 15) : world::ttl;
        version& v = world_.history.add_version(keys[0], c);
        v.is_load = false;
        v.called = c.began;
        v.tags = world_.draw_tags();
        world_.history.bring(v, life, world_.retention());
        const write w(world_, life > 0s ? change::kind::set : change::kind::removal, keys[0], c, &v);
        world_.note("sets", c.id, keys[0], v.number);
        const auto tags = world::names_of(v.tags);
        co_await cache_.set(keys[0], int(v.number), acache::entry_options{.ttl = life, .tags = tags});
        w.settle();
    }

    /// Stores a value past the cache, as another process might.
    asio::awaitable<void> plant(operation& c, std::vector<int> keys) {
        if constexpr (!Kind::remote) {
            manual_clock::advance(1ns); // entries are told apart by when they were made
            version& v = world_.history.add_version(keys[0], c);
            v.is_load = false;
            world_.history.bring(v, world::ttl, world_.retention());
            world_.note("plants", c.id, keys[0], v.number);
            const write w(world_, change::kind::planting, keys[0], c);
            const acache::entry_stamps stamps{v.created, v.fresh_until, v.expires};
            const acache::entry<int> planted(v.number, stamps);
            (void)cache_.backend().set(keys[0], planted);
            w.settle();
        }
        co_return;
    }

    asio::awaitable<void> invalidate(operation& c, std::vector<int> keys) {
        const write w(world_, change::kind::removal, keys[0], c);
        (void)co_await cache_.invalidate(keys[0]);
        w.settle();
    }

    asio::awaitable<void> invalidate_tag(operation& c, std::vector<int>) {
        const auto i = world_.draw.between<std::size_t>(0, world::tag_names.size() - 1);
        const write w(world_, change::kind::by_tag, every_key, c);
        w.of().tags = 1U << i;
        world_.note(world::tag_names[i].data(), c.id, every_key);
        co_await cache_.invalidate_tag(world::tag_names[i]);
        w.settle();
    }

    asio::awaitable<void> invalidate_by_key(operation& c, std::vector<int> keys) {
        if constexpr (!Kind::remote) {
            std::deque<write> all;
            for (const int key : keys) {
                all.emplace_back(world_, change::kind::removal, key, c);
            }
            const auto chosen = [keys](int key) { return std::count(keys.begin(), keys.end(), key) != 0; };
            const auto count = co_await cache_.invalidate_if(chosen);
            if (count > keys.size()) {
                world_.wrong(&c, every_key, 0, "more was removed than there was");
            }
            for (const write& w : all) {
                w.settle();
            }
        }
        co_return;
    }

    asio::awaitable<void> invalidate_by_value(operation& c, std::vector<int>) {
        if constexpr (!Kind::remote) {
            const write fence(world_, change::kind::refresh, every_key, c);
            const write w(world_, change::kind::by_value, every_key, c);
            const int rest = world_.draw.between(0, change::divisor - 1);
            w.of().rest = rest;
            const auto chosen = [rest](int, int value) { return value % change::divisor == rest; };
            (void)co_await cache_.invalidate_if(chosen);
            fence.settle();
            w.settle();
        }
        co_return;
    }

    asio::awaitable<void> expire(operation& c, std::vector<int> keys) {
        const write w(world_, change::kind::expiry, keys[0], c);
        (void)co_await cache_.expire(keys[0]);
        w.settle();
    }

    asio::awaitable<void> clear(operation& c, std::vector<int>) {
        const write w(world_, change::kind::removal, every_key, c);
        co_await cache_.clear();
        w.settle();
    }

    /// The loader's `clear` and `clear_all` are in force when they return; a slow backend hears of it later.
    asio::awaitable<void> forget(operation& c, std::vector<int> keys) {
        const in_background erasure(world_, keys[0], c);
        loader_.clear(keys[0]);
        co_return;
    }
    asio::awaitable<void> forget_all(operation& c, std::vector<int>) {
        const in_background erasure(world_, every_key, c);
        loader_.clear_all();
        co_return;
    }

    /// A removal that nobody waits for, from its call to its return.
    class in_background {
    public:
        in_background(world& w, int key, const operation& c)
            : world_(w), change_(w.history.add_change(change::kind::removal, key, c.began)) {
            change_.in_background = Kind::remote;
        }
        in_background(const in_background&) = delete;
        in_background& operator=(const in_background&) = delete;
        ~in_background() {
            if (!world_.given.backend_fails) {
                world_.history.settle(change_);
            }
            if (!Kind::remote) {
                change_.ended = world_.history.tick();
            }
        }

    private:
        world& world_;
        change& change_;
    };

    void check(bool right, const char* otherwise) const {
        if (!right) {
            world_.wrong(otherwise);
        }
    }

    world& world_;
    witness& sees_;
    loads& loads_;
    cache_type cache_;
    acache::DataLoader<int, int, manual_clock> loader_;
    std::uint64_t lookups_ = 0;
    /// Reads that have not come back: one that is cancelled need not have been counted.
    std::uint64_t reads_cancelled_ = 0;
};

} // namespace simulation

#endif
