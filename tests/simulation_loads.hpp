// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_SIMULATION_LOADS_HPP
#define ACACHE_TESTS_SIMULATION_LOADS_HPP

#include "simulation_witness.hpp"
#include "simulation_world.hpp"

#include <acache/data_loader.hpp>
#include <acache/load_context.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <deque>
#include <exception>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace simulation {

/// The loads of a run: what they bring, how long that takes, and what they say of it, is drawn.
class loads {
public:
    loads(world& w, witness& sees) : world_(w), sees_(sees) {}

    /// A loader, which knows when it has been moved from.
    class single {
    public:
        single(loads& of, operation& c) : of_(&of), by_(&c) {}
        single(const single&) = default;
        single(single&& other) noexcept : of_(other.of_), by_(std::exchange(other.by_, nullptr)) {}
        asio::awaitable<int> operator()(acache::load_context& context, int key) const {
            if (by_ == nullptr) {
                of_->world_.wrong("a loader was called that had been moved from");
                throw load_failed{0};
            }
            return of_->load_one(context, key, *by_);
        }

    private:
        loads* of_;
        operation* by_;
    };
    [[nodiscard]] single loader(operation& c) { return {*this, c}; }

    /// A batch function, of one operation or, with null, of all who wait for the loader.
    struct batch {
        loads* of;
        operation* by;
        asio::awaitable<std::vector<acache::load_result<int>>> operator()(std::vector<int> keys) const {
            return of->load_batch(std::move(keys), by);
        }
    };
    [[nodiscard]] batch batch_function(operation* c) { return {this, c}; }

    /// When those began to wait for the loader's batch who do.
    [[nodiscard]] std::set<event>& waiting_since(int key) {
        return waiting_since_[static_cast<std::size_t>(key)];
    }

private:
    /// A load while it runs. One that is cancelled brings nothing.
    class loading {
    public:
        loading(world& w, version& v) : world_(w), version_(v) { note("load begins"); }
        loading(const loading&) = delete;
        loading& operator=(const loading&) = delete;
        ~loading() {
            if (version_.ended == never) {
                world_.history.give_up(version_);
            }
            note(version_.is == version::status::value    ? "load brings"
                 : version_.is == version::status::failed ? "load fails"
                                                          : "load is given up");
        }
        [[nodiscard]] version& of() const { return version_; }

    private:
        void note(const char* what) { world_.note(what, version_.by, version_.key, version_.value); }

        world& world_;
        version& version_;
    };

    asio::awaitable<int> load_one(acache::load_context& context, int key, operation& c) {
        const loading load(world_, world_.history.add_load(key, c));
        version& v = load.of();
        sees_.load_began(&c, v);
        const bool is_said = compare(context, v);
        if (v.tags == 0) {
            v.tags = world_.draw_tags();
        }
        const bool waits_first = world_.draw.chance(2);
        if (!is_said && !waits_first) {
            say(context, v);
        }
        co_await suspend_a_while();
        if (!is_said && waits_first) {
            say(context, v);
        }
        const auto state = co_await asio::this_coro::cancellation_state;
        nanoseconds life = world::ttl;
        if (world_.draw.chance(3)) {
            life = world_.draw.seconds_between(0, 15);
            context.ttl(life);
        }
        const nanoseconds retention =
            c.how == access::joins
                ? std::max({c.stale.while_revalidate, c.stale.if_error, world_.options.keep_stale})
                : world_.retention();
        end(v, state, life, retention);
        co_return v.number;
    }

    /// Looks at what is stored, and may find that it is still right. An entry's tags are its validator.
    /// Whether there is no more to be said of it.
    bool compare(acache::load_context& context, version& v) {
        const int* const stored = context.stale<int>();
        if (stored == nullptr) {
            return false;
        }
        sees_.shown(v, *stored);
        if (world_.draw.chance(3)) {
            context.not_modified();
            v.value = *stored;
            const std::string_view said = context.stale_validator();
            (void)std::from_chars(said.data(), said.data() + said.size(), v.tags);
            if (v.tags == 0) {
                v.tags = 1; // what was set has no validator, and may have tags
            } else if (world_.draw.chance(2)) {
                return true; // they stay as they are
            }
        }
        return false;
    }

    static void say(acache::load_context& context, const version& v) {
        for (const auto name : world::names_of(v.tags)) {
            context.tag(name);
        }
        context.validator(std::to_string(v.tags));
    }

    asio::awaitable<std::vector<acache::load_result<int>>> load_batch(std::vector<int> keys, operation* c) {
        std::deque<loading> begun;
        for (const int key : keys) {
            for (const loading& other : begun) {
                if (other.of().key == key) {
                    world_.wrong(nullptr, key, 0, "a batch held a key twice");
                }
            }
            if (c != nullptr) {
                sees_.load_began(c, begun.emplace_back(world_, world_.history.add_load(key, *c)).of());
            } else {
                // Where nobody waits it renews what was stale, or was, for somebody who came since the last
                // batch.
                const auto& since = waiting_since(key);
                const event now = world_.history.tick();
                version& v =
                    world_.history.add_version(key, 0, since.empty() ? last_batch_ : *since.begin(), now);
                v.in_background = since.empty();
                sees_.load_began(nullptr, begun.emplace_back(world_, v).of());
            }
        }
        last_batch_ = c == nullptr ? world_.history.tick() : last_batch_;
        co_await suspend_a_while();
        const auto state = co_await asio::this_coro::cancellation_state;
        if (world_.draw.chance(10)) {
            const int number = begun.front().of().number;
            for (const loading& load : begun) {
                world_.history.fail(load.of(), number);
            }
            throw load_failed{number};
        }
        std::vector<acache::load_result<int>> results;
        for (const loading& load : begun) {
            try {
                end(load.of(), state, world::ttl, world_.retention(), true);
                results.emplace_back(load.of().number);
            } catch (...) {
                results.emplace_back(std::current_exception());
            }
        }
        co_return results;
    }

    /// Nothing, a few steps, or until the load is cancelled; a few ignore that.
    asio::awaitable<void> suspend_a_while() {
        if (world_.given.callers_leave && !world_.loads_go_on() && world_.draw.chance(20)) {
            asio::steady_timer never_due(co_await asio::this_coro::executor,
                                         asio::steady_timer::time_point::max());
            co_await never_due.async_wait(asio::deferred);
        }
        if (world_.draw.chance(5)) {
            co_await asio::this_coro::throw_if_cancelled(false);
        }
        co_await hop(world_.draw.between(0, 8));
    }

    /// Brings the value, or fails.
    void end(version& v, const asio::cancellation_state& state, nanoseconds life, nanoseconds retention,
             bool in_batch = false) {
        if (world_.draw.chance(world_.given.serves_stale ? 3 : 5)) {
            world_.history.fail(v, v.number, in_batch);
            throw load_failed{v.number};
        }
        if (state.cancelled() != asio::cancellation_type::none) {
            world_.history.give_up(v); // what it brings is for nobody
        } else {
            world_.history.bring(v, life, retention);
        }
    }

    world& world_;
    witness& sees_;
    std::array<std::set<event>, world::most_keys> waiting_since_;
    event last_batch_ = 0; // of the DataLoader
};

} // namespace simulation

#endif
