// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_SIMULATION_HPP
#define ACACHE_TESTS_SIMULATION_HPP

#include "simulation_loads.hpp"
#include "simulation_operations.hpp"
#include "simulation_witness.hpp"
#include "simulation_world.hpp"

#include <acache/detail/random.hpp>
#include <acache/testing.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <string>
#include <vector>

namespace simulation {

/// One run: callers, each of which does a few operations one after the other, begin, leave and are resumed in
/// an order that is drawn, while the clock goes on. What they get is held against the `history`.
template <class Kind>
class run {
public:
    run(std::uint64_t seed, const setup& s) : world_(begin(seed), s, Kind::remote) {}

    /// What was wrong first; empty where nothing was.
    [[nodiscard]] const std::string& violation() const { return world_.violation; }
    [[nodiscard]] std::string trace() const { return world_.report(); }

    void play() {
        for (int i = world_.draw.between(10, 60); i != 0 && violation().empty(); --i) {
            act();
        }
        if (violation().empty()) {
            finish();
        }
    }

private:
    using operations_type = operations<Kind>;
    using row = typename operations_type::row;

    struct caller {
        asio::cancellation_signal signal;
        operation* doing = nullptr;
        int completions = 0;
    };

    /// What all runs share begins anew with each.
    static std::uint64_t begin(std::uint64_t seed) {
        manual_clock::reset();
        acache::detail::random_source::here().seed(seed);
        return seed;
    }

    void begin_caller(const row* only = nullptr) {
        caller& who = callers_.emplace_back();
        asio::co_spawn(context_, live(who, only),
                       asio::bind_cancellation_slot(who.signal.slot(), [this, &who](std::exception_ptr e) {
                           ++who.completions;
                           if (e) {
                               world_.wrong("an exception came out of a caller");
                           }
                       }));
    }

    /// A few operations, one right after the other; no more after one that was left.
    asio::awaitable<void> live(caller& who, const row* only) {
        for (int i = only != nullptr ? 1 : world_.draw.between(1, 3); i != 0 && violation().empty(); --i) {
            const row& what = only != nullptr ? *only : operations_.draw_row();
            std::vector<int> keys = only != nullptr ? world_.all_keys() : world_.draw_keys(what.max_keys);
            operation& c = world_.history.began(what.name, what.how);
            if (what.max_keys == 0) {
                world_.trace.note(c.began, what.name, c.id, every_key);
            }
            for (const int key : keys) {
                world_.trace.note(c.began, what.name, c.id, key);
            }
            who.doing = &c;
            std::exception_ptr failure;
            try {
                co_await operations_.perform(what, c, keys);
            } catch (...) {
                failure = std::current_exception();
            }
            who.doing = nullptr;
            c.is_over = true;
            if (failure) {
                witness_.failed(c, keys.empty() ? every_key : keys[0], failure);
            }
            if (c.cancelled) {
                co_return;
            }
        }
    }

    void leave(caller& who) {
        world_.note("is cancelled", who.doing->id, every_key);
        who.doing->cancelled = true;
        who.signal.emit(asio::cancellation_type::terminal);
    }

    void act() {
        dice& draw = world_.draw;
        const int choice = draw.between(0, 99);
        if (choice < 45) {
            begin_caller();
        } else if (choice < 55 && world_.given.callers_leave) {
            if (!callers_.empty()) {
                caller& who = callers_[draw.between<std::size_t>(0, callers_.size() - 1)];
                if (who.doing != nullptr && !who.doing->cancelled) {
                    leave(who);
                }
            }
        } else if (choice < 63) {
            const auto by = draw.seconds_between(1, draw.chance(4) ? 12 : 3);
            manual_clock::advance(by);
            world_.note("the clock goes on", 0, every_key, static_cast<int>(by.count()));
        } else if (choice < 66) {
            settle();
        } else {
            steps_.run_for(draw.between<std::size_t>(1, 12));
        }
    }

    void settle() {
        steps_.run_until_idle();
        world_.history.is_quiet();
    }

    /// Lets everybody come to an end, and looks at what is left.
    void finish() {
        settle();
        for (caller& who : callers_) {
            if (who.doing != nullptr) {
                leave(who); // it waits for a load that waits to be cancelled
                settle();
            }
        }
        begin_caller(&operations_type::look_at_all());
        settle();
        for (const caller& who : callers_) {
            if (who.completions != 1) {
                world_.wrong("a caller has not come to its end, or has twice");
            }
        }
        operations_.check_metrics();
        try {
            steps_.run(operations_.cache().drain());
        } catch (const std::exception& e) {
            world_.wrong(e.what());
        }
    }

    world world_;
    witness witness_{world_};
    loads loads_{world_, witness_};
    std::deque<caller> callers_;
    asio::io_context context_;
    acache::testing::stepper steps_{context_};
    operations_type operations_{world_, witness_, loads_, context_};
};

} // namespace simulation

#endif
