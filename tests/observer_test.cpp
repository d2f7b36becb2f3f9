// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <acache/data_loader.hpp>
#include <acache/detail/read_section.hpp>
#include <acache/observer.hpp>

#include <boost/asio/detached.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

// What an observer is told, and that it may call the cache meanwhile.

namespace {

using namespace setup;
namespace events = acache::events;
using text = std::string;

/// One event.
struct note {
    text what;
    text key{};
    std::uint64_t id = 0;
    bool refresh = false;
    std::chrono::nanoseconds took{};
    std::exception_ptr failure{};
    acache::removal_cause cause{};
};

struct notebook {
    std::vector<note> notes;
    /// Called in each event, but for those that it causes.
    std::function<void(const note&)> reaction;
    bool reacting = false;
    bool read_sections = false;

    void add(note n) {
        read_sections = read_sections || acache::detail::reading();
        notes.push_back(n);
        if (reaction && !std::exchange(reacting, true)) {
            reaction(n);
            reacting = false;
        }
    }
};

/// Notes all events. A handle.
class recorder {
public:
    void on(const events::hit<text>& e) { book_->add({"hit", e.key}); }
    void on(const events::stale_hit<text>& e) { book_->add({"stale_hit", e.key}); }
    void on(const events::miss<text>& e) { book_->add({"miss", e.key}); }
    void on(const events::join<text>& e) { book_->add({"join", e.key}); }
    void on(const events::load_started<text>& e) {
        book_->add({"load_started", e.key, static_cast<std::uint64_t>(e.id), e.refresh});
    }
    void on(const events::load_ended<text>& e) {
        book_->add({"load_ended", e.key, static_cast<std::uint64_t>(e.id), false, e.took, e.failure});
    }
    void on(const events::stored<text>& e) { book_->add({"stored", e.key}); }
    void on(const events::removed<text>& e) {
        book_->add({.what = "removed", .key = e.key, .cause = e.cause});
    }
    void on(const events::backend_failed<text>& e) {
        book_->add({.what = "backend_failed", .failure = e.failure});
    }

    [[nodiscard]] notebook& book() const { return *book_; }
    /// All events since the last call, in words.
    [[nodiscard]] std::vector<text> told() const {
        std::vector<text> result;
        for (const auto& n : std::exchange(book_->notes, {})) {
            result.push_back(n.what + (n.key.empty() ? "" : " " + n.key));
        }
        return result;
    }
    [[nodiscard]] std::vector<note> all(std::string_view what) const {
        std::vector<note> result;
        for (const auto& n : book_->notes) {
            if (n.what == what) {
                result.push_back(n);
            }
        }
        return result;
    }

private:
    std::shared_ptr<notebook> book_ = std::make_shared<notebook>();
};

using told = std::vector<text>;

template <class Kind>
using observed = world<Kind, text, int, recorder>;

asio::awaitable<std::vector<int>> ones(std::span<const text> keys) {
    co_return std::vector<int>(keys.size(), 1);
}

std::vector<text> two_keys(const text& a, const text& b) {
    std::vector<text> keys;
    keys.push_back(a);
    keys.push_back(b);
    return keys;
}

TEMPLATE_TEST_CASE(
    "a look-up that loads tells of the miss, the load and the storing; the next one of the hit", "",
    over_memory, over_script) {
    recorder r;
    observed<TestType> w({.ttl = 10s}, r);
    w.src.hold();
    auto first = w.call(w.get_or_load("a"));
    CHECK(r.told() == told{"miss a", "load_started a"});
    auto second = w.call(w.get_or_load("a"));
    CHECK(r.told() == told{"join a"});
    w.let_loads_end();
    CHECK(r.told() == told{"load_ended a", "stored a"});
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    CHECK(r.told() == told{"hit a"});
    CHECK(w.call(w.cache->lookup("a", w.src)).value().value == 1);
    CHECK(r.told() == told{"hit a"});
    CHECK(w.get("a") == 1);
    CHECK(r.told() == told{"hit a"});
    CHECK(w.get("b") == std::nullopt);
    CHECK(r.told() == told{"miss b"});
    CHECK(w.call(w.cache->refresh("a", w.src)).value() == 2);
    auto after = r.told();
    std::erase(after, "removed a"); // a memory backend tells of the replaced value
    CHECK(after == told{"load_started a", "load_ended a", "stored a"});
    CHECK_FALSE(r.book().read_sections);
}

TEMPLATE_TEST_CASE("keys that are looked up as text are told as keys", "", over_memory, over_script) {
    recorder r;
    observed<TestType> w({}, r);
    const auto load = w.cache->cached("user:{}", [](int id) -> asio::awaitable<int> { co_return id; });
    CHECK(w.call(load(7)).value() == 7);
    CHECK(r.told() == told{"miss user:7", "load_started user:7", "load_ended user:7", "stored user:7"});
    CHECK(w.call(load(7)).value() == 7);
    CHECK(w.call(load.lookup(7)).value().value == 7);
    CHECK(w.call(w.cache->get(std::string_view("user:7"))).value() == 7);
    CHECK(w.call(w.cache->get_or_load(std::string_view("user:7"), w.src)).value() == 7);
    CHECK(r.told() == told(4, "hit user:7"));
    if constexpr (!TestType::remote) {
        CHECK(load.try_get(7) == 7);
        CHECK(load.try_get(8) == std::nullopt);
        CHECK(w.cache->try_get(std::string_view("user:7")) == 7);
        CHECK(r.told() == told{"hit user:7", "miss user:8", "hit user:7"});
    }
    CHECK_FALSE(r.book().read_sections);
}

TEMPLATE_TEST_CASE("bulk operations tell of each key", "", over_memory, over_script) {
    recorder r;
    observed<TestType> w({}, r);
    CHECK(w.call(w.cache->set("a", 1)).done());
    CHECK(r.told() == told{"stored a"});
    CHECK(w.call(w.cache->get_many(two_keys("a", "b"))).value().size() == 1);
    CHECK(r.told() == told{"hit a", "miss b"});
    CHECK(w.call(w.cache->get_many_or_load(two_keys("a", "b"), ones)).value().size() == 2);
    CHECK(r.told() == told{"hit a", "miss b", "load_started b", "load_ended b", "stored b"});

    acache::DataLoader loader(*w.cache, ones);
    CHECK(w.call(loader.load("a")).value() == 1);
    CHECK(r.told() == told{"hit a"});
    auto one = w.begin(loader.load("c"));
    auto other = w.begin(loader.load_many(two_keys("c", "d")));
    w.settle();
    CHECK(other.value().size() == 2);
    const auto all = r.told();
    CHECK(std::count(all.begin(), all.end(), "join c") == 1);
    for (const auto* each : {"miss c", "miss d", "load_started c", "load_started d", "load_ended c",
                             "load_ended d", "stored c", "stored d"}) {
        CAPTURE(each);
        CHECK(std::count(all.begin(), all.end(), each) == 1);
    }
    CHECK(all.size() == 9);
    loader.prime("e", 1);
    w.settle();
    CHECK(r.told() == told{"stored e"});
    loader.clear("e");
    w.settle();
    CHECK(r.told() == told{"removed e"});
    CHECK_FALSE(r.book().read_sections);
}

TEMPLATE_TEST_CASE("a stale hit is told as one, and its load as a refresh", "", over_memory, over_script) {
    recorder r;
    observed<TestType> w({.ttl = 10s, .stale_while_revalidate = 20s}, r);
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(15s);
    const auto before = r.all("load_started");
    REQUIRE(before.size() == 1);
    CHECK_FALSE(before[0].refresh);
    (void)r.told();
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    const auto started = r.all("load_started");
    REQUIRE(started.size() == 1);
    CHECK(started[0].refresh);
    CHECK(started[0].id != before[0].id);
    REQUIRE(r.all("load_ended").size() == 1);
    CHECK(r.all("load_ended")[0].id == started[0].id);
    auto all = r.told();
    CHECK(std::erase(all, "stale_hit a") == 1);
    std::erase(all, "removed a");
    CHECK(all == told{"load_started a", "load_ended a", "stored a"});
}

TEMPLATE_TEST_CASE("the end of a load tells how long it took and how it failed", "", over_memory,
                   over_script) {
    recorder r;
    observed<TestType> w({.load_timeout = 1s}, r);
    SECTION("with a value") {
        w.src.hold();
        auto c = w.call(w.get_or_load("a"));
        manual_clock::advance(300ms);
        w.let_loads_end();
        REQUIRE(r.all("load_ended").size() == 1);
        CHECK(r.all("load_ended")[0].took == 300ms);
        CHECK(r.all("load_ended")[0].failure == nullptr);
    }
    SECTION("with an exception") {
        w.src.fail_next(std::runtime_error("no source"));
        CHECK(w.call(w.get_or_load("a")).failed());
        REQUIRE(r.all("load_ended").size() == 1);
        CHECK(text_of(r.all("load_ended")[0].failure) == "no source");
        CHECK(r.all("stored").empty());
    }
    SECTION("with a timeout") {
        w.src.hold();
        auto c = w.call(w.get_or_load("a"));
        manual_clock::advance(1s);
        w.settle();
        CHECK(c.code() == errc::load_timeout);
        REQUIRE(r.all("load_ended").size() == 1);
        CHECK(code_of(r.all("load_ended")[0].failure) == errc::load_timeout);
    }
    SECTION("with a timeout that the loader does not heed") {
        w.src.hold();
        w.src.ignore_cancellation();
        auto c = w.call(w.get_or_load("a"));
        manual_clock::advance(1s);
        w.settle();
        CHECK(r.all("load_ended").empty());
        w.let_loads_end();
        REQUIRE(r.all("load_ended").size() == 1);
        CHECK(code_of(r.all("load_ended")[0].failure) == errc::load_timeout);
    }
    SECTION("with a cancellation, since nobody waits any more") {
        w.src.hold();
        auto c = w.call(w.get_or_load("a"));
        c.leave();
        w.settle();
        REQUIRE(r.all("load_ended").size() == 1);
        CHECK(code_of(r.all("load_ended")[0].failure) == asio::error::operation_aborted);
    }
    REQUIRE(r.all("load_started").size() == 1);
    CHECK(r.all("load_started")[0].id == r.all("load_ended")[0].id);
    CHECK(r.all("load_ended")[0].key == "a");
}

TEMPLATE_TEST_CASE("each key of a batch has a load of its own, which ends as the key does", "", over_memory,
                   over_script) {
    recorder r;
    observed<TestType> w({}, r);
    const auto batch =
        [](std::span<const text> keys) -> asio::awaitable<std::vector<acache::load_result<int>>> {
        std::vector<acache::load_result<int>> results;
        for (const auto& key : keys) {
            if (key == "bad") {
                results.emplace_back(boost::system::in_place_error,
                                     std::make_exception_ptr(std::runtime_error("a bad key")));
            } else {
                results.emplace_back(boost::system::in_place_value, 1);
            }
        }
        co_return results;
    };
    (void)w.call(w.cache->get_many_or_load(two_keys("good", "bad"), batch)).value();
    const auto started = r.all("load_started");
    const auto ended = r.all("load_ended");
    REQUIRE(started.size() == 2);
    REQUIRE(ended.size() == 2);
    CHECK(started[0].id != started[1].id);
    for (std::size_t i = 0; i != 2; ++i) {
        CHECK(started[i].id == ended[i].id);
        CHECK(started[i].key == ended[i].key);
        CHECK(text_of(ended[i].failure) == (ended[i].key == "bad" ? "a bad key" : ""));
    }
    r.book().notes.clear();
    const auto broken = [](std::span<const text>) -> asio::awaitable<std::vector<int>> {
        throw std::runtime_error("no batch");
        co_return std::vector<int>();
    };
    (void)w.call(w.cache->get_many_or_load(two_keys("x", "y"), broken)).value();
    REQUIRE(r.all("load_ended").size() == 2);
    CHECK(text_of(r.all("load_ended")[1].failure) == "no batch");
}

TEMPLATE_TEST_CASE("a load that was never begun is a miss without a load", "", over_memory, over_script) {
    recorder r;
    observed<TestType> w({.max_concurrent_loads = 1, .max_queued_loads = 1}, r);
    w.src.hold();
    auto running = w.call(w.get_or_load("a"));
    auto waiting = w.call(w.get_or_load("b"));
    CHECK(w.call(w.get_or_load("c")).code() == errc::overloaded);
    waiting.leave();
    w.settle();
    CHECK(r.told() == told{"miss a", "load_started a", "miss c", "miss b"});
    acache::DataLoader loader(*w.cache, ones, {.batch_window = 1s});
    auto alone = w.call(loader.load("d"));
    CHECK(w.cache->metrics().in_flight == 2);
    alone.leave();
    w.settle();
    manual_clock::advance(1s);
    w.settle();
    CHECK(r.told() == told{"miss d"});
    CHECK(w.cache->metrics().misses == 4);
}

TEST_CASE("a memory backend tells of each removal with its cause, and a listener of its own as well") {
    using backend = over_memory::backend<text, int>;
    manual_clock::reset();
    asio::io_context context;
    acache::testing::stepper steps(context);
    recorder r;
    int heard = 0;
    backend store(2);
    store.on_removal([&](const text&, const int&, acache::removal_cause) { ++heard; });
    acache::async_cache<text, int, backend, recorder> cache(context, std::move(store), {}, r);
    steps.run(cache.set("a", 1));
    steps.run(cache.set("a", 2));
    REQUIRE(r.all("removed").size() == 1);
    CHECK(r.all("removed")[0].key == "a");
    CHECK(r.all("removed")[0].cause == acache::removal_cause::replaced);
    CHECK(steps.run(cache.invalidate("a")));
    CHECK_FALSE(steps.run(cache.invalidate("a")));
    REQUIRE(r.all("removed").size() == 2);
    CHECK(r.all("removed")[1].cause == acache::removal_cause::invalidated);
    steps.run(cache.set("b", 1, {.ttl = 1s}));
    manual_clock::advance(2s);
    (void)cache.metrics();
    REQUIRE(r.all("removed").size() == 3);
    CHECK(r.all("removed")[2].cause == acache::removal_cause::expired);
    for (const auto* key : {"c", "d", "e"}) {
        steps.run(cache.set(key, 1));
    }
    REQUIRE(r.all("removed").size() == 4);
    CHECK(r.all("removed")[3].cause == acache::removal_cause::capacity);
    steps.run(cache.clear());
    CHECK(r.all("removed").size() == 6);
    CHECK(heard == 6);
}

TEST_CASE("an observer of removals wants a memory backend that was not written to") {
    using backend = over_memory::backend<text, int>;
    using cache = acache::async_cache<text, int, backend, recorder>;
    asio::io_context context;
    backend store(2);
    (void)store.set("a", acache::entry<int>(1, manual_clock::now()));
    CHECK_THROWS_AS(cache(context, std::move(store), {}, recorder()), std::logic_error);
}

TEST_CASE("of other backends those removals are told that the cache makes") {
    recorder r;
    observed<over_script> w({}, r);
    (void)w.call(w.cache->set("a", 1));
    (void)w.call(w.cache->set("a", 2));
    CHECK(w.call(w.cache->invalidate("a")).value());
    CHECK_FALSE(w.call(w.cache->invalidate("a")).value());
    REQUIRE(r.all("removed").size() == 1);
    CHECK(r.all("removed")[0].key == "a");
    CHECK(r.all("removed")[0].cause == acache::removal_cause::invalidated);
    (void)w.call(w.cache->set("b", 1));
    (void)w.call(w.cache->set("b", 1, {.ttl = 0s}));
    CHECK(r.all("removed").size() == 2);
    (void)w.call(w.cache->set("c", 1));
    (void)w.call(w.cache->clear());
    CHECK(r.all("removed").size() == 2);
}

TEST_CASE("a failure of the backend is told where it is counted") {
    recorder r;
    observed<over_script> w({}, r);
    w.store->script().fail_next(op::get, std::runtime_error("no backend"));
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    REQUIRE(r.all("backend_failed").size() == 1);
    CHECK(text_of(r.all("backend_failed")[0].failure) == "no backend");
    w.store->script().fail_next(op::set, std::runtime_error("full"));
    CHECK(w.call(w.cache->refresh("a", w.src)).value() == 2);
    CHECK(r.all("backend_failed").size() == 2);
    CHECK(r.all("stored").size() == 1);
    w.store->script().fail_next(op::set, std::runtime_error("full"));
    CHECK(w.call(w.cache->set("a", 1)).failed()); // told the caller, and nobody else
    CHECK(r.all("backend_failed").size() == 2);
    acache::DataLoader loader(*w.cache, ones);
    w.store->script().fail_next(op::erase, std::runtime_error("stuck"));
    loader.clear("a");
    w.settle();
    CHECK(r.all("backend_failed").size() == 3);
    CHECK(w.cache->metrics().backend_failures == 3);
}

/// A synchronous backend that may fail.
struct failing_map {
    std::map<text, acache::entry<int>> entries;
    bool fails = false;

    std::optional<acache::entry<int>> get(const text& key) {
        const auto at = entries.find(key);
        return at == entries.end() ? std::nullopt : std::optional(at->second);
    }
    void set(const text& key, acache::entry<int> e) {
        if (fails) {
            throw std::runtime_error("full");
        }
        entries.insert_or_assign(key, std::move(e));
    }
    bool erase(const text& key) { return entries.erase(key) != 0; }
    void clear() { entries.clear(); }
};

TEST_CASE("a synchronous backend's failure to store is told when no lock is held") {
    asio::io_context context;
    acache::testing::stepper steps(context);
    recorder r;
    acache::async_cache<text, int, failing_map, recorder> cache(context, failing_map(), {}, r);
    r.book().reaction = [&](const note&) {
        (void)cache.try_get("a");
        (void)cache.metrics();
        (void)cache.in_flight();
    };
    cache.backend().fails = true;
    source src;
    CHECK(steps.run(cache.get_or_load("a", src)) == 1);
    REQUIRE(r.all("backend_failed").size() == 1);
    CHECK(text_of(r.all("backend_failed")[0].failure) == "full");
    CHECK(r.all("stored").empty());
    cache.backend().fails = false;
    CHECK(steps.run(cache.get_or_load("a", src)) == 2);
    CHECK(r.all("stored").size() == 1);
    CHECK(steps.run(cache.invalidate("a")));
    CHECK(r.all("removed").size() == 1);
}

TEMPLATE_TEST_CASE("an observer may call the cache in every event", "", over_memory, over_script) {
    recorder r;
    observed<TestType> w({.ttl = 10s, .stale_while_revalidate = 20s}, r);
    std::map<text, int> seen;
    r.book().reaction = [&](const note& n) {
        if (++seen[n.what] > 3) {
            return; // what is spawned here makes events in its turn
        }
        if constexpr (!TestType::remote) {
            (void)w.cache->try_get(n.key);
        }
        (void)w.cache->metrics();
        (void)w.cache->in_flight();
        // The key's own flights too: nothing of them is locked.
        asio::co_spawn(w.context, w.cache->get(n.key), [](const std::exception_ptr&, auto) {});
        asio::co_spawn(
            w.context,
            [&cache = *w.cache]() -> asio::awaitable<void> { (void)co_await cache.invalidate("z"); },
            asio::detached);
    };
    acache::DataLoader loader(*w.cache, ones);
    w.src.hold();
    auto first = w.call(w.get_or_load("a"));
    auto second = w.call(w.get_or_load("a"));
    w.let_loads_end();
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(15s);
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    (void)w.call(w.cache->get_many_or_load(two_keys("a", "b"), ones)).value();
    (void)w.call(loader.load_many(two_keys("a", "c"))).value();
    (void)w.call(w.cache->set("a", 1));
    CHECK(w.call(w.cache->invalidate("a")).value());
    if constexpr (TestType::remote) {
        w.store->script().fail_next(op::get, std::runtime_error("no backend"));
        CHECK(w.call(w.get_or_load("d")).value() == 3);
    } else {
        ++seen["backend_failed"]; // a memory backend does not fail
    }
    CHECK(seen.size() == 9); // all of them
    CHECK_FALSE(r.book().read_sections);
}

TEMPLATE_TEST_CASE("a closed cache tells nothing more", "", over_memory, over_script) {
    recorder r;
    observed<TestType> w({}, r);
    w.src.hold();
    auto c = w.call(w.get_or_load("a"));
    (void)r.told();
    SECTION("when it is closed") {
        CHECK(w.call(w.cache->close()).done());
    }
    SECTION("when it is destroyed") {
        w.cache.reset();
        w.settle();
    }
    CHECK(c.code() == errc::closed);
    CHECK(r.told().empty());
}

struct any_event {
    template <class Event>
    void on(const Event&) {
        ++count;
    }
    int count = 0;
};

TEST_CASE("an observer hears of what it has an on() for, and is reached through the cache") {
    struct hits_only {
        explicit hits_only(int start) : count(start) {}
        void on(const events::hit<text>& e) { count += e.key == "a" ? 1 : 100; }
        int count;
    };
    using cache_type = acache::async_cache<text, int, acache::memory_backend<text, int>, hits_only>;
    static_assert(!std::is_constructible_v<cache_type, asio::io_context&>); // it cannot make the observer
    asio::io_context context;
    acache::testing::stepper steps(context);
    cache_type cache(context, {.capacity = 10}, hits_only(5));
    steps.run(cache.set("a", 1));
    CHECK(cache.try_get("a") == 1);
    CHECK(cache.try_get("b") == std::nullopt);
    CHECK(cache.observer().count == 6);
    cache_type moved = std::move(cache);
    CHECK(moved.try_get("a") == 1);
    CHECK(moved.observer().count == 7);

    acache::async_cache<int, int, acache::memory_backend<int, int>, any_event> other(context, {.ttl = 1s});
    steps.run(other.set(1, 1));
    CHECK(other.observer().count == 1);
}

TEST_CASE("a cache without an observer, or a hit that nobody hears of, has no place for one") {
    using backend = acache::memory_backend<text, int>;
    struct quiet {
        void on(const events::miss<text>&) {}
    };
    CHECK(sizeof(acache::detail::cache_state<text, int, backend>) ==
          sizeof(acache::detail::cache_state<text, int, backend, quiet>));
    CHECK(std::is_empty_v<acache::detail::observation<text, acache::no_observer>>);
    CHECK(
        std::is_empty_v<acache::detail::hit_report<acache::detail::cache_state<text, int, backend, quiet>>>);
    CHECK(std::is_empty_v<acache::detail::load_report<acache::detail::cache_state<text, int, backend>>>);
}

// ---- Events and counters
// -----------------------------------------------------------------------------------

/// Callers of all sorts, drawn, over a few keys, with failures, cancellations and time that passes.
template <class Kind>
class mixed_run {
public:
    mixed_run(unsigned seed, acache::cache_options options, recorder r)
        : random_(seed), world_(options, std::move(r)), loader_(*world_.cache, batch()),
          wrapped_(world_.cache->cached("{}", [src = world_.src](int i) { return src(std::to_string(i)); })) {
    }

    void play() {
        world_.src.hold();
        for (int i = 0; i != 400; ++i) {
            act();
            world_.steps.run_for(below(30));
        }
        world_.let_loads_end();
        world_.settle();
        if constexpr (Kind::remote) {
            REQUIRE(world_.store->script().parked() == 0);
        }
        REQUIRE(metrics().in_flight == 0);
    }
    [[nodiscard]] acache::cache_metrics metrics() { return world_.cache->metrics(); }

private:
    using results = std::vector<acache::load_result<int>>;

    auto batch() {
        return [this](std::span<const text> keys) -> asio::awaitable<results> {
            const std::vector<text> kept(keys.begin(), keys.end());
            results all;
            for (const auto& key : kept) {
                try {
                    const int value = co_await world_.src(key);
                    all.emplace_back(boost::system::in_place_value, value);
                } catch (...) {
                    all.emplace_back(boost::system::in_place_error, std::current_exception());
                }
            }
            co_return all;
        };
    }

    void act() {
        auto& cache = *world_.cache;
        const auto number = below(5);
        const auto key = std::to_string(number);
        switch (below(17)) {
        case 0:
        case 1:
        case 2:
            return keep(world_.begin(world_.get_or_load(key)));
        case 3:
            return (void)world_.begin(cache.lookup(key, world_.src));
        case 4:
            return (void)world_.begin(cache.get(key));
        case 5:
            return keep(world_.begin(wrapped_(static_cast<int>(number))));
        case 6:
            return (void)world_.begin(cache.get_many(two_keys(key, std::to_string(below(5)))));
        case 7:
            return (void)world_.begin(
                cache.get_many_or_load(two_keys(key, std::to_string(below(5))), batch()));
        case 8:
            return keep(world_.begin(loader_.load(key)));
        case 9:
            return (void)world_.begin(loader_.load_many(two_keys(key, std::to_string(below(5)))));
        case 10:
            return (void)world_.begin(cache.refresh(key, world_.src));
        case 11:
            return below(2) == 0 ? (void)world_.begin(cache.set(key, 1000))
                                 : (void)world_.begin(cache.invalidate(key));
        case 12:
            if constexpr (!Kind::remote) {
                (void)cache.try_get(key);
            } else {
                const auto kind = below(2) == 0 ? op::get : op::set;
                world_.store->script().fail_next(kind, std::runtime_error("no backend"));
            }
            return;
        case 13:
            return world_.src.fail_next(std::runtime_error("no source"));
        case 14:
            if (!callers_.empty()) {
                callers_[below(callers_.size())].leave();
            }
            return;
        case 15:
            return manual_clock::advance(std::chrono::milliseconds(below(3000)));
        default:
            world_.src.release_one();
        }
    }

    void keep(caller<int> c) { callers_.push_back(std::move(c)); }
    [[nodiscard]] std::size_t below(std::size_t n) { return random_() % n; }

    std::mt19937 random_;
    observed<Kind> world_;
    acache::DataLoader<text, int, manual_clock> loader_;
    std::function<asio::awaitable<int>(int)> wrapped_;
    std::vector<caller<int>> callers_;
};

template <class Kind>
void check_events_against_counters(unsigned seed, acache::cache_options options) {
    CAPTURE(seed);
    recorder r;
    mixed_run<Kind> run(seed, options, r);
    run.play();
    const auto m = run.metrics();
    CHECK(r.all("hit").size() == m.hits);
    CHECK(r.all("stale_hit").size() == m.stale_hits);
    CHECK(r.all("miss").size() == m.misses);
    CHECK(r.all("join").size() == m.coalesced);
    CHECK(r.all("backend_failed").size() == m.backend_failures);
    const auto started = r.all("load_started");
    CHECK(started.size() == m.loads);
    CHECK(static_cast<std::uint64_t>(std::count_if(started.begin(), started.end(),
                                                   [](const note& n) { return n.refresh; })) == m.refreshes);
    std::map<std::uint64_t, text> open;
    for (const auto& n : r.book().notes) {
        if (n.what == "load_started") {
            CHECK(open.emplace(n.id, n.key).second);
        } else if (n.what == "load_ended") {
            REQUIRE(open.contains(n.id));
            CHECK(open[n.id] == n.key);
            open.erase(n.id);
        }
    }
    CHECK(open.empty());
    if constexpr (!Kind::remote) {
        CHECK(r.all("removed").size() ==
              m.removals.capacity + m.removals.expired + m.removals.invalidated + m.removals.replaced);
    }
    CHECK_FALSE(r.book().read_sections);
}

TEMPLATE_TEST_CASE("there are as many events as the counters say, and every load that starts ends", "",
                   over_memory, over_script) {
    for (unsigned seed = 1; seed != 21; ++seed) {
        check_events_against_counters<TestType>(seed, {.ttl = 10s});
        check_events_against_counters<TestType>(seed, {.ttl = 2s,
                                                       .load_timeout = 5s,
                                                       .max_concurrent_loads = 2,
                                                       .max_queued_loads = 2,
                                                       .stale_while_revalidate = 5s,
                                                       .stale_if_error = 20s});
        check_events_against_counters<TestType>(seed, {.capacity = 3,
                                                       .ttl = 3s,
                                                       .finish_abandoned_loads = true,
                                                       .stale_while_revalidate = 5s,
                                                       .early_refresh = 1,
                                                       .soft_timeout = 1s});
    }
}

} // namespace
