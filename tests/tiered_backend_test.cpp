// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"
#include "shared_fake.hpp"

#include <acache/tiered_backend.hpp>

#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <array>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// A memory over a backend that others write to as well, without a cache on top.

namespace {

using namespace setup;
using acache::entry;
using acache::lease_mode;
using acache::time_point;

using near_type = acache::testing::manual_backend<std::string, int>;
using far_type = shared::fake<std::string, int>;
using lone_type = acache::testing::scripted_backend<std::string, int>;
using tier_type = acache::tiered_backend<near_type, far_type>;
using lone_tier = acache::tiered_backend<near_type, lone_type>;
using lease_type = tier_type::lease;

static_assert(acache::asynchronous_backend<tier_type, std::string, int>);
static_assert(acache::local_lookup_backend<tier_type, std::string, int>);
static_assert(acache::multi_get_backend<tier_type, std::string, int>);
static_assert(acache::leasing_backend<tier_type, std::string, int>);
static_assert(acache::multi_set_backend<tier_type, std::string, int>);
static_assert(acache::tagging_backend<tier_type>);
static_assert(acache::notifying_backend<tier_type, std::string>);
static_assert(acache::measured_backend<tier_type>);
static_assert(tier_type::tier_name == "far" && tier_type::local_tier_name == "memory");

// What level 2 cannot do the tier cannot do either.
static_assert(acache::asynchronous_backend<lone_tier, std::string, int>);
static_assert(acache::multi_get_backend<lone_tier, std::string, int>);
static_assert(!acache::leasing_backend<lone_tier, std::string, int>);
static_assert(!acache::tagging_backend<lone_tier>);
static_assert(!acache::notifying_backend<lone_tier, std::string>);
static_assert(std::is_trivially_destructible_v<acache::tiered_options>);

entry<int> made(int value, time_point until = time_point::max()) {
    return entry<int>(value, manual_clock::now(), until);
}

entry<int> tagged(int value, acache::detail::tag_table& tags, const std::string& name) {
    const acache::detail::tag_table::load now(tags);
    auto* const details = new acache::entry_details;
    const acache::entry_details_ptr kept(details);
    details->tags = tags.taggings({name}, now.began());
    return entry<int>(value, acache::entry_stamps{manual_clock::now()}, kept);
}

struct pair {
    explicit pair(acache::tiered_options options = {}) {
        manual_clock::reset();
        tier.emplace(near_type(100), far, options);
    }
    template <class T>
    caller<T> call(asio::awaitable<T> work) {
        caller<T> result(context.get_executor(), std::move(work));
        settle();
        return result;
    }
    void settle() { steps.run_until_idle(); }
    void release() {
        far.script().release_all();
        settle();
    }
    std::optional<int> here(const std::string& key) {
        auto answer = tier->try_get(key);
        return answer.found() ? std::optional(answer.found()->value) : std::nullopt;
    }
    std::optional<int> get(const std::string& key) {
        const auto found = steps.run(tier->get(key));
        return found ? std::optional(found->value) : std::nullopt;
    }
    [[nodiscard]] std::size_t reads() const { return far.script().calls(op::get); }
    void set(const std::string& key, int value) { steps.run(tier->set(key, made(value))); }
    /// Somebody else writes, and the tier has heard of it.
    void change(const std::string& key, int value) const {
        far.write_elsewhere(key, made(value));
        far.deliver();
    }

    asio::io_context context;
    stepper steps{context};
    far_type far;
    std::optional<tier_type> tier;
};

TEST_CASE("what is set is in both levels, and level 1 answers at once") {
    pair p;
    CHECK_FALSE(p.tier->try_get("a").known());
    p.set("a", 1);
    CHECK(p.far.peek("a")->value == 1);
    CHECK(p.here("a") == 1);
    CHECK(p.get("a") == 1);
    CHECK(p.reads() == 0);
    int seen = 0;
    const auto look = [&](const int& value, const auto& stamps) {
        seen = stamps.fresh(&manual_clock::now) ? value : -1;
    };
    CHECK(p.tier->read("a", p.tier->hash_of("a"), look));
    CHECK(seen == 1);
    CHECK_FALSE(p.tier->read("b", p.tier->hash_of("b"), look));
    CHECK(p.tier->metrics().size == 1);
}

TEST_CASE("what level 2 has is fetched once and then here; what it has not is nowhere known") {
    pair p;
    p.change("a", 1);
    CHECK(p.get("a") == 1);
    CHECK(p.get("a") == 1);
    CHECK(p.reads() == 1);
    CHECK(p.here("a") == 1);
    CHECK(p.get("b") == std::nullopt);
    CHECK_FALSE(p.tier->try_get("b").known());
}

TEST_CASE("options that make no sense are refused") {
    const auto make = [](acache::tiered_options options) { tier_type(near_type(1), far_type(), options); };
    CHECK_THROWS_AS(make({.ttl = 0s}), std::invalid_argument);
    CHECK_THROWS_AS(make({.max_stale_on_partition = -1s}), std::invalid_argument);
    CHECK_THROWS_AS(make({.max_pending_writes = 0}), std::invalid_argument);
    CHECK_NOTHROW(make({.max_stale_on_partition = 0s}));
}

TEST_CASE("C28 concurrent look-ups of one key make one read of level 2") {
    pair p;
    p.change("a", 1);
    p.change("b", 2);
    p.far.script().hold(op::get);
    std::vector<caller<std::optional<entry<int>>>> callers;
    for (int i = 0; i != 10; ++i) {
        callers.push_back(p.call(p.tier->get("a")));
    }
    auto other = p.call(p.tier->get("b"));
    CHECK(p.reads() == 2);
    p.release();
    for (const auto& c : callers) {
        CHECK(c.value()->value == 1);
    }
    CHECK(other.value()->value == 2);
    CHECK(p.reads() == 2);
    CHECK(p.tier->level_metrics().shared_reads == 9);
}

TEST_CASE("C28 who leaves a shared read leaves alone") {
    pair p;
    p.change("a", 1);
    p.far.script().hold(op::get);
    auto first = p.call(p.tier->get("a"));
    auto second = p.call(p.tier->get("a"));
    auto third = p.call(p.tier->get("a"));
    second.leave();
    p.settle();
    CHECK(second.code() == asio::error::operation_aborted);
    CHECK_FALSE(first.done());
    first.leave(); // whose request it is
    p.settle();
    CHECK(first.code() == asio::error::operation_aborted);
    CHECK_FALSE(third.done());
    p.release();
    CHECK(third.value()->value == 1);
    CHECK(p.reads() == 2);
}

TEST_CASE("C28 a read that fails fails once for all, and the next one is made anew") {
    pair p;
    p.far.script().hold(op::get);
    p.far.script().fail_next(op::get, std::runtime_error("no luck"));
    auto first = p.call(p.tier->get("a"));
    auto second = p.call(p.tier->get("a"));
    p.release();
    CHECK(first.what() == "no luck");
    CHECK(second.what() == "no luck");
    CHECK(p.reads() == 1);
    auto third = p.call(p.tier->get("a"));
    CHECK(p.reads() == 2);
    p.release();
    CHECK(third.value() == std::nullopt);
}

TEST_CASE("callers that share a read go with their context") {
    pair p;
    asio::io_context other;
    p.far.script().hold(op::get);
    auto first = p.call(p.tier->get("a"));
    {
        asio::io_context gone;
        stepper steps(gone);
        caller<std::optional<entry<int>>> second(gone.get_executor(), p.tier->get("a"));
        steps.run_until_idle();
        CHECK_FALSE(second.done());
    }
    p.release();
    CHECK(first.done());
}

/// What happens to a key while something of it is under way.
struct happening {
    const char* name;
    std::function<void(pair&)> act;
};

const std::vector<happening> removals{
    {"an erasure here", [](pair& p) { p.steps.run(p.tier->erase("a")); }},
    {"a set here", [](pair& p) { p.set("a", 2); }},
    {"a clear here", [](pair& p) { p.steps.run(p.tier->clear()); }},
    {"a write elsewhere", [](pair& p) { p.change("a", 3); }},
    {"a loss of the channel", [](pair& p) { p.far.lose(); }},
    {"a loss of the channel that is over",
     [](pair& p) {
         p.far.lose();
         p.far.restore();
     }},
    {"an invalidation of its tag here", [](pair& p) { p.steps.run(p.tier->invalidate_tag("t")); }},
    {"an invalidation of its tag elsewhere",
     [](pair& p) {
         far_type other(p.far.to());
         p.steps.run(other.invalidate_tag("t"));
         p.far.deliver();
     }},
};

TEST_CASE("C30 a look-up does not bring back to level 1 what was removed or changed meanwhile") {
    const int which = GENERATE(range(0, 8));
    const int how = GENERATE(0, 1, 2, 3);
    const auto& meanwhile = removals[static_cast<std::size_t>(which)];
    INFO(meanwhile.name << ", look-up " << how);
    pair p;
    far_type elsewhere(p.far.to());
    p.far.write_elsewhere("a", tagged(1, elsewhere.tags(), "t"));
    p.far.deliver();
    p.far.script().hold_answers(op::get);
    p.far.script().hold_answers(op::get_many);
    lease_type lease;
    const std::array<std::string, 1> keys{"a"};
    std::optional<caller<std::optional<entry<int>>>> one;
    std::optional<caller<std::vector<std::optional<entry<int>>>>> many;
    if (how == 0) {
        one.emplace(p.call(p.tier->get("a")));
    } else if (how == 1) {
        one.emplace(p.call(p.tier->get("a", lease, lease_mode::go_on)));
    } else if (how == 2) {
        many.emplace(p.call(p.tier->get_many(keys)));
    } else {
        many.emplace(p.call(p.tier->get_many(keys, std::span<lease_type>(&lease, 1))));
    }
    REQUIRE(p.far.script().parked() == 1);
    meanwhile.act(p);
    p.far.script().let_pass(op::get);
    p.far.script().let_pass(op::get_many);
    p.release();
    CHECK((one ? one->value() : many->value()[0])->value == 1); // it was so when they asked
    CHECK(p.here("a") != 1);
    CHECK(p.far.script().parked() == 0);
    if (which != 1 && which != 4) {
        // Nothing stays behind that would fence later ones.
        p.change("a", 5);
        CHECK(p.get("a") == 5);
        CHECK(p.here("a") == 5);
    }
}

TEST_CASE("C30 a look-up that begins while a removal is under way leaves nothing in level 1") {
    pair p;
    p.set("a", 1);
    SECTION("of one key") {
        p.far.script().hold(op::erase);
        auto erasing = p.call(p.tier->erase("a"));
        CHECK(p.here("a") == std::nullopt);
        CHECK(p.get("a") == 1); // level 2 has it still
        p.release();
        CHECK(erasing.value());
    }
    SECTION("of all") {
        p.far.script().hold(op::clear);
        auto clearing = p.call(p.tier->clear());
        CHECK(p.get("a") == 1);
        p.release();
        CHECK(clearing.done());
    }
    SECTION("of one key, which fails") {
        p.far.script().hold(op::erase);
        p.far.script().fail_next(op::erase, std::runtime_error("no luck"));
        auto erasing = p.call(p.tier->erase("a"));
        CHECK(p.get("a") == 1);
        p.release();
        CHECK(erasing.what() == "no luck");
    }
    SECTION("of one key, given up") {
        p.far.script().hold(op::erase);
        auto erasing = p.call(p.tier->erase("a"));
        CHECK(p.get("a") == 1);
        erasing.leave();
        p.settle();
        CHECK(erasing.failed());
    }
    CHECK(p.here("a") == std::nullopt);
}

TEST_CASE("C30 an invalidated tag leaves level 1 at once, and what has it cannot return") {
    pair p;
    p.steps.run(p.tier->set("a", tagged(1, p.tier->tags(), "t")));
    p.steps.run(p.tier->set("b", made(2)));
    CHECK(p.here("a") == 1);
    p.far.script().hold(op::clear);
    auto under_way = p.tier->invalidate_tag("t"); // in force before it is awaited
    CHECK_FALSE(p.tier->try_get("a").known());
    auto invalidating = p.call(std::move(under_way));
    CHECK(p.get("a") == 1); // so the server says, which does not know yet
    CHECK(p.here("a") == std::nullopt);
    p.release();
    CHECK(invalidating.done());
    CHECK(p.get("a") == std::nullopt);
    CHECK(p.here("b") == 2);
}

TEST_CASE("C14 a look-up does not join a read that was fenced") {
    pair p;
    p.change("a", 1);
    p.far.script().hold_answers(op::get);
    auto first = p.call(p.tier->get("a"));
    p.steps.run(p.tier->erase("a"));
    auto second = p.call(p.tier->get("a"));
    CHECK(p.reads() == 2);
    p.release();
    CHECK(first.value()->value == 1);
    CHECK(second.value() == std::nullopt);
}

TEST_CASE("what others change leaves level 1, before the listener hears of it") {
    struct listener : acache::change_listener<std::string> {
        void changed(const std::string& key) override {
            events.push_back(key + (p->tier->try_get(key).known() ? " still here" : ""));
        }
        void lost() override { events.push_back("lost"); }
        void all_changed() override {
            events.push_back(p->tier->try_get("b").known() ? "all still here" : "all");
        }
        pair* p = nullptr;
        std::vector<std::string> events;
    };
    pair p;
    auto hears = std::make_shared<listener>();
    hears->p = &p;
    p.tier->listen(hears);
    p.set("a", 1);
    p.set("b", 1);
    const auto before = p.tier->coherence();
    p.change("a", 2);
    CHECK(p.here("b") == 1);
    p.far.lose();
    CHECK(p.tier->coherence() == 0);
    p.far.restore();
    CHECK(p.tier->coherence() != before);
    CHECK(hears->events == std::vector<std::string>{"a", "lost", "all"});
    hears.reset();
    p.change("a", 3); // nobody hears, and nothing happens
    CHECK(p.get("a") == 3);
}

TEST_CASE("the bound of level 1 ends the copy there, and nothing else") {
    pair p({.ttl = 10s});
    const auto until = manual_clock::now() + 60s;
    p.steps.run(p.tier->set("a", made(1, until)));
    p.far.write_elsewhere("b", made(2, until));
    p.far.deliver();
    CHECK(p.get("b") == 2);
    manual_clock::advance(9s);
    CHECK(p.here("a") == 1);
    CHECK(p.here("b") == 2);
    CHECK(p.tier->try_get("a").found()->fresh_until == until);
    manual_clock::advance(1s);
    CHECK_FALSE(p.tier->try_get("a").known());
    CHECK(p.reads() == 1);
    CHECK(p.get("a") == 1);
    CHECK(p.reads() == 2);
    CHECK(p.here("a") == 1);
    CHECK(p.far.peek("a")->expires == until);
}

TEST_CASE("C31 level 1 is served within the bound while changes go unheard, and then made whole") {
    pair p({.max_stale_on_partition = 5s});
    p.set("old", 1);
    manual_clock::advance(20s);
    p.far.lose();
    CHECK(p.tier->level_metrics().partitioned);
    manual_clock::advance(4s);
    CHECK(p.here("old") == 1);
    p.far.down();
    // What loads bring while level 2 is away.
    CHECK_THROWS_AS(p.set("new", 2), std::runtime_error);
    CHECK(p.here("new") == 2);
    manual_clock::advance(1s);
    int calls = 0;
    CHECK_FALSE(p.tier->read("old", p.tier->hash_of("old"), [&](const int&, const auto&) { ++calls; }));
    CHECK(calls == 0);
    CHECK_FALSE(p.tier->try_get("old").known());
    CHECK_THROWS_AS(p.get("old"), std::runtime_error);
    CHECK(p.here("new") == 2);
    manual_clock::advance(4s);
    CHECK_FALSE(p.tier->try_get("new").known());
    p.far.down(false);
    // Level 2 answers, but nobody would tell of changes.
    CHECK(p.get("old") == 1);
    CHECK(p.here("old") == std::nullopt);
    p.far.restore();
    CHECK_FALSE(p.tier->level_metrics().partitioned);
    CHECK(p.here("old") == std::nullopt);
    CHECK(p.here("new") == std::nullopt);
    CHECK(p.get("old") == 1);
    CHECK(p.here("old") == 1);
    manual_clock::advance(60s);
    CHECK(p.here("old") == 1);
}

TEST_CASE("C31 with a bound of zero level 1 is not served while changes go unheard") {
    pair p({.max_stale_on_partition = 0s});
    p.set("a", 1);
    p.far.lose();
    CHECK(p.here("a") == std::nullopt);
    p.set("a", 2);
    CHECK(p.here("a") == std::nullopt);
    p.far.restore();
    CHECK(p.get("a") == 2);
    CHECK(p.here("a") == 2);
}

TEST_CASE("C31 a level 2 that was not open yet is as one that was lost") {
    manual_clock::reset();
    asio::io_context context;
    stepper steps(context);
    far_type far;
    far.write_elsewhere("a", made(1));
    far.lose();
    tier_type tier(near_type(10), far, {.max_stale_on_partition = 0s});
    CHECK(steps.run(tier.get("a"))->value == 1);
    CHECK_FALSE(tier.try_get("a").known());
    far.restore();
    CHECK(steps.run(tier.get("a"))->value == 1);
    CHECK(tier.try_get("a").known());
}

TEST_CASE("a write that fails is in level 1, and one that was cancelled is not") {
    pair p;
    p.set("a", 1);
    SECTION("failed") {
        p.far.script().fail_next(op::set, std::runtime_error("no luck"));
        CHECK_THROWS_AS(p.set("a", 2), std::runtime_error);
        CHECK(p.here("a") == 2);
    }
    SECTION("failed, when others have changed the key") {
        p.far.script().hold(op::set);
        p.far.script().fail_next(op::set, std::runtime_error("no luck"));
        auto setting = p.call(p.tier->set("a", made(2)));
        p.change("a", 3);
        p.release();
        CHECK(setting.what() == "no luck");
        CHECK(p.here("a") == std::nullopt);
    }
    SECTION("cancelled") {
        p.far.script().hold(op::set);
        auto setting = p.call(p.tier->set("a", made(2)));
        setting.leave();
        p.settle();
        CHECK(setting.code() == asio::error::operation_aborted);
        CHECK(p.here("a") == std::nullopt);
    }
    SECTION("of what has expired") {
        p.steps.run(p.tier->set("a", made(2, manual_clock::now())));
        CHECK(p.here("a") == std::nullopt);
    }
}

TEST_CASE("a write does not stay in level 1 over what others have written meanwhile") {
    pair p;
    p.far.script().hold_answers(op::set);
    auto setting = p.call(p.tier->set("a", made(2)));
    p.change("a", 3);
    p.release();
    CHECK(setting.done());
    CHECK(p.here("a") == std::nullopt);
    CHECK(p.get("a") == 3);
}

TEST_CASE("a look-up during a write does not leave the older value in level 1") {
    pair p;
    p.change("a", 1);
    p.far.script().hold_answers(op::get);
    p.far.script().hold(op::set);
    auto setting = p.call(p.tier->set("a", made(2)));
    auto getting = p.call(p.tier->get("a")); // begun after the set was, and answered before
    SECTION("which comes to an end after the write") {
        p.far.script().release_one(op::set);
        p.settle();
        CHECK(setting.done());
        p.release();
    }
    SECTION("which comes to an end before the write") {
        p.far.script().release_one(op::get);
        p.settle();
        CHECK(getting.done());
        p.release();
    }
    CHECK(getting.value()->value == 1);
    CHECK(p.here("a") == 2);
}

TEST_CASE("a lease stores in both levels, or if others came first in neither") {
    pair p;
    p.change("a", 1);
    lease_type lease;
    CHECK(p.steps.run(p.tier->get("a", lease, lease_mode::wait))->value == 1);
    CHECK(p.here("a") == 1); // it fills as others do
    SECTION("nobody came") {
        CHECK(p.steps.run(p.tier->set("a", made(2), lease)));
        CHECK(p.here("a") == 2);
        CHECK(p.far.peek("a")->value == 2);
    }
    SECTION("somebody did") {
        p.change("a", 3);
        CHECK_FALSE(p.steps.run(p.tier->set("a", made(2), lease)));
        CHECK(p.here("a") == std::nullopt);
        CHECK(p.get("a") == 3);
    }
    SECTION("none") {
        lease_type none;
        CHECK(p.steps.run(p.tier->set("a", made(4), none)));
        CHECK(p.here("a") == 4);
    }
    SECTION("level 2 fails") {
        p.far.script().fail_next(op::set, std::runtime_error("no luck"));
        CHECK_THROWS_AS(p.steps.run(p.tier->set("a", made(5), lease)), std::runtime_error);
        CHECK(p.here("a") == 5);
    }
}

TEST_CASE("many keys are one request for what level 1 has not") {
    pair p;
    p.set("a", 1);
    p.change("b", 2);
    p.change("d", 4);
    const std::vector<std::string> keys{"b", "a", "c", "d"};
    const auto found = p.steps.run(p.tier->get_many(keys));
    REQUIRE(found.size() == 4);
    CHECK(found[0]->value == 2);
    CHECK(found[1]->value == 1);
    CHECK_FALSE(found[2].has_value());
    CHECK(found[3]->value == 4);
    CHECK(p.far.script().calls(op::get_many) == 1);
    CHECK(p.here("b") == 2);
    CHECK(p.here("d") == 4);
    const std::vector<std::string> near{"a", "b"};
    CHECK(p.steps.run(p.tier->get_many(near)).size() == 2);
    CHECK(p.far.script().calls(op::get_many) == 1);
}

TEST_CASE("many leases are one request, and so are many entries") {
    const bool awaited = GENERATE(true, false);
    pair p({.await_writes = awaited});
    const std::vector<std::string> keys{"a", "b", "c"};
    std::vector<lease_type> leases(3);
    CHECK(p.steps.run(p.tier->get_many(keys, std::span(leases))).size() == 3);
    p.change("b", 7);
    std::vector<std::optional<entry<int>>> entries{made(1), made(2), std::nullopt};
    const auto stored = p.steps.run(p.tier->set_many(keys, entries, std::span(leases)));
    CHECK(stored == std::vector<bool>{true, !awaited, false});
    p.settle();
    CHECK(p.far.script().calls(op::set) == 1);
    CHECK(p.here("a") == 1);
    CHECK(p.here("b") == std::nullopt);
    CHECK(p.far.peek("a")->value == 1);
    CHECK(p.get("b") == 7);
    CHECK(p.tier->level_metrics().pending_writes == 0);
}

TEST_CASE("many entries that level 2 fails at are in level 1, but for those that others have changed") {
    pair p;
    const std::vector<std::string> keys{"a", "b"};
    std::vector<lease_type> leases(2);
    p.far.script().hold(op::set);
    p.far.script().fail_next(op::set, std::runtime_error("no luck"));
    std::vector<std::optional<entry<int>>> entries{made(1), made(2)};
    auto setting = p.call(p.tier->set_many(keys, entries, std::span(leases)));
    p.change("b", 3);
    p.release();
    CHECK(setting.what() == "no luck");
    CHECK(p.here("a") == 1);
    CHECK(p.here("b") == std::nullopt);
}

TEST_CASE("a write in the background is here at once, and later look-ups do not see the key as it was") {
    pair p({.await_writes = false});
    p.change("a", 1);
    p.far.script().hold(op::set);
    auto first = p.call(p.tier->set("a", made(2)));
    auto second = p.call(p.tier->set("a", made(3)));
    CHECK(second.done());
    CHECK(p.here("a") == 3);
    CHECK(p.far.peek("a")->value == 1);
    CHECK(p.tier->level_metrics().pending_writes == 2);
    CHECK(p.far.script().parked() == 1); // in order, one after the other
    p.tier->level1().erase("a");         // as if it was evicted
    auto getting = p.call(p.tier->get("a"));
    lease_type lease;
    auto leasing = p.call(p.tier->get("a", lease, lease_mode::go_on));
    const std::vector<std::string> keys{"a"};
    auto many = p.call(p.tier->get_many(keys));
    CHECK(p.reads() == 0);
    p.release();
    CHECK_FALSE(getting.done());
    p.release();
    CHECK(getting.value()->value == 3);
    CHECK(leasing.value()->value == 3);
    CHECK(many.value()[0]->value == 3);
    CHECK(p.far.peek("a")->value == 3);
    CHECK(p.tier->level_metrics().pending_writes == 0);
}

TEST_CASE("a removal comes after the writes in the background") {
    pair p({.await_writes = false});
    p.far.script().hold(op::set);
    auto setting = p.call(p.tier->set("a", made(2)));
    SECTION("of one key") {
        auto erasing = p.call(p.tier->erase("a"));
        CHECK(p.here("a") == std::nullopt);
        CHECK_FALSE(erasing.done());
        p.release();
        CHECK(erasing.value());
    }
    SECTION("of all") {
        auto clearing = p.call(p.tier->clear());
        CHECK_FALSE(clearing.done());
        p.release();
        CHECK(clearing.done());
    }
    CHECK_FALSE(p.far.peek("a").has_value());
    CHECK(p.get("a") == std::nullopt);
}

TEST_CASE("a look-up that began before a write in the background does not undo it in level 1") {
    pair p({.await_writes = false});
    p.change("a", 1);
    p.far.script().hold_answers(op::get);
    p.far.script().hold(op::set);
    auto getting = p.call(p.tier->get("a"));
    auto setting = p.call(p.tier->set("a", made(2)));
    p.far.script().release_one(op::get);
    p.settle();
    CHECK(getting.value()->value == 1);
    CHECK(p.here("a") == 2);
    p.release();
    CHECK(p.here("a") == 2);
}

TEST_CASE("failures in the background are counted, and a lease that has lost leaves level 1") {
    pair p({.await_writes = false});
    p.far.script().fail_next(op::set, std::runtime_error("no luck"));
    p.set("a", 1);
    p.settle();
    CHECK(p.tier->level_metrics().background_failures == 1);
    CHECK(p.here("a") == 1);
    lease_type lease;
    p.steps.run(p.tier->get("b", lease, lease_mode::go_on));
    p.far.script().hold(op::set);
    CHECK(p.call(p.tier->set("b", made(2), lease)).value());
    CHECK(p.here("b") == 2);
    p.far.write_elsewhere("b", made(3)); // of which nobody here has heard yet
    p.release();
    CHECK(p.here("b") == std::nullopt);
    CHECK(p.get("b") == 3);
}

TEST_CASE("too many writes in the background are awaited, in order") {
    pair p({.await_writes = false, .max_pending_writes = 1});
    p.far.script().hold(op::set);
    CHECK(p.call(p.tier->set("a", made(1))).done());
    auto second = p.call(p.tier->set("a", made(2)));
    CHECK_FALSE(second.done());
    p.release();
    CHECK_FALSE(second.done());
    p.release();
    CHECK(second.done());
    CHECK(p.here("a") == 2);
    CHECK(p.far.peek("a")->value == 2);
}

TEST_CASE("writes in the background outlive the tier, and go with their context") {
    pair p({.await_writes = false});
    p.far.script().hold(op::set);
    p.call(p.tier->set("a", made(1)));
    p.call(p.tier->set("a", made(2)));
    p.tier.reset();
    p.change("a", 9); // nobody listens any more
    SECTION("the context lives") {
        p.release();
        p.release();
        CHECK(p.far.peek("a")->value == 2);
    }
    SECTION("it does not") { SUCCEED("all is freed"); }
}

TEST_CASE("operations outlive the tier, and it may be moved") {
    pair p;
    p.change("a", 1);
    p.far.script().hold(op::get);
    auto getting = p.call(p.tier->get("a"));
    auto moved = std::move(*p.tier);
    p.tier.emplace(std::move(moved));
    p.change("b", 2);
    p.tier.reset();
    p.release();
    CHECK(getting.value()->value == 1);
}

TEST_CASE("a level 2 that tells of nothing is taken for this process's own") {
    manual_clock::reset();
    asio::io_context context;
    stepper steps(context);
    lone_type far;
    lone_tier tier(near_type(10), far);
    far.plant("a", made(1));
    CHECK(steps.run(tier.get("a"))->value == 1);
    CHECK(tier.try_get("a").known());
    steps.run(tier.erase("a"));
    CHECK_FALSE(tier.try_get("a").known());
    CHECK_FALSE(far.peek("a").has_value());
}

TEST_CASE("removals from level 1 are told as there") {
    manual_clock::reset();
    asio::io_context context;
    stepper steps(context);
    lone_tier tier(near_type(10), lone_type());
    std::vector<std::string> gone;
    tier.on_removal([&](const std::string& key, const int&, acache::removal_cause) { gone.push_back(key); });
    steps.run(tier.set("a", made(1)));
    steps.run(tier.erase("a"));
    CHECK(gone == std::vector<std::string>{"a"});
}

} // namespace
