// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// The memory backend against a map that does the obvious: which entry is evicted is the policy's choice, and
// everything else has to agree, each removal and its cause included.
#include "sanitized.hpp"

#include <acache/detail/timer_wheel.hpp>
#include <acache/lru.hpp>
#include <acache/memory_backend.hpp>
#include <acache/s3_fifo.hpp>
#include <acache/turnstile.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using acache::entry;
using acache::memory_options;
using acache::removal_cause;
using acache::time_point;

struct model_clock {
    static time_point now() noexcept { return current; }
    static inline time_point current{1h};
};

/// Evicts whatever was inserted first, read or not: the simplest policy there is.
class fifo : public acache::lru {
public:
    template <class Hooks>
    void hit(Hooks&, acache::entry_id) noexcept {}
};

struct setup {
    memory_options options;
    bool weighs = false;
    int keys = 100;
    int steps = unless_sanitized(100'000);
};

template <class Policy>
class model_check {
    using value = std::string;

    struct held {
        int number;
        std::size_t weight;
        acache::entry_stamps stamps;
        acache::entry_details_ptr details;
        time_point used;
    };

public:
    explicit model_check(const setup& s) : setup_(s), capacity_(s.options.capacity), store_(s.options) {
        model_clock::current = time_point{1h};
        if (s.weighs) {
            store_.weigh_by([](int, const value& v) { return weight_of(number_of(v)); });
            max_weight_ = s.options.max_weight;
        }
        store_.on_removal([this](int key, const value& v, removal_cause cause) {
            told_.push_back({key, number_of(v), cause});
        });
    }

    void run() {
        for (int i = 0; i != setup_.steps; ++i) {
            step(i);
            if (i % 64 == 0) {
                agree();
            }
        }
        agree();
    }

private:
    static constexpr auto slack = 2 * acache::detail::timer_wheel::tick;

    static int number_of(const value& v) { return std::stoi(v); }
    /// Some weigh nothing, some a lot.
    static std::size_t weight_of(int number) {
        return number % 50 == 0 ? 0 : number % 97 == 0 ? 60 : static_cast<std::size_t>(number % 7 + 1);
    }
    std::size_t weight(int number) const { return setup_.weighs ? weight_of(number) : 0; }

    time_point idle_end(const held& h) const {
        return setup_.options.time_to_idle ? h.used + *setup_.options.time_to_idle : time_point::max();
    }
    time_point due(const held& h) const { return std::min(h.stamps.expires, idle_end(h)); }
    time_point fresh_until(const held& h) const { return std::min(h.stamps.fresh_until, idle_end(h)); }

    void require_same(const entry<value>& e, const held& h) const {
        REQUIRE(number_of(e.value) == h.number);
        REQUIRE(e.created == h.stamps.created);
        REQUIRE(e.fresh_until == fresh_until(h));
        REQUIRE(e.expires == due(h));
        REQUIRE(e.details == h.details);
    }

    void step(int i) {
        key_ = static_cast<int>(random_() % static_cast<unsigned>(setup_.keys));
        const auto choice = random_() % 1000;
        if (choice < 450) {
            get();
        } else if (choice < 850) {
            set(i);
        } else if (choice < 950) {
            erase();
        } else if (choice < 996) {
            const auto bits = random_() % 34;
            model_clock::current += std::chrono::nanoseconds{random_() % (std::uint64_t{1} << bits)};
        } else if (choice < 999) {
            resize();
        } else if (random_() % 3 == 0) {
            doing_ = "clear";
            store_.clear();
            settle();
            REQUIRE(model_.empty());
        }
    }

    void get() {
        const auto found = store_.get(key_);
        const auto known = model_.find(key_);
        REQUIRE(found.has_value() == (known != model_.end()));
        if (found) {
            require_same(*found, known->second);
            store_.read(key_, store_.hash_of(key_), [&](const value&, const auto& stamps) {
                const bool fresh =
                    model_clock::current < std::min(fresh_until(known->second), found->expires);
                REQUIRE(stamps.fresh(&model_clock::now) == fresh);
            });
            if (found->expires > model_clock::current) {
                touch(known->second);
            }
        }
    }

    void touch(held& h) const {
        if (setup_.options.time_to_idle) {
            const auto step = std::min<std::chrono::nanoseconds>(*setup_.options.time_to_idle / 1024, 1ms);
            h.used = model_clock::current - h.used > step ? model_clock::current : h.used;
        }
    }

    void set(int i) {
        doing_ = "set";
        fresh_ = held{i, weight(i), some_stamps(), nullptr, model_clock::current};
        if (random_() % 5 == 0) {
            fresh_.details = new acache::entry_details;
        }
        const bool fits = capacity_ != 0 && fresh_.weight <= max_weight_;
        setting_ = fits;
        store_.set(key_,
                   entry<value>{std::to_string(i) + std::string(20, ' '), fresh_.stamps, fresh_.details});
        settle();
        setting_ = false;
        REQUIRE(store_.get(key_).has_value() == (fits && rejected_as_pinned() == 0));
        if (fits && rejected_as_pinned() == 0) {
            REQUIRE(!model_.contains(key_));
            model_[key_] = fresh_;
        } else {
            REQUIRE(!model_.contains(key_));
        }
    }

    /// Plain ones and odd ones, some in whole milliseconds.
    acache::entry_stamps some_stamps() {
        const auto some_time = [this] {
            const std::chrono::nanoseconds exact{random_() % (std::uint64_t{1} << random_() % 36)};
            return random_() % 2 == 0 ? exact : std::chrono::ceil<std::chrono::milliseconds>(exact);
        };
        acache::entry_stamps result{.created = model_clock::current - some_time()};
        if (random_() % 2 == 0) {
            result.created = std::chrono::floor<std::chrono::milliseconds>(result.created);
        }
        switch (random_() % 6) {
        case 0:
            return result;
        case 1:
            result.fresh_until = model_clock::current;
            result.expires = model_clock::current + some_time();
            return result;
        case 2:
            result.fresh_until = model_clock::current + some_time();
            return result;
        default:
            result.fresh_until =
                std::chrono::floor<std::chrono::milliseconds>(model_clock::current + some_time());
            result.expires = result.fresh_until + setup_.options.retention;
            return result;
        }
    }

    // Where every entry is pinned there is no room for more; the setups here avoid it.
    static int rejected_as_pinned() { return 0; }

    void erase() {
        doing_ = "erase";
        const auto known = model_.find(key_);
        const bool there = known != model_.end() && due(known->second) > model_clock::current;
        const bool told = static_cast<bool>(store_.erase(key_));
        settle();
        REQUIRE(told == there);
        REQUIRE(!model_.contains(key_));
    }

    void resize() {
        doing_ = "resize";
        if (setup_.weighs && random_() % 2 == 0) {
            max_weight_ = setup_.options.max_weight / 2 + random_() % setup_.options.max_weight;
            store_.resize_weight(max_weight_);
        } else if (setup_.options.capacity != acache::unbounded) {
            capacity_ = setup_.options.capacity / 2 + 1 + random_() % setup_.options.capacity;
            store_.resize(capacity_);
        }
        settle();
        REQUIRE(model_.size() <= capacity_);
        REQUIRE(total_weight() <= max_weight_);
    }

    struct removal {
        int key;
        int number;
        removal_cause cause;
    };

    /// Takes over what the store told of the last operation: what expired first, since it was gone first,
    /// and an entry that was replaced last, since it may have had to wait for room.
    void settle() {
        const auto rank = [](const removal& r) {
            return r.cause == removal_cause::expired ? 0 : r.cause == removal_cause::replaced ? 2 : 1;
        };
        std::ranges::sort(told_, {}, rank);
        evicted_.clear();
        expired_weight_ = 0;
        for (const auto& r : std::exchange(told_, {})) {
            if (r.cause == removal_cause::replaced) {
                check_need();
            }
            removed(r.key, r.number, r.cause);
        }
        check_need();
    }

    /// Each victim of a `set` was needed: without the last, whichever it was, there was no room. Among the
    /// victims may have been some that had just expired.
    void check_need() {
        if (evicted_.empty()) {
            return;
        }
        const auto old = model_.find(key_);
        const bool another = old == model_.end();
        const auto more = fresh_.weight - (another ? 0 : std::min(old->second.weight, fresh_.weight));
        const auto last = std::ranges::max(evicted_) + expired_weight_;
        REQUIRE((model_.size() + another + 1 > capacity_ || total_weight() + more + last > max_weight_));
        evicted_.clear();
    }

    void removed(int key, int number, removal_cause cause) {
        const auto known = model_.find(key);
        REQUIRE(known != model_.end()); // once only
        const held gone = known->second;
        REQUIRE(number == gone.number);
        const auto now = model_clock::current;
        ++causes_[static_cast<std::size_t>(cause)];
        if (cause == removal_cause::expired) {
            REQUIRE(due(gone) <= now);
            expired_weight_ += gone.weight;
        } else {
            REQUIRE(due(gone) > now);
        }
        if (cause == removal_cause::replaced) {
            REQUIRE((doing_ == "set" && key == key_));
        } else if (cause == removal_cause::invalidated) {
            REQUIRE((doing_ == "clear" || (doing_ == "erase" && key == key_)));
        } else if (cause == removal_cause::capacity) {
            REQUIRE((doing_ == "set" || doing_ == "resize"));
            REQUIRE((!setup_.weighs || gone.weight != 0));
            if (doing_ == "set") {
                REQUIRE(setting_);
                REQUIRE(key != key_);
                evicted_.push_back(gone.weight);
            }
            for (const auto& [other, h] : model_) {
                REQUIRE(due(h) > now - slack); // the dead go first
            }
        }
        model_.erase(known);
    }

    std::size_t total_weight() const {
        std::size_t sum = 0;
        for (const auto& [key, h] : model_) {
            sum += h.weight;
        }
        return sum;
    }

    void agree() {
        doing_ = "metrics";
        const auto m = store_.metrics();
        settle();
        for (const auto& [key, h] : model_) {
            REQUIRE(due(h) > model_clock::current - slack);
        }
        REQUIRE(m.size == model_.size());
        REQUIRE(m.weight == (setup_.weighs ? total_weight() : model_.size()));
        REQUIRE(m.removals.capacity == causes_[0]);
        REQUIRE(m.removals.expired == causes_[1]);
        REQUIRE(m.removals.invalidated == causes_[2]);
        REQUIRE(m.removals.replaced == causes_[3]);
        std::size_t visited = 0;
        store_.visit([&](int key, const entry<value>& e) {
            ++visited;
            const auto known = model_.find(key);
            REQUIRE(known != model_.end());
            require_same(e, known->second);
        });
        REQUIRE(visited == model_.size());
    }

    const setup setup_;
    std::size_t capacity_;
    std::size_t max_weight_ = acache::unbounded;
    acache::memory_backend<int, value, acache::hash<int>, std::equal_to<>, Policy, model_clock> store_;
    std::unordered_map<int, held> model_;
    std::vector<removal> told_;
    std::vector<std::size_t> evicted_; // their weights
    std::size_t expired_weight_ = 0;
    std::uint64_t causes_[4] = {};
    std::mt19937_64 random_{17};
    std::string doing_;
    int key_ = 0;
    bool setting_ = false;
    held fresh_{};
};

TEMPLATE_TEST_CASE("a store agrees with a map, entries by number", "", acache::turnstile, acache::lru, fifo) {
    const std::size_t capacity = GENERATE(1u, 2u, 7u, 100u, 1000u, 10'000u);
    const std::size_t shards = GENERATE(1u, 8u);
    const auto retention = capacity % 2 == 0 ? 0ns : std::chrono::nanoseconds(3s);
    CAPTURE(capacity, shards);
    model_check<TestType>{{.options = {.capacity = capacity, .shards = shards, .retention = retention},
                           .keys = static_cast<int>(2 * capacity + 5),
                           .steps = unless_sanitized(60'000)}}
        .run();
}

TEMPLATE_TEST_CASE("a store agrees with a map, entries by weight", "", acache::s3_fifo, acache::lru, fifo) {
    const std::size_t max_weight = GENERATE(50u, 100u, 1000u);
    const std::size_t shards = GENERATE(1u, 8u);
    CAPTURE(max_weight, shards);
    model_check<TestType>{{.options = {.capacity = max_weight, .shards = shards, .max_weight = max_weight},
                           .weighs = true,
                           .keys = static_cast<int>(max_weight),
                           .steps = unless_sanitized(60'000)}}
        .run();
}

TEMPLATE_TEST_CASE("a store agrees with a map, entries by their last use", "", acache::turnstile,
                   acache::lru) {
    const std::size_t capacity = GENERATE(5u, 300u, acache::unbounded);
    const auto idle = GENERATE(1ms, 100ms, 5s);
    CAPTURE(capacity, idle.count());
    model_check<TestType>{
        {.options = {.capacity = capacity, .shards = 4, .time_to_idle = idle, .retention = 100ms},
         .keys = 500,
         .steps = unless_sanitized(60'000)}}
        .run();
}

} // namespace
