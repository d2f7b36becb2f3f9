// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "shared_setup.hpp"

#include <acache/data_loader.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// Batches of two caches on one store.

namespace {

using namespace setup;

using result = acache::load_result<int>;

/// Brings the length of each key and a hundred for each batch so far; empty keys have no value. Parks while
/// it is held.
struct batches {
    struct state {
        acache::testing::script gate;
        std::vector<std::vector<std::string>> sent;
        bool stubborn = false;
    };
    std::shared_ptr<state> s = std::make_shared<state>();

    asio::awaitable<std::vector<std::optional<int>>> operator()(std::vector<std::string> keys) const {
        return load(s, std::move(keys));
    }
    static asio::awaitable<std::vector<std::optional<int>>> load(std::shared_ptr<state> s,
                                                                 std::vector<std::string> keys) {
        s->sent.push_back(keys);
        const int base = static_cast<int>(s->sent.size()) * 100;
        if (s->stubborn) {
            co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        }
        co_await s->gate.begin(op::get_many);
        std::vector<std::optional<int>> values;
        for (const auto& key : keys) {
            values.push_back(key.empty() ? std::nullopt : std::optional(base + static_cast<int>(key.size())));
        }
        co_return values;
    }

    void hold() const { s->gate.hold(op::get_many); }
    void let_pass() const {
        s->gate.let_pass(op::get_many);
        s->gate.release_all();
    }
    [[nodiscard]] std::size_t count() const { return s->sent.size(); }
};

using keys = std::vector<std::string>;

acache::entry<int> made_now(int value) {
    return acache::entry<int>(value, manual_clock::now());
}

TEST_CASE("a batch looks in one operation and stores in one") {
    cluster c;
    c.server->write("b", made_now(7));
    const batches fn;
    auto got = c.call(c.first.cache->get_many_or_load(keys{"a", "b", "cc"}, fn)).value();
    CHECK(got.at("a").value() == 101);
    CHECK(got.at("b").value() == 7);
    CHECK(got.at("cc").value() == 102);
    CHECK(fn.s->sent == std::vector<keys>{keys{"a", "cc"}});
    CHECK(c.first.script.calls(op::get_many) == 1);
    CHECK(c.first.script.calls(op::get) == 0);
    CHECK(c.first.script.calls(op::set) == 1);
    CHECK(c.stored("a") == 101);
    CHECK(c.stored("b") == 7);
    CHECK(c.stored("cc") == 102);
}

TEST_CASE("C11 C13 what another process does to a key during a batch is not overwritten") {
    cluster c;
    const batches fn;
    fn.hold();
    auto getting = c.call(c.first.cache->get_many_or_load(keys{"a", "b", "c"}, fn));
    if (GENERATE(false, true)) {
        c.first.store.go_deaf();
    }
    REQUIRE(c.call(c.second.cache->invalidate("a")).done());
    REQUIRE(c.call(c.second.cache->set("b", 7)).done());
    fn.let_pass();
    c.settle();
    const auto got = getting.value();
    CHECK(got.at("a").value() == 101);
    CHECK(got.at("b").value() == 101);
    CHECK(c.stored("a") == std::nullopt);
    CHECK(c.stored("b") == 7);
    CHECK(c.stored("c") == 101);
}

TEST_CASE("C14 a key of a batch that another process has changed is loaded anew for who comes later") {
    cluster c;
    const batches fn;
    fn.hold();
    auto getting = c.call(c.first.cache->get_many_or_load(keys{"a", "b"}, fn));
    REQUIRE(c.call(c.second.cache->invalidate("a")).done());
    auto later = c.call(c.first.cache->get_many_or_load(keys{"a", "b"}, fn));
    CHECK(fn.s->sent == std::vector<keys>{keys{"a", "b"}, keys{"a"}});
    fn.let_pass();
    c.settle();
    CHECK(getting.value().at("a").value() == 101);
    CHECK(later.value().at("a").value() == 201);
    CHECK(later.value().at("b").value() == 101);
    CHECK(c.stored("a") == 201);
}

TEST_CASE("a batch that fails or is not stored lets others go on") {
    cluster c;
    const batches fn;
    fn.hold();
    auto getting = c.call(c.first.cache->get_many_or_load(keys{"a", ""}, fn));
    auto waiting = c.call(c.second.load("a"));
    auto waiting_too = c.call(c.second.load(""));
    CHECK(c.second.store.waiters() == 2);
    SECTION("it fails") {
        fn.s->gate.fail_next(op::get_many, std::runtime_error("no source"));
        fn.let_pass();
        c.settle();
        CHECK(waiting.done());
        CHECK(waiting_too.done());
        CHECK(c.second.src.starts() == 2);
    }
    SECTION("a key has no value") {
        fn.let_pass();
        c.settle();
        CHECK(waiting.value() == 101);
        CHECK(waiting_too.value() == 201);
    }
    SECTION("all callers leave") {
        getting.leave();
        c.settle();
        CHECK(waiting.done());
        CHECK(waiting_too.done());
        CHECK(c.second.src.starts() == 2);
    }
    SECTION("all callers leave, and it does not heed that") {
        fn.s->stubborn = true;
        auto again = c.call(c.first.cache->get_many_or_load(keys{"d"}, fn));
        auto wants_it = c.call(c.second.load("d"));
        again.leave();
        c.settle();
        CHECK(wants_it.done());
        CHECK_FALSE(waiting.done());
        fn.let_pass();
        c.settle();
        CHECK(c.stored("d") == wants_it.value());
    }
    SECTION("the store fails") {
        c.first.script.fail_next(op::set, std::runtime_error("no store"));
        fn.let_pass();
        c.settle();
        CHECK(getting.value().at("a").value() == 101);
        CHECK(waiting.value() == 201);
    }
    CHECK_FALSE(c.server->leased("a"));
    CHECK_FALSE(c.server->leased(""));
}

TEST_CASE("C29 what a batch loads after its look failed is not stored") {
    cluster c;
    const batches fn;
    c.first.script.fail_next(op::get_many, std::runtime_error("no store"));
    const auto got = c.call(c.first.cache->get_many_or_load(keys{"a", "b"}, fn)).value();
    CHECK(got.at("a").value() == 101);
    CHECK(c.stored("a") == std::nullopt);
    CHECK(c.stored("b") == std::nullopt);
    CHECK(c.first.cache->metrics().backend_failures == 1);
}

TEST_CASE("keys that nobody wants any more when the look is over leave their leases") {
    cluster c;
    const batches fn;
    acache::DataLoader loader(*c.first.cache, fn);
    c.first.script.hold_answers(op::get_many);
    auto leaving = c.call(loader.load("a"));
    auto staying = c.call(loader.load("b"));
    c.first.script.let_pass(op::get_many);
    leaving.leave();
    c.first.script.release_all();
    c.settle();
    CHECK(staying.done());
    CHECK_FALSE(c.server->leased("a"));
    CHECK_FALSE(c.server->leased("b"));
}

TEST_CASE("C22 C28 a loader's batch and its key that was fenced before it was sent share a lease") {
    cluster c;
    const batches fn;
    acache::DataLoader loader(*c.first.cache, fn, {.batch_window = 1s});
    auto before = c.call(loader.load("a"));
    c.server->write("a", made_now(7));
    c.server->remove("a", nullptr);
    auto after = c.call(loader.load("a"));
    manual_clock::advance(1s);
    c.settle();
    CHECK(fn.s->sent == std::vector<keys>{keys{"a"}});
    CHECK(before.value() == 101);
    CHECK(after.value() == 101);
    CHECK(c.stored("a") == 101);
}

constexpr acache::cache_options revalidating{.ttl = 10s, .stale_while_revalidate = 1h};

TEST_CASE("C19 a batch renews with the leases of its look") {
    cluster c(revalidating);
    const batches fn;
    REQUIRE(c.call(c.first.cache->get_many_or_load(keys{"a", "b"}, fn)).done());
    manual_clock::advance(15s);
    fn.hold();
    auto got = c.call(c.second.cache->get_many_or_load(keys{"a", "b", "c"}, fn));
    CHECK_FALSE(got.done());
    c.second.store.go_deaf();
    REQUIRE(c.call(c.first.cache->set("b", 7)).done());
    const auto looks = c.second.script.calls(op::get_many);
    fn.let_pass();
    c.settle();
    CHECK(got.value().at("a").value() == 101);
    CHECK(c.stored("a") == 201);
    CHECK(c.stored("b") == 7);
    CHECK(c.stored("c") == 201);
    CHECK(c.second.script.calls(op::get_many) == looks);
    CHECK(c.second.script.calls(op::get) == 0);
}

TEST_CASE("C19 a batch looks for what it renews too, and leaves out what another process has renewed") {
    cluster<true> c(revalidating);
    const batches fn;
    REQUIRE(c.call(c.second.cache->get_many_or_load(keys{"a", "b"}, fn)).done());
    manual_clock::advance(15s);
    c.second.store.go_deaf();
    REQUIRE(c.call(c.first.cache->set("b", 7)).done());
    const auto got = c.call(c.second.cache->get_many_or_load(keys{"a", "b", "c"}, fn)).value();
    CHECK(got.at("a").value() == 101);
    CHECK(got.at("b").value() == 101);
    CHECK(got.at("c").value() == 201);
    CHECK(fn.s->sent.back() == keys{"a", "c"});
    CHECK(c.stored("a") == 201);
    CHECK(c.stored("b") == 7);
    CHECK(c.second.cache->metrics().misses == 3);
    CHECK(c.second.cache->metrics().stale_hits == 2);
}

TEST_CASE("two batches that write the same keys in another order do not wait for each other for ever") {
    cluster c;
    const batches fn;
    c.first.script.hold(op::set);
    auto setting = c.call(c.first.cache->set("c", 1)); // has the turn of its key
    c.first.script.let_pass(op::set);
    auto one = c.call(c.first.cache->get_many_or_load(keys{"a", "c", "b"}, fn));
    CHECK_FALSE(one.done());
    for (const char* key : {"a", "b"}) {
        c.server->write(key, made_now(7));
        c.server->remove(key, nullptr);
    }
    auto two = c.call(c.first.cache->get_many_or_load(keys{"b", "a"}, fn));
    c.first.script.release_all();
    c.settle();
    CHECK(setting.done());
    CHECK(one.value().at("a").value() == 101);
    CHECK(two.value().at("a").value() == 201);
    CHECK(c.stored("a") == 201);
    CHECK(c.stored("b") == 201);
    CHECK(c.stored("c") == 1);
}

TEST_CASE("prime does not overwrite what another process has stored") {
    cluster c;
    const batches fn;
    acache::DataLoader loader(*c.first.cache, fn);
    c.first.script.hold_answers(op::get);
    loader.prime("a", 1);
    loader.prime("b", 2);
    c.settle();
    REQUIRE(c.call(c.second.cache->set("a", 7)).done());
    c.first.script.let_pass(op::get);
    c.first.script.release_all();
    c.settle();
    CHECK(c.stored("a") == 7);
    CHECK(c.stored("b") == 2);
}

TEST_CASE("a backend that cannot store many at once gets one key after the other, with its lease") {
    struct one_by_one : store_client<std::string, int> {
        using store_client<std::string, int>::store_client;
        void set_many() = delete;
    };
    static_assert(!acache::multi_set_backend<one_by_one, std::string, int>);
    manual_clock::reset();
    asio::io_context context;
    stepper steps(context);
    const auto server = std::make_shared<shared_server<std::string, int>>();
    one_by_one store(server);
    acache::async_cache<std::string, int, one_by_one> cache(context, store);
    const batches fn;
    fn.hold();
    auto got = caller(context.get_executor(), cache.get_many_or_load(keys{"a", "b"}, fn));
    steps.run_until_idle();
    store.go_deaf();
    server->write("a", made_now(7));
    fn.let_pass();
    steps.run_until_idle();
    CHECK(got.value().at("a").value() == 101);
    CHECK(server->value("a") == 7);
    CHECK(server->value("b") == 101);
    CHECK(store.script().calls(op::set) == 2);
}

} // namespace
