// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// What README.md shows, compiled and run. The regions between `// [name]` and `// [/name]` stand in it word
// for word: readme_snippets_test.cpp sees to that.

#include <acache/acache.hpp>
#include <acache/prometheus.hpp>
#include <acache/testing.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/version.hpp>
#if BOOST_VERSION >= 108600
#include <boost/asio/cancel_after.hpp>
#endif
#ifdef ACACHE_TEST_YIELD_CONTEXT
#include <boost/asio/async_result.hpp>
#include <boost/asio/spawn.hpp>
#endif

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using acache::testing::stepper;
using boost::system::error_code;

namespace {

struct user {
    std::int64_t id = 0;
    std::string name;
};

/// Stands for a source of data. Every query suspends once, and is counted.
class database {
public:
    asio::awaitable<user> find(std::int64_t id) {
        co_await query();
        if (id < 0) {
            throw std::invalid_argument("no id is negative");
        }
        co_return user{id, renamed.contains(id) ? renamed.at(id) : "user " + std::to_string(id)};
    }

    asio::awaitable<std::optional<user>> find_if_any(std::int64_t id) {
        co_await query();
        co_return id < 1000 ? std::optional(user{id, "user " + std::to_string(id)}) : std::nullopt;
    }

    asio::awaitable<std::unordered_map<std::int64_t, user>> find_all(std::vector<std::int64_t> ids) {
        co_await query();
        std::unordered_map<std::int64_t, user> found;
        for (const auto id : ids) {
            if (id < 1000) {
                found.emplace(id, user{id, "user " + std::to_string(id)});
            }
        }
        co_return found;
    }

    asio::awaitable<std::int64_t> find_id(std::string mail) {
        co_await query();
        co_return static_cast<std::int64_t>(mail.size());
    }

    asio::awaitable<void> rename(std::int64_t id, std::string name) {
        co_await query();
        renamed[id] = std::move(name);
    }

    asio::awaitable<user> find_never(std::int64_t) {
        asio::steady_timer timer(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
        co_await timer.async_wait(asio::use_awaitable);
        co_return user{};
    }

    int queries = 0;

private:
    asio::awaitable<void> query() {
        ++queries;
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    }

    std::unordered_map<std::int64_t, std::string> renamed;
};

// ---- The parts -----------------------------------------------------------------------------------------

TEST_CASE("a wrapped function is called like the function") {
    asio::io_context context;
    stepper steps(context);
    database db;
    // [wrap]
    acache::async_cache<std::string, user> cache{context, {.capacity = 100'000, .ttl = 60s}};

    auto get_user = cache.cached("user:{}", [&db](std::int64_t id) -> asio::awaitable<user> {
        user found = co_await db.find(id);
        co_return found;
    });
    // [/wrap]
    auto program = [&]() -> asio::awaitable<void> {
        // [wrapped]
        user found = co_await get_user(42);             // what is stored, or what the function returns
        user fresh = co_await get_user.refresh(42);     // calls the function in any case
        co_await get_user.set(fresh, 42);               // stores a value that came from elsewhere
        bool there = co_await get_user.invalidate(42);  // removes what is stored
        std::optional<user> now = get_user.try_get(42); // no co_await: what is stored, or nothing
        auto answer = co_await get_user.lookup(42);     // answer.value, .source, .age, .tier
        std::string key = get_user.key(42);             // "user:42"

        std::vector<std::int64_t> ids{1, 2, 3};
        auto report = co_await get_user.warmup(ids, {.concurrency = 16}); // report.loaded, .present, .failed
        // [/wrapped]
        CHECK(found.name == "user 42");
        CHECK(there);
        CHECK(!now);
        CHECK(answer.source == acache::lookup_source::loaded);
        CHECK(report.loaded == 3);
        CHECK(key == "user:42");
    };
    steps.run(program());
    CHECK(db.queries == 6);
}

TEST_CASE("a cache is used without a wrapped function") {
    asio::io_context context;
    stepper steps(context);
    database db;
    acache::async_cache<std::int64_t, user> cache{context, {.ttl = 60s}};
    auto program = [&]() -> asio::awaitable<void> {
        // [direct]
        auto load = [&db](std::int64_t id) { return db.find(id); };

        user found = co_await cache.get_or_load(42, load);
        std::optional<user> stored = co_await cache.get(42); // never loads
        co_await cache.set(42, found, {.ttl = 5s});
        co_await cache.invalidate(42);
        co_await cache.clear();
        // [/direct]
        CHECK(stored);
    };
    steps.run(program());
    CHECK(db.queries == 1);
}

TEST_CASE("a loader gathers loads into a batch") {
    asio::io_context context;
    stepper steps(context);
    database db;
    // [loader]
    acache::async_cache<std::int64_t, user> cache{context, {.ttl = 60s}};

    // One query for many users. Here a map; a key that is not in it gets errc::not_found.
    auto find_users = [&db](std::vector<std::int64_t> ids) { return db.find_all(std::move(ids)); };
    acache::DataLoader users{cache, find_users, {.max_batch_size = 1000}};
    // [/loader]
    int greeted = 0;
    auto greet = [&](std::int64_t id) -> asio::awaitable<void> {
        // [load]
        user found = co_await users.load(id);
        // [/load]
        CHECK(found.id == id);
        ++greeted;
    };
    for (const std::int64_t id : {1, 2, 1, 3}) {
        asio::co_spawn(context, greet(id), asio::detached);
    }
    context.run();
    CHECK(greeted == 4);
    CHECK(db.queries == 1);
}

TEST_CASE("a loader of its own serves one request") {
    asio::io_context context;
    stepper steps(context);
    database db;
    // [per request]
    auto answer = [&db](std::vector<std::int64_t> ids) -> asio::awaitable<std::size_t> {
        auto find_users = [&db](std::vector<std::int64_t> missing) {
            return db.find_all(std::move(missing));
        };
        acache::DataLoader<std::int64_t, user> users{co_await asio::this_coro::executor, find_users};

        std::size_t known = 0;
        std::vector<acache::load_result<user>> results = co_await users.load_many(ids);
        for (const acache::load_result<user>& result : results) { // as many as ids, in their order
            known += result.has_value() ? 1 : 0;                  // *result, or result.error()
        }
        co_return known;
    };
    // [/per request]
    CHECK(steps.run(answer({1, 2, 1, 5000})) == 3);
    CHECK(db.queries == 1);
}

TEST_CASE("on a pool a window gathers a batch") {
    asio::thread_pool pool(2);
    database db;
    acache::async_cache<std::int64_t, user> cache{pool};
    // [window]
    auto find_users = [&db](std::vector<std::int64_t> ids) { return db.find_all(std::move(ids)); };
    acache::DataLoader users{cache, find_users, {.max_batch_size = 1000, .batch_window = 2ms}};
    // [/window]
    CHECK(asio::co_spawn(pool, users.load(7), asio::use_future).get().id == 7);
    pool.join();
}

TEST_CASE("single flight alone keeps nothing") {
    asio::io_context context;
    stepper steps(context);
    database db;
    // [single flight]
    acache::single_flight<std::int64_t, user> flights{context, {.load_timeout = 5s}};
    auto find_user = [&](std::int64_t id) -> asio::awaitable<user> {
        auto find = [&db](std::int64_t key) { return db.find(key); };
        co_return co_await flights.run(id, find); // joins the run under way for this id, or starts one
    };
    // [/single flight]
    auto both = [&]() -> asio::awaitable<void> {
        user found = co_await find_user(42);
        CHECK(found.id == 42);
    };
    asio::co_spawn(context, both(), asio::detached);
    asio::co_spawn(context, both(), asio::detached);
    context.run();
    CHECK(db.queries == 1);
}

// ---- Ends ----------------------------------------------------------------------------------------------

TEST_CASE("loaders and caches are drained before what their loads use goes") {
    asio::io_context context;
    stepper steps(context);
    database db;
    acache::async_cache<std::int64_t, user> cache{context};
    acache::DataLoader users{cache,
                             [&db](std::vector<std::int64_t> ids) { return db.find_all(std::move(ids)); }};
    // [shut down]
    auto shut_down = [&]() -> asio::awaitable<void> {
        co_await users.drain(); // lets what runs finish; close() would cancel it
        co_await cache.drain();
        // No load runs any more: db may go.
    };
    // [/shut down]
    steps.run(shut_down());
    CHECK_THROWS_AS(steps.run(users.load(1)), boost::system::system_error);
}

// ---- Keys ----------------------------------------------------------------------------------------------

// [typed key]
struct document_key {
    std::string tenant;
    std::string path;

    bool operator==(const document_key&) const = default;
    friend std::size_t hash_value(const document_key& key) {
        return acache::hash<std::tuple<std::string_view, std::string_view>>{}({key.tenant, key.path});
    }
};
// [/typed key]

TEST_CASE("keys of several free strings are typed") {
    asio::io_context context;
    stepper steps(context);
    int reads = 0;
    // [typed keys]
    auto read = [&reads](std::string tenant, std::string path) -> asio::awaitable<std::string> {
        ++reads; // ask the store of documents
        co_return tenant + "'s " + path;
    };
    // No format: the key is document_key{tenant, path}, made of the arguments.
    acache::async_cache<document_key, std::string> documents{context};
    auto get_document = documents.cached(read);

    // A std::tuple needs no struct and no hash.
    acache::async_cache<std::tuple<std::string, std::string>, std::string> others{context};
    auto get_other = others.cached(read);
    // [/typed keys]
    CHECK(steps.run(get_document("a:b", "c")) == "a:b's c");
    CHECK(steps.run(get_document("a", "b:c")) == "a's b:c");
    CHECK(steps.run(get_document("a", "b:c")) == "a's b:c");
    CHECK(steps.run(get_other("a", "b:c")) == "a's b:c");
    CHECK(reads == 3);
}

TEST_CASE("a key function makes the key of the arguments") {
    asio::io_context context;
    stepper steps(context);
    database db;
    acache::async_cache<std::int64_t, user> users{context};
    // [key function]
    auto get_user =
        users.cached([](std::int64_t id, std::string_view) { return id; }, // who asks is not in it
                     [&db](std::int64_t id, std::string_view /* asked_by */) { return db.find(id); });
    // [/key function]
    CHECK(steps.run(get_user(42, "Ada")).id == 42);
    CHECK(steps.run(get_user(42, "Ben")).id == 42);
    CHECK(db.queries == 1);

    acache::async_cache<std::string, std::string> reports{context};
    auto make_report = [](std::int64_t customer, std::string_view) -> asio::awaitable<std::string> {
        co_return "report on " + std::to_string(customer);
    };
    // [numbered]
    auto get_report = reports.cached("report:{0}", make_report); // the second argument is left out on purpose
    // [/numbered]
    CHECK(get_report.key(42, "Ada") == "report:42");
}

// ---- Backends ------------------------------------------------------------------------------------------

// [backend]
/// Entries in a map, as many as there are.
template <class K, class V>
class map_backend {
public:
    std::optional<acache::entry<V>> get(const K& key) {
        const std::lock_guard lock{state_->mutex};
        const auto found = state_->entries.find(key);
        return found == state_->entries.end() ? std::nullopt : std::optional(found->second);
    }
    void set(const K& key, acache::entry<V> fresh) {
        const std::lock_guard lock{state_->mutex};
        state_->entries.insert_or_assign(key, std::move(fresh));
    }
    bool erase(const K& key) {
        const std::lock_guard lock{state_->mutex};
        return state_->entries.erase(key) != 0;
    }
    void clear() {
        const std::lock_guard lock{state_->mutex};
        state_->entries.clear();
    }

private:
    struct state {
        std::mutex mutex;
        std::unordered_map<K, acache::entry<V>> entries;
    };
    std::unique_ptr<state> state_ = std::make_unique<state>(); // a backend can be moved, a mutex cannot
};

static_assert(acache::synchronous_backend<map_backend<std::string, user>, std::string, user>);
// [/backend]

TEST_CASE("a cache stands on a backend of one's own") {
    asio::io_context context;
    stepper steps(context);
    database db;
    // [backend used]
    using backend = map_backend<std::string, user>;
    acache::async_cache<std::string, user, backend> cache{context, backend{}, {.ttl = 60s}};
    // [/backend used]
    auto get_user = cache.cached("user:{}", [&db](std::int64_t id) { return db.find(id); });
    CHECK(steps.run(get_user(42)).id == 42);
    CHECK(steps.run(get_user(42)).id == 42);
    CHECK(steps.run(get_user.invalidate(42)));
    CHECK(db.queries == 1);
}

TEST_CASE("the memory backend takes another policy, and options of its own") {
    asio::io_context context;
    stepper steps(context);
    // [policy]
    using backend =
        acache::memory_backend<std::string, user, acache::hash<std::string>, std::equal_to<>, acache::lru>;
    const acache::memory_options memory{.capacity = 5'000, .shards = 1};
    acache::async_cache<std::string, user, backend> cache{context, backend{memory}};
    // [/policy]
    const user ada{42, "Ada"};
    steps.run(cache.set("42", ada));
    CHECK(cache.try_get("42"));
    CHECK(cache.metrics().size == 1);
}

TEST_CASE("a memory backend is bounded by weight, and tells of what leaves") {
    asio::io_context context;
    stepper steps(context);
    std::vector<std::string> log;
    using acache::removal_cause;
    // [weight]
    using pages = acache::memory_backend<std::string, std::string>;
    pages memory{{.capacity = 100'000, .max_weight = 64 << 20, .time_to_idle = 30min}};
    memory.weigh_by(
        [](const std::string& path, const std::string& page) { return path.size() + page.size(); });
    memory.on_removal([&log](const std::string& path, const std::string&, removal_cause cause) {
        if (cause == removal_cause::capacity) {
            log.push_back(path + " had to go");
        }
    });
    acache::async_cache<std::string, std::string, pages> cache{context, std::move(memory), {.ttl = 1h}};
    // [/weight]
    steps.run(cache.set("/", std::string(40 << 20, 'x')));
    steps.run(cache.set("/about", std::string(40 << 20, 'x')));
    CHECK(log == std::vector<std::string>{"/ had to go"});
    // [resize]
    (void)cache.backend().resize_weight(32 << 20); // evicts down to that
    // [/resize]
    CHECK(cache.metrics().weight == 0);
}

// ---- Metrics -------------------------------------------------------------------------------------------

TEST_CASE("metrics are a snapshot, and a page for Prometheus") {
    asio::io_context context;
    database db;
    acache::async_cache<std::string, user> cache{context, {.name = "users"}};
    // [metrics]
    acache::cache_metrics m = cache.metrics();
    double ratio = m.hit_ratio(); // of m.hits, m.stale_hits, m.misses, m.coalesced

    std::string page; // to be answered as acache::prometheus_content_type
    acache::write_prometheus(page, cache.name(), m);
    // [/metrics]
    CHECK(ratio == 0);
    CHECK(page.find("acache_requests_total{cache=\"users\",result=\"hit\"} 0") != std::string::npos);
}

TEST_CASE("in_flight lists the loads under way") {
    asio::io_context context;
    acache::async_cache<std::string, int> cache{context};
    std::ostringstream log;
    // [in flight]
    for (const auto& flight : cache.in_flight()) {
        if (flight.age > 10s) {
            log << flight.key << ": " << flight.callers << " wait, for " << flight.age / 1s << " s\n";
        }
    }
    // [/in flight]
    CHECK(log.str().empty());
}

// [observer]
/// Logs loads that fail, and counts what is evicted.
struct load_log {
    void on(const acache::events::load_ended<std::string>& load) {
        if (load.failure) {
            out << load.key << " failed after " << load.took / 1ms << " ms\n";
        }
    }
    void on(const acache::events::removed<std::string>& entry) {
        evicted += entry.cause == acache::removal_cause::capacity ? 1 : 0;
    }
    std::ostream& out;
    std::atomic<int>& evicted; // events come from all threads
};
// [/observer]

TEST_CASE("an observer logs failures and counts evictions") {
    asio::io_context context;
    stepper steps(context);
    std::ostringstream log;
    std::atomic<int> evicted = 0;
    // [observed]
    using memory = acache::memory_backend<std::string, int>;
    acache::async_cache<std::string, int, memory, load_log> cache{
        context, {.capacity = 1}, load_log{log, evicted}};
    // [/observed]
    steps.run(cache.set("a", 1));
    steps.run(cache.set("b", 1));
    const auto fail = []() -> asio::awaitable<int> {
        throw std::runtime_error("no source");
        co_return 0;
    };
    CHECK_THROWS(steps.run(cache.get_or_load("c", fail)));
    CHECK(evicted == 1);
    CHECK(log.str() == "c failed after 0 ms\n");
}

// ---- Tests of one's own ----------------------------------------------------------------------------------

// [testing time]
TEST_CASE("a user is asked for again after a minute") {
    using namespace acache::testing;
    using backend = manual_backend<std::string, user>; // the default one, on a clock that stands still
    manual_clock::reset();
    asio::io_context context;
    stepper steps(context);
    acache::async_cache<std::string, user, backend> cache{context, backend{100}, {.ttl = 60s}};
    database db;
    auto get_user = cache.cached("user:{}", [&db](std::int64_t id) { return db.find(id); });

    (void)steps.run(get_user(42)); // runs the context, one handler after the other, until the value is there
    manual_clock::advance(59s);
    (void)steps.run(get_user(42));
    CHECK(db.queries == 1);
    manual_clock::advance(1s); // nobody has slept
    (void)steps.run(get_user(42));
    CHECK(db.queries == 2);
}
// [/testing time]

// [testing backend]
TEST_CASE("a backend that is down costs a load, and no more") {
    using namespace acache::testing;
    manual_clock::reset();
    asio::io_context context;
    stepper steps(context);
    scripted_backend<std::string, user> remote; // a handle: its copy in the cache is the same backend
    acache::async_cache<std::string, user, scripted_backend<std::string, user>> cache{context, remote};
    database db;
    auto get_user = cache.cached("user:{}", [&db](std::int64_t id) { return db.find(id); });

    remote.script().fail_next(op::get, std::runtime_error("connection refused"));
    CHECK(steps.run(get_user(42)).id == 42);
    CHECK(db.queries == 1);
    CHECK(cache.metrics().backend_failures == 1);

    auto script = remote.script();
    script.hold(op::get); // the next look-up stops here ...
    asio::co_spawn(context, get_user(42), asio::detached);
    asio::co_spawn(context, get_user(42), asio::detached);
    steps.run_until_idle();
    CHECK(script.parked(op::get) == 1); // two callers, one read
    script.release_all();               // ... until here
    steps.run_until_idle();
    CHECK(db.queries == 1);
}
// [/testing backend]

// ---- Recipes -------------------------------------------------------------------------------------------

// [with_deadline]
template <class T>
asio::awaitable<void> store_result(asio::awaitable<T> work, std::optional<T>& result) {
    result.emplace(co_await std::move(work));
}

/// What `work` brings; `asio::error::timed_out` if that takes longer than `limit`, and then `work` is
/// cancelled. As with every cancellation in Asio, the caller runs on a strand or on a context with one
/// thread.
template <class T>
asio::awaitable<T> with_deadline(asio::awaitable<T> work, std::chrono::nanoseconds limit) {
    struct shared {
        asio::cancellation_signal signal;
        bool late = false;
    };
    // Shared, since the timer's handler may run when this coroutine has ended.
    const auto state = std::make_shared<shared>();
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, std::chrono::duration_cast<asio::steady_timer::duration>(limit));
    timer.async_wait([state](error_code error) {
        if (!error) {
            state->late = true;
            state->signal.emit(asio::cancellation_type::terminal);
        }
    });
    // Who cancels the caller cancels the work.
    asio::cancellation_state caller = co_await asio::this_coro::cancellation_state;
    if (caller.slot().is_connected()) {
        caller.slot().assign([state](auto) { state->signal.emit(asio::cancellation_type::terminal); });
    }
    std::optional<T> result;
    try {
        co_await asio::co_spawn(executor, store_result(std::move(work), result),
                                asio::bind_cancellation_slot(state->signal.slot(), asio::use_awaitable));
    } catch (const boost::system::system_error& error) {
        if (state->late && error.code() == asio::error::operation_aborted) {
            throw boost::system::system_error(asio::error::timed_out);
        }
        throw;
    }
    co_return std::move(*result);
}
// [/with_deadline]

error_code code_of(const std::exception_ptr& failure) {
    try {
        if (failure) {
            std::rethrow_exception(failure);
        }
    } catch (const boost::system::system_error& error) {
        return error.code();
    }
    return {};
}

TEST_CASE("a deadline ends a call, and the load that nobody else waits for") {
    asio::io_context context;
    database db;
    acache::async_cache<std::string, user> cache{context};
    auto get_user = cache.cached("user:{}", [&db](std::int64_t id) { return db.find(id); });
    auto get_never = cache.cached("never:{}", [&db](std::int64_t id) { return db.find_never(id); });

    int arrived = 0;
    auto in_time = [&]() -> asio::awaitable<void> {
        // [deadline]
        user found = co_await with_deadline(get_user(42), 100ms);
        // [/deadline]
        CHECK(found.id == 42);
        ++arrived;
    };
    asio::co_spawn(context, in_time(), asio::detached);
    context.run();
    CHECK(arrived == 1);

    std::exception_ptr failure;
    context.restart();
    asio::co_spawn(context, with_deadline(get_never(1), 1ms),
                   [&](std::exception_ptr error, const user&) { failure = error; });
    context.run();
    CHECK(code_of(failure) == asio::error::timed_out);
    CHECK(cache.metrics().in_flight == 0);

    failure = nullptr;
    context.restart();
    asio::co_spawn(context, with_deadline(get_user(-1), 1h),
                   [&](std::exception_ptr error, const user&) { failure = error; });
    context.run();
    CHECK_THROWS_AS(std::rethrow_exception(failure), std::invalid_argument);

    failure = nullptr;
    context.restart();
    asio::cancellation_signal leave;
    asio::co_spawn(context, with_deadline(get_never(2), 1h),
                   asio::bind_cancellation_slot(
                       leave.slot(), [&](std::exception_ptr error, const user&) { failure = error; }));
    context.poll();
    CHECK(cache.metrics().in_flight == 1);
    leave.emit(asio::cancellation_type::terminal);
    context.run();
    CHECK(code_of(failure) == asio::error::operation_aborted);
    CHECK(cache.metrics().in_flight == 0);
}

#if BOOST_VERSION >= 108600
TEST_CASE("cancel_after ends a call") {
    asio::io_context context;
    database db;
    acache::async_cache<std::string, user> cache{context};
    auto get_user = cache.cached("user:{}", [&db](std::int64_t id) { return db.find(id); });
    auto get_never = cache.cached("never:{}", [&db](std::int64_t id) { return db.find_never(id); });
    std::exception_ptr failure;
    auto program = [&]() -> asio::awaitable<void> {
        // [cancel_after]
        asio::any_io_executor executor = co_await asio::this_coro::executor;
        user found = co_await asio::co_spawn(executor, get_user(42), asio::cancel_after(100ms));
        // [/cancel_after]
        CHECK(found.id == 42);
        found = co_await asio::co_spawn(executor, get_never(1), asio::cancel_after(1ms));
    };
    asio::co_spawn(context, program(), [&](std::exception_ptr error) { failure = error; });
    context.run();
    CHECK(code_of(failure) == asio::error::operation_aborted);
    CHECK(cache.metrics().in_flight == 0);
}
#endif

TEST_CASE("the cache's own deadline is of a load, not of a call") {
    using namespace acache::testing;
    using backend = acache::memory_backend<std::string, user, acache::hash<std::string>, std::equal_to<>,
                                           acache::s3_fifo, manual_clock>;
    manual_clock::reset();
    asio::io_context context;
    stepper steps(context);
    database db;
    acache::async_cache<std::string, user, backend> cache{context, backend{100}};
    auto find_user = [&db](std::int64_t id) { return db.find_never(id); };
    // [load_timeout]
    auto get_user = cache.cached("user:{}", find_user, {.load_timeout = 2s});
    // [/load_timeout]
    std::exception_ptr failure;
    asio::co_spawn(context, get_user(42), [&](std::exception_ptr error, const user&) { failure = error; });
    steps.run_until_idle();
    manual_clock::advance(2s);
    steps.run_until_idle();
    CHECK(code_of(failure) == acache::errc::load_timeout);
}

TEST_CASE("a call from a callback") {
    asio::io_context context;
    database db;
    acache::async_cache<std::string, user> cache{context};
    auto get_user = cache.cached("user:{}", [&db](std::int64_t id) { return db.find(id); });
    user got;
    auto answer = [&](const user& found) { got = found; };
    auto report = [](std::exception_ptr) { FAIL(); };
    // [callback]
    asio::co_spawn(context, get_user(42), [&](std::exception_ptr error, user found) {
        if (error) {
            report(error);
        } else {
            answer(found);
        }
    });
    // [/callback]
    context.run();
    CHECK(got.id == 42);
}

TEST_CASE("a call from a thread that waits for a future") {
    asio::thread_pool pool(1);
    database db;
    acache::async_cache<std::string, user> cache{pool};
    auto get_user = cache.cached("user:{}", [&db](std::int64_t id) { return db.find(id); });
    // [future]
    std::future<user> future = asio::co_spawn(pool, get_user(42), asio::use_future);
    user found = future.get(); // on a thread that does not run the pool
    // [/future]
    CHECK(found.id == 42);
    pool.join();
}

#ifdef ACACHE_TEST_YIELD_CONTEXT
// [await_in]
/// What `work` brings, to a stackful coroutine. (With Boost 1.81 `co_spawn` does not take `yield` itself.)
template <class T>
T await_in(asio::yield_context yield, asio::awaitable<T> work) {
    std::optional<T> result;
    std::exception_ptr failure;
    auto start = [&](auto resume) {
        auto ended = [&failure, resume = std::move(resume)](std::exception_ptr error) mutable {
            failure = error;
            std::move(resume)();
        };
        asio::co_spawn(yield.get_executor(), store_result(std::move(work), result), std::move(ended));
    };
    asio::async_initiate<asio::yield_context, void()>(start, yield);
    if (failure) {
        std::rethrow_exception(failure);
    }
    return std::move(*result);
}
// [/await_in]

TEST_CASE("a call from a stackful coroutine") {
    asio::io_context context;
    database db;
    acache::async_cache<std::string, user> cache{context};
    auto get_user = cache.cached("user:{}", [&db](std::int64_t id) { return db.find(id); });
    int arrived = 0;
    auto answer = [&](const user& found) { arrived += found.id == 42 ? 1 : 0; };
    auto rethrow = [](std::exception_ptr error) {
        if (error) {
            std::rethrow_exception(error);
        }
    };
    // [yield]
    asio::spawn(
        context,
        [&](asio::yield_context yield) {
            user found = await_in(yield, get_user(42));
            answer(found);
        },
        rethrow);
    // [/yield]
    context.run();
    CHECK(arrived == 1);

    asio::spawn(context, [&](asio::yield_context yield) { (void)await_in(yield, get_user(-1)); }, rethrow);
    context.restart();
    CHECK_THROWS_AS(context.run(), std::invalid_argument);
}
#endif

TEST_CASE("a write is followed by an invalidation") {
    asio::io_context context;
    stepper steps(context);
    database db;
    acache::async_cache<std::string, user> cache{context};
    auto get_user = cache.cached("user:{}", [&db](std::int64_t id) { return db.find(id); });
    // [invalidate]
    auto rename = [&](std::int64_t id, std::string name) -> asio::awaitable<void> {
        co_await db.rename(id, name);     // the source first,
        co_await get_user.invalidate(id); // then the cache
    };
    // [/invalidate]
    CHECK(steps.run(get_user(42)).name == "user 42");
    steps.run(rename(42, "Ada"));
    CHECK(steps.run(get_user(42)).name == "Ada");
}

struct token {
    std::string text;
    std::chrono::seconds expires_in;
};

TEST_CASE("a value says how long it lives") {
    using namespace acache::testing;
    using backend = acache::memory_backend<std::string, token, acache::hash<std::string>, std::equal_to<>,
                                           acache::s3_fifo, manual_clock>;
    manual_clock::reset();
    asio::io_context context;
    stepper steps(context);
    acache::async_cache<std::string, token, backend> cache{context, backend{100}, {.ttl = 60s}};
    int requests = 0;
    auto request_token = [&](std::string_view) -> asio::awaitable<token> {
        ++requests;
        co_return token{"secret", 300s};
    };
    // [ttl]
    auto get_token = cache.cached(
        "token:{}", [&](acache::load_context& load, std::string_view scope) -> asio::awaitable<token> {
            token fresh = co_await request_token(scope);
            load.ttl(fresh.expires_in - 30s); // not positive: it is not stored
            co_return fresh;
        });
    // [/ttl]
    (void)steps.run(get_token("read"));
    manual_clock::advance(269s);
    (void)steps.run(get_token("read"));
    CHECK(requests == 1);
    manual_clock::advance(1s);
    (void)steps.run(get_token("read"));
    CHECK(requests == 2);
}

TEST_CASE("stale values are served where the options let them") {
    asio::io_context context;
    stepper steps(context);
    database db;
    // [stale]
    acache::async_cache<std::string, user> cache{
        context,
        {.ttl = 60s,
         .stale_while_revalidate = 30s, // served, and renewed meanwhile
         .stale_if_error = 10min,       // served if the source is down
         .early_refresh = 1,            // renewed before it is stale
         .ttl_jitter = 0.1,
         .soft_timeout = 50ms}};
    // [/stale]
    auto get_user = cache.cached("user:{}", [&db](std::int64_t id) { return db.find(id); });
    CHECK(steps.run(get_user(42)).name == "user 42");
    CHECK(steps.run(get_user.expire(42)));
    auto again = steps.run(get_user.lookup(42));
    CHECK(again.value.name == "user 42");
    CHECK(again.source == acache::lookup_source::stale);
}

TEST_CASE("a tag removes what belongs together") {
    asio::io_context context;
    stepper steps(context);
    database db;
    acache::async_cache<std::string, user> cache{context};
    // [tags]
    auto get_member = cache.cached(
        "member:{}", [&db](acache::load_context& load, std::int64_t id) -> asio::awaitable<user> {
            user found = co_await db.find(id);
            load.tag("org:" + std::to_string(found.id % 10));
            co_return found;
        });

    auto close_org = [&](std::int64_t org) -> asio::awaitable<void> {
        co_await cache.invalidate_tag("org:" + std::to_string(org));
    };
    // [/tags]
    for (const std::int64_t id : {12, 22, 13}) {
        (void)steps.run(get_member(id));
    }
    steps.run(close_org(2));
    CHECK(!get_member.try_get(12));
    CHECK(!get_member.try_get(22));
    CHECK(get_member.try_get(13));
}

using page = std::string;

struct response {
    int status;
    std::string etag;
    page body;
};

TEST_CASE("a loader asks whether a value has changed") {
    asio::io_context context;
    stepper steps(context);
    int sent = 0;
    auto fetch = [&](std::string path, std::string_view etag) -> asio::awaitable<response> {
        if (etag == "v1") {
            co_return response{304, {}, {}};
        }
        ++sent;
        co_return response{200, "v1", "the page " + path};
    };
    // [not modified]
    acache::async_cache<std::string, page> pages{context, {.ttl = 10s, .keep_stale = 1h}};
    auto get_page =
        pages.cached("page:{}", [&](acache::load_context& load, std::string path) -> asio::awaitable<page> {
            response answer = co_await fetch(path, load.stale_validator()); // If-None-Match
            if (answer.status == 304) {
                load.not_modified(); // the stored page is fresh again, whatever is returned here
                co_return page{};
            }
            load.validator(answer.etag);
            co_return answer.body;
        });
    // [/not modified]
    CHECK(steps.run(get_page("/")) == "the page /");
    CHECK(steps.run(get_page.expire("/")));
    CHECK(!get_page.try_get("/"));
    CHECK(steps.run(get_page("/")) == "the page /");
    CHECK(get_page.try_get("/") == "the page /");
    CHECK(sent == 1);
}

TEST_CASE("many keys in one look-up") {
    asio::io_context context;
    stepper steps(context);
    database db;
    acache::async_cache<std::int64_t, user> cache{context};
    auto program = [&]() -> asio::awaitable<void> {
        // [batch]
        std::vector<std::int64_t> ids{1, 2, 3, 5000};
        auto find_users = [&db](std::vector<std::int64_t> missing) {
            return db.find_all(std::move(missing));
        };

        auto stored = co_await cache.get_many(ids);                  // map from id to user, of those stored
        auto all = co_await cache.get_many_or_load(ids, find_users); // map from id to load_result<user>
        std::string name = all.at(1)->name;
        bool unknown = all.at(5000).has_error(); // here errc::not_found
        // [/batch]
        CHECK(stored.empty());
        CHECK(all.size() == 4);
        CHECK(name == "user 1");
        CHECK(unknown);
    };
    steps.run(program());
    CHECK(db.queries == 1);
}

TEST_CASE("a key leads to a key") {
    asio::io_context context;
    stepper steps(context);
    database db;
    // [levels]
    acache::async_cache<std::string, user> users{context, {.ttl = 60s}};
    acache::async_cache<std::string, std::int64_t> ids{context, {.ttl = 1h}};

    auto get_user = users.cached("user:{}", [&db](std::int64_t id) { return db.find(id); });
    auto get_id = ids.cached("mail:{}", [&db](std::string mail) { return db.find_id(std::move(mail)); });
    auto get_user_by_mail = [&](std::string mail) -> asio::awaitable<user> {
        std::int64_t id = co_await get_id(mail);
        co_return co_await get_user(id);
    };
    // [/levels]
    CHECK(steps.run(get_user_by_mail("a@example.org")).id == 13);
    CHECK(steps.run(get_user_by_mail("b@example.org")).id == 13);
    CHECK(db.queries == 3);
}

TEST_CASE("errors are those of the source, or acache's") {
    asio::io_context context;
    stepper steps(context);
    database db;
    acache::async_cache<std::string, user> cache{context};
    auto get_user = cache.cached("user:{}", [&db](std::int64_t id) { return db.find(id); });
    // [errors]
    auto status_of = [&](std::int64_t id) -> asio::awaitable<int> {
        try {
            user found = co_await get_user(id);
            co_return found.id == id ? 200 : 500;
        } catch (const boost::system::system_error& error) {
            co_return error.code() == acache::errc::load_timeout ? 503 : 500;
        } catch (const std::invalid_argument&) { // what db.find throws arrives as it was thrown
            co_return 400;
        }
    };
    // [/errors]
    CHECK(steps.run(status_of(42)) == 200);
    CHECK(steps.run(status_of(-1)) == 400);
    steps.run(cache.close());
    CHECK(steps.run(status_of(42)) == 500);
}

TEST_CASE("that there is no value can be remembered") {
    asio::io_context context;
    stepper steps(context);
    database db;
    // [absent]
    acache::async_cache<std::string, user> cache{context, {.ttl = 60s, .negative_ttl = 5s}};
    auto find_user = cache.cached("user:{}", [&db](std::int64_t id) {
        return db.find_if_any(id); // an awaitable of std::optional<user>
    });
    auto name_of = [&](std::int64_t id) -> asio::awaitable<std::string> {
        try {
            user found = co_await find_user(id);
            co_return found.name;
        } catch (const boost::system::system_error& error) {
            if (error.code() != acache::errc::not_found) {
                throw;
            }
        }
        co_return "nobody";
    };
    // [/absent]
    CHECK(steps.run(name_of(5000)) == "nobody");
    CHECK(steps.run(name_of(5000)) == "nobody");
    CHECK(db.queries == 1);
    CHECK(cache.metrics().negative_hits == 1);
    CHECK(steps.run(name_of(42)) != "nobody");
}

TEST_CASE("errors can be remembered") {
    asio::io_context context;
    stepper steps(context);
    database db;
    acache::async_cache<std::string, user> cache{context};
    // [remembered errors]
    cache.remember_errors([](const std::exception_ptr& error) -> std::optional<std::chrono::seconds> {
        try {
            std::rethrow_exception(error);
        } catch (const std::invalid_argument&) {
            return 60s; // the same call will fail the same way
        } catch (...) {
            return std::nullopt;
        }
    });
    // [/remembered errors]
    auto get_user = cache.cached("user:{}", [&db](std::int64_t id) { return db.find(id); });
    CHECK_THROWS_AS(steps.run(get_user(-1)), std::invalid_argument);
    CHECK_THROWS_AS(steps.run(get_user(-1)), std::invalid_argument);
    CHECK(cache.metrics().loads == 1);
}

TEST_CASE("a loader that captures has a name") {
    asio::io_context context;
    stepper steps(context);
    const auto db = std::make_shared<database>();
    acache::async_cache<std::int64_t, user> cache{context};
    auto program = [&]() -> asio::awaitable<void> {
        // [named loader]
        auto load = [db](std::int64_t id) { return db->find(id); };
        user found = co_await cache.get_or_load(42, load);
        // [/named loader]
        CHECK(found.id == 42);
    };
    steps.run(program());
}

} // namespace
