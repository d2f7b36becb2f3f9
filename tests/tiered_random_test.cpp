// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"
#include "sanitized.hpp"
#include "shared_fake.hpp"

#include <acache/tiered_backend.hpp>

#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

// Reads, writes and removals of this process, writes of others, losses of the channel and of the connection,
// each operation stopped and released at random, against a model: no read gives a value that is older than
// what this process had written or removed, or heard of, before the read began.

namespace {

using namespace setup;
using acache::entry;
using acache::lease_mode;

using far_type = shared::fake<int, int>;
using tier_type = acache::tiered_backend<acache::testing::manual_backend<int, int>, far_type>;

class model : public acache::change_listener<int> {
public:
    static constexpr int keys = 3;

    explicit model(std::uint32_t seed, bool awaits)
        : random_(seed), awaits_(awaits),
          tier(acache::testing::manual_backend<int, int>(100), far,
               {.await_writes = awaits, .max_pending_writes = 4, .max_stale_on_partition = bound}) {}

    void changed(const int& key) override { raise(key, far.heard()); }
    void lost() override { lost_at_ = manual_clock::now(); }
    void all_changed() override {
        lost_at_.reset();
        for (int key = 0; key != keys; ++key) {
            raise(key, far.to()->slots[key].version);
        }
    }

    void step() {
        act(random_() % 24);
        for (auto n = random_() % 3; n != 0; --n) {
            steps.run_for(1);
            look();
        }
        std::erase_if(reads_, [&](const read& r) { return r.work.done() && check(r); });
        finish_writes();
        for (int key = 0; key != keys; ++key) {
            check_near(key);
        }
    }

    /// Lets everything come to its end, and compares what there is then.
    void end() {
        far.down(false);
        for (const op kind : kinds) {
            far.script().let_pass(kind);
        }
        far.restore();
        while (far.script().release_all() + steps.run_until_idle() != 0) {
        }
        look();
        finish_writes();
        far.deliver();
        for (const auto& [result, required] : later_) {
            CHECK(!(numbers_.contains(result) && numbers_.contains(required) &&
                    numbers_[result] < numbers_[required]));
        }
        CHECK(reads_.empty() == std::ranges::all_of(reads_, [](const read& r) { return !r.work.done(); }));
        for (int key = 0; key != keys; ++key) {
            const auto there = far.peek(key);
            const auto found = steps.run(tier.get(key));
            // A write that has failed may be in level 1.
            CHECK((!found || failed_.contains(found->value) || (there && there->value == found->value)));
        }
        CHECK(tier.level_metrics().pending_writes == 0);
    }

    static constexpr auto bound = 5s;
    asio::io_context context;
    stepper steps{context};
    far_type far;

private:
    static constexpr std::array kinds{op::get, op::get_many, op::set, op::erase, op::clear};

    struct read {
        int key;
        std::uint64_t floor;
        std::optional<int> written; // in the background, it may be
        caller<std::optional<entry<int>>> work;
    };
    struct write {
        int key; // all, if negative
        std::optional<int> value;
        caller<bool> work;
    };

    void act(std::uint64_t what) {
        const int key = static_cast<int>(random_() % keys);
        const op kind = kinds[random_() % kinds.size()];
        switch (what) {
        case 0:
        case 1:
        case 2:
        case 3:
            return begin_read(key, tier.get(key));
        case 4:
            return begin_read(key, leased_get(tier, key));
        case 5:
            return begin_read(key, many_get(tier, key));
        case 6:
        case 7:
            ++value_;
            return begin_write(key, value_, set(tier, key, value_, false));
        case 8:
        case 9:
            ++value_;
            return begin_write(key, value_, set(tier, key, value_, true));
        case 10:
        case 11:
            return begin_write(key, {}, tier.erase(key));
        case 12:
            return begin_write(-1, {}, clear(tier));
        case 13:
        case 14:
            far.write_elsewhere(key, random_() % 4 == 0 ? std::optional<entry<int>>() : made(++value_));
            return look();
        case 15:
            return far.deliver();
        case 16:
            return random_() % 2 == 0 ? far.script().hold(kind) : far.script().hold_answers(kind);
        case 17:
            return far.script().let_pass(kind);
        case 18:
            if (random_() % 4 == 0) {
                lost_at_ ? far.restore() : far.lose();
            }
            return;
        case 19:
            return far.down(random_() % 4 == 0);
        case 20:
            manual_clock::advance(1s);
            return;
        case 21:
            tier.level1().erase(key); // as if it was evicted
            return;
        default:
            far.script().release_one();
        }
    }

    static entry<int> made(int value) { return entry<int>(value, manual_clock::now()); }

    static asio::awaitable<std::optional<entry<int>>> leased_get(tier_type& tier, int key) {
        tier_type::lease lease;
        co_return co_await tier.get(key, lease, lease_mode::go_on);
    }
    static asio::awaitable<std::optional<entry<int>>> many_get(tier_type& tier, int key) {
        const std::vector<int> all{(key + 1) % keys, key};
        auto found = co_await tier.get_many(all);
        co_return std::move(found[1]);
    }
    static asio::awaitable<bool> set(tier_type& tier, int key, int value, bool leased) {
        auto e = made(value);
        if (!leased) {
            co_await tier.set(key, e);
            co_return true;
        }
        tier_type::lease lease;
        (void)co_await tier.get(key, lease, lease_mode::wait);
        co_return co_await tier.set(key, e, lease);
    }
    static asio::awaitable<bool> clear(tier_type& tier) {
        co_await tier.clear();
        co_return true;
    }

    void begin_read(int key, asio::awaitable<std::optional<entry<int>>> work) {
        reads_.push_back({key, floor_[key], written_[key], {context.get_executor(), std::move(work)}});
    }
    /// No two writes of a key overlap, as in a cache.
    void begin_write(int key, std::optional<int> value, asio::awaitable<bool> work) {
        const bool free = key < 0 ? writes_.empty() : std::ranges::none_of(writes_, [&](const write& w) {
            return w.key == key || w.key < 0;
        });
        if (free) {
            writes_.push_back({key, value, {context.get_executor(), std::move(work)}});
        }
    }

    void finish_writes() {
        std::erase_if(writes_, [&](const write& w) {
            if (!w.work.done()) {
                return false;
            }
            const bool stored = !w.work.failed() && w.work.value();
            if (w.work.failed() && w.value) {
                failed_.emplace(*w.value, true);
                numbers_.try_emplace(*w.value, far.to()->number);
            }
            for (int key = 0; key != keys; ++key) {
                if ((w.key == key || w.key < 0) && !w.work.failed()) {
                    if (w.value && stored && !awaits_) {
                        written_[key] = w.value;
                    } else if (!w.value || stored) {
                        raise(key, far.last_write(key));
                    }
                }
            }
            return true;
        });
    }

    /// Notes what the server has, and as which write.
    void look() {
        for (const auto& [key, slot] : far.to()->slots) {
            if (slot.value) {
                numbers_.try_emplace(slot.value->value, slot.version);
            }
        }
    }
    void raise(int key, std::uint64_t number) { floor_[key] = std::max(floor_[key], number); }

    bool check(const read& r) {
        if (!r.work.failed() && r.work.value()) {
            const int result = r.work.value()->value;
            INFO("value " << result << " of key " << r.key);
            CHECK((!numbers_.contains(result) || numbers_[result] >= r.floor));
            if (r.written && *r.written != result) {
                later_.emplace_back(result, *r.written);
            }
        }
        return true;
    }
    void check_near(int key) {
        auto answer = tier.try_get(key);
        if (const auto& found = answer.found()) {
            INFO("value " << found->value << " of key " << key << " in level 1");
            CHECK((!numbers_.contains(found->value) || numbers_[found->value] >= floor_[key]));
            CHECK((!lost_at_ || manual_clock::now() < std::max(found->created, *lost_at_) + bound));
        }
    }

    std::mt19937 random_;
    const bool awaits_;
    int value_ = 0;
    std::map<int, std::uint64_t> numbers_; // of values
    std::map<int, bool> failed_;
    std::map<int, std::uint64_t> floor_; // of keys
    std::map<int, std::optional<int>> written_;
    std::vector<std::pair<int, int>> later_;
    std::optional<acache::time_point> lost_at_;
    std::list<read> reads_;
    std::list<write> writes_;

public:
    tier_type tier;
};

TEST_CASE("C30 C31 whatever comes between, nobody sees a value older than what was written or heard") {
    const bool awaits = GENERATE(true, false);
    const int rounds = unless_sanitized(400);
    for (int seed = 0; seed != rounds; ++seed) {
        INFO("seed " << seed << ", writes " << (awaits ? "awaited" : "in the background"));
        manual_clock::reset();
        const auto m = std::make_shared<model>(static_cast<std::uint32_t>(seed), awaits);
        m->tier.listen(m);
        for (int i = 0; i != 300; ++i) {
            m->step();
        }
        m->end();
    }
}

} // namespace
