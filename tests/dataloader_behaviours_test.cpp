// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/acache.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

// How the models behave, JavaScript's dataloader and Python's async-cache, said in this library's terms: what
// users who come from there rely on. Where this library decides otherwise, the test says so ("unlike the
// model"). Public API only, and no test kit, as a user's program would be.

namespace {

namespace asio = boost::asio;
using acache::errc;
using acache::load_result;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

template <class K>
using calls_of = std::vector<std::vector<K>>;

/// A loader whose values are its keys, and what it was called with.
template <class K>
struct identity {
    explicit identity(acache::data_loader_options options = {})
        : loader(context,
                 std::function<asio::awaitable<std::vector<K>>(std::vector<K>)>(
                     [this](std::vector<K> keys) { return answer(std::move(keys)); }),
                 options) {}

    asio::awaitable<std::vector<K>> answer(std::vector<K> keys) {
        calls.push_back(keys);
        co_return keys;
    }

    asio::io_context context;
    calls_of<K> calls;
    acache::DataLoader<K, K> loader;
};

/// A promise of the models': a coroutine that has been started.
template <class T>
class promise {
public:
    promise(asio::io_context& context, asio::awaitable<T> work) : ended_(std::make_shared<end>()) {
        asio::co_spawn(context, into(std::move(work), ended_),
                       [ended = ended_](const std::exception_ptr& failure) {
                           ended->done = true;
                           ended->failure = failure;
                       });
    }
    [[nodiscard]] bool done() const { return ended_->done; }
    [[nodiscard]] const T& get() const {
        REQUIRE(ended_->done);
        if (ended_->failure) {
            std::rethrow_exception(ended_->failure);
        }
        return *ended_->value;
    }
    [[nodiscard]] std::string error() const {
        REQUIRE(ended_->done);
        try {
            if (ended_->failure) {
                std::rethrow_exception(ended_->failure);
            }
        } catch (const std::exception& e) {
            return e.what();
        }
        return "";
    }

private:
    struct end {
        bool done = false;
        std::exception_ptr failure;
        std::optional<T> value;
    };
    static asio::awaitable<void> into(asio::awaitable<T> work, std::shared_ptr<end> to) {
        to->value.emplace(co_await std::move(work));
    }
    std::shared_ptr<end> ended_;
};

/// Lets everything run that can, and comes back for more.
void run(asio::io_context& context) {
    context.restart();
    context.run();
}

template <class T>
T run(asio::io_context& context, asio::awaitable<T> work) {
    promise<T> result(context, std::move(work));
    run(context);
    return result.get();
}

void run(asio::io_context& context, asio::awaitable<void> work) {
    std::exception_ptr failure;
    asio::co_spawn(context, std::move(work), [&](const std::exception_ptr& e) { failure = e; });
    run(context);
    if (failure) {
        std::rethrow_exception(failure);
    }
}

template <class K>
std::vector<promise<K>> load_all(identity<K>& id, const std::vector<K>& keys) {
    std::vector<promise<K>> out;
    for (const K& key : keys) {
        out.emplace_back(id.context, id.loader.load(key));
    }
    run(id.context);
    return out;
}

template <class K>
std::vector<K> values(const std::vector<promise<K>>& promises) {
    std::vector<K> out;
    for (const auto& one : promises) {
        out.push_back(one.get());
    }
    return out;
}

using text = std::string;
using texts = std::vector<std::string>;

TEST_CASE("dataloader: a really simple data loader") {
    identity<int> id;
    CHECK(run(id.context, id.loader.load(1)) == 1);
}

TEST_CASE("dataloader: many keys in one call, or none") {
    identity<int> id;
    const std::vector<int> two{1, 2};
    const auto got = run(id.context, id.loader.load_many(two));
    REQUIRE(got.size() == 2);
    CHECK(*got[0] == 1);
    CHECK(*got[1] == 2);
    CHECK(run(id.context, id.loader.load_many(std::vector<int>())).empty());
    CHECK(id.calls == calls_of<int>{{1, 2}});
}

TEST_CASE("dataloader: many keys in one call, some of them with errors") {
    asio::io_context context;
    acache::DataLoader<text, text> loader{
        context, [](texts keys) -> asio::awaitable<std::vector<load_result<text>>> {
            std::vector<load_result<text>> out;
            for (const text& key : keys) {
                if (key == "bad") {
                    out.emplace_back(boost::system::in_place_error,
                                     std::make_exception_ptr(std::runtime_error("Bad Key")));
                } else {
                    out.emplace_back(key);
                }
            }
            co_return out;
        }};
    const texts keys{"a", "b", "bad"};
    const auto got = run(context, loader.load_many(keys));
    REQUIRE(got.size() == 3);
    CHECK(*got[0] == "a");
    CHECK(*got[1] == "b");
    REQUIRE(got[2].has_error());
    CHECK_THROWS_WITH(std::rethrow_exception(got[2].error()), "Bad Key");
}

TEST_CASE("dataloader: several requests make one batch") {
    identity<int> id;
    CHECK(values(load_all(id, {1, 2})) == std::vector{1, 2});
    CHECK(id.calls == calls_of<int>{{1, 2}});
}

TEST_CASE("dataloader: several requests make batches of the greatest size") {
    identity<int> id({.max_batch_size = 2});
    CHECK(values(load_all(id, {1, 2, 3})) == std::vector{1, 2, 3});
    CHECK(id.calls == calls_of<int>{{1, 2}, {3}});
}

TEST_CASE("dataloader: the greatest size counts different keys") {
    identity<text> id({.max_batch_size = 3, .batch_window = 1ms});
    const texts keys{"a", "b", "a", "a", "a", "b", "c"};
    CHECK(values(load_all(id, keys)) == keys);
    CHECK(id.calls == calls_of<text>{{"a", "b", "c"}});
}

TEST_CASE("dataloader, unlike the model: a remembered value does not wait for the batch of its siblings") {
    const std::size_t size = 2;
    for (const bool small : {false, true}) {
        asio::io_context context;
        std::vector<int> order;
        acache::DataLoader<int, int> loader{context,
                                            [&](std::vector<int> keys) -> asio::awaitable<std::vector<int>> {
                                                order.push_back(0);
                                                co_await asio::post(co_await asio::this_coro::executor,
                                                                    asio::use_awaitable);
                                                co_return keys;
                                            },
                                            {.max_batch_size = small ? 1 : size}};
        loader.prime(1, 1);
        const auto note = [&](int key) -> asio::awaitable<void> {
            order.push_back(co_await loader.load(key));
        };
        for (const int key : {2, 1}) {
            asio::co_spawn(context, note(key), [](const std::exception_ptr&) {});
        }
        run(context);
        CHECK(order.back() == 2);
        CHECK(order.size() == 3);
    }
}

TEST_CASE("dataloader: equal requests coalesce") {
    identity<int> id;
    CHECK(values(load_all(id, {1, 1})) == std::vector{1, 1});
    CHECK(id.calls == calls_of<int>{{1}});
}

TEST_CASE("dataloader: equal requests coalesce across batches of the greatest size") {
    identity<int> id({.max_batch_size = 2});
    CHECK(values(load_all(id, {1, 2, 1, 3})) == std::vector{1, 2, 1, 3});
    CHECK(id.calls == calls_of<int>{{1, 2}, {3}});
}

TEST_CASE("dataloader: repeated requests are remembered") {
    identity<text> id;
    CHECK(values(load_all(id, {"A", "B"})) == texts{"A", "B"});
    CHECK(values(load_all(id, {"A", "C"})) == texts{"A", "C"});
    CHECK(values(load_all(id, {"A", "B", "C"})) == texts{"A", "B", "C"});
    CHECK(id.calls == calls_of<text>{{"A", "B"}, {"C"}});
}

TEST_CASE("dataloader: one value is cleared") {
    identity<text> id;
    static_cast<void>(load_all(id, {"A", "B"}));
    id.loader.clear("A");
    CHECK(values(load_all(id, {"A", "B"})) == texts{"A", "B"});
    CHECK(id.calls == calls_of<text>{{"A", "B"}, {"A"}});
}

TEST_CASE("dataloader: all values are cleared") {
    identity<text> id;
    static_cast<void>(load_all(id, {"A", "B"}));
    id.loader.clear_all();
    CHECK(values(load_all(id, {"A", "B"})) == texts{"A", "B"});
    CHECK(id.calls == calls_of<text>{{"A", "B"}, {"A", "B"}});
}

TEST_CASE("dataloader: a primed value is not asked for") {
    identity<text> id;
    id.loader.prime("A", "A");
    CHECK(values(load_all(id, {"A", "B"})) == texts{"A", "B"});
    CHECK(id.calls == calls_of<text>{{"B"}});
}

TEST_CASE("dataloader: a key that has a value is not primed") {
    identity<text> id;
    id.loader.prime("A", "X");
    CHECK(values(load_all(id, {"A", "B"})) == texts{"X", "B"});
    id.loader.prime("A", "Y");
    id.loader.prime("B", "Y");
    CHECK(values(load_all(id, {"A", "B"})) == texts{"X", "B"});
    CHECK(id.calls == calls_of<text>{{"B"}});
}

TEST_CASE("dataloader: clear and prime replace a value") {
    identity<text> id;
    id.loader.prime("A", "X");
    CHECK(values(load_all(id, {"A", "B"})) == texts{"X", "B"});
    for (const char* key : {"A", "B"}) {
        id.loader.clear(key);
        id.loader.prime(key, "Y");
    }
    CHECK(values(load_all(id, {"A", "B"})) == texts{"Y", "Y"});
    CHECK(id.calls == calls_of<text>{{"B"}});
}

/// A loader that has no odd numbers.
struct evens {
    asio::io_context context;
    calls_of<int> calls;
    acache::DataLoader<int, int> loader{
        context, [this](std::vector<int> keys) -> asio::awaitable<std::vector<load_result<int>>> {
            calls.push_back(keys);
            std::vector<load_result<int>> out;
            for (const int key : keys) {
                if (key % 2 == 0) {
                    out.emplace_back(key);
                } else {
                    out.emplace_back(
                        boost::system::in_place_error,
                        std::make_exception_ptr(std::runtime_error("Odd: " + std::to_string(key))));
                }
            }
            co_return out;
        }};
};

TEST_CASE("dataloader: a result that is an error fails its load") {
    evens e;
    promise<int> one(e.context, e.loader.load(1));
    run(e.context);
    CHECK(one.error() == "Odd: 1");
    CHECK(run(e.context, e.loader.load(2)) == 2);
    CHECK(e.calls == calls_of<int>{{1}, {2}});
}

TEST_CASE("dataloader: failures and successes stand side by side in one batch") {
    evens e;
    promise<int> one(e.context, e.loader.load(1));
    promise<int> two(e.context, e.loader.load(2));
    run(e.context);
    CHECK(one.error() == "Odd: 1");
    CHECK(two.get() == 2);
    CHECK(e.calls == calls_of<int>{{1, 2}});
}

TEST_CASE("dataloader, unlike the model: an error is not remembered, and need not be cleared") {
    evens e;
    for (int i = 0; i != 2; ++i) {
        promise<int> one(e.context, e.loader.load(1));
        run(e.context);
        CHECK(one.error() == "Odd: 1");
    }
    CHECK(e.calls == calls_of<int>{{1}, {1}});
}

TEST_CASE("dataloader: clearing a key in the handler of its error does no harm") {
    evens e;
    const auto load = [&]() -> asio::awaitable<int> {
        try {
            const int value = co_await e.loader.load(1);
            co_return value;
        } catch (const std::runtime_error&) {
            e.loader.clear(1);
            throw;
        }
    };
    for (int i = 0; i != 2; ++i) {
        promise<int> one(e.context, load());
        run(e.context);
        CHECK(one.error() == "Odd: 1");
    }
    CHECK(e.calls == calls_of<int>{{1}, {1}});
}

TEST_CASE("dataloader: what the batch function throws reaches all its loads, as one and the same exception") {
    asio::io_context context;
    calls_of<int> calls;
    acache::DataLoader<int, int> loader{context,
                                        [&](std::vector<int> keys) -> asio::awaitable<std::vector<int>> {
                                            calls.push_back(keys);
                                            throw std::runtime_error("I am a terrible loader");
                                            co_return keys;
                                        }};
    std::vector<const void*> caught;
    const auto load = [&](int key) -> asio::awaitable<void> {
        try {
            static_cast<void>(co_await loader.load(key));
        } catch (const std::runtime_error& e) {
            CHECK(e.what() == text("I am a terrible loader"));
            caught.push_back(&e);
        }
    };
    asio::co_spawn(context, load(1), [](const std::exception_ptr&) {});
    asio::co_spawn(context, load(2), [](const std::exception_ptr&) {});
    run(context);
    REQUIRE(caught.size() == 2);
    CHECK(caught[0] == caught[1]);
    CHECK(calls == calls_of<int>{{1, 2}});
}

TEST_CASE("dataloader: nobody has to take a result, not even one that is an error") {
    evens e;
    {
        promise<int> ignored(e.context, e.loader.load(1));
    }
    CHECK_NOTHROW(run(e.context));
    CHECK(e.calls == calls_of<int>{{1}});
}

TEST_CASE("dataloader: a key may be any object that has a hash; what is equal is one key") {
    using key = std::tuple<text, int>; // where the model takes a function from objects to keys
    identity<key> id;
    const key a{"id", 123};
    const key same{"id", 123};
    const key b{"id", 321};
    CHECK(values(load_all(id, {a, b, same})) == std::vector{a, b, a});
    CHECK(id.calls == calls_of<key>{{a, b}});
    id.loader.clear(same);
    CHECK(values(load_all(id, {a, b})) == std::vector{a, b});
    CHECK(id.calls == calls_of<key>{{a, b}, {a}});
    const key c{"id", 7};
    id.loader.prime(c, b);
    CHECK(values(load_all(id, {key{"id", 7}})) == std::vector{b});
    CHECK(id.calls.size() == 2);
}

TEST_CASE("dataloader: objects that are told apart by identity are keys too, as pointers") {
    identity<std::shared_ptr<int>> id;
    const auto a = std::make_shared<int>(1);
    const auto b = std::make_shared<int>(1);
    CHECK(values(load_all(id, {a, b})) == std::vector{a, b});
    CHECK(id.calls == calls_of<std::shared_ptr<int>>{{a, b}});
}

TEST_CASE("dataloader: batching may be switched off") {
    identity<int> id({.max_batch_size = 1});
    CHECK(values(load_all(id, {1, 2})) == std::vector{1, 2});
    CHECK(id.calls == calls_of<int>{{1}, {2}});
}

TEST_CASE("dataloader: remembering may be switched off") {
    identity<text> id({.cache = false});
    CHECK(values(load_all(id, {"A", "B"})) == texts{"A", "B"});
    CHECK(values(load_all(id, {"A", "C"})) == texts{"A", "C"});
    CHECK(values(load_all(id, {"A", "B", "C"})) == texts{"A", "B", "C"});
    CHECK(id.calls == calls_of<text>{{"A", "B"}, {"A", "C"}, {"A", "B", "C"}});
    id.loader.prime("A", "X");
    CHECK(values(load_all(id, {"A"})) == texts{"A"});
}

TEST_CASE("dataloader, unlike the model: a batch never repeats a key, although nothing is remembered") {
    identity<text> id({.cache = false});
    const texts five{"C", "D", "A", "A", "B"};
    promise<text> a(id.context, id.loader.load("A"));
    promise<text> c(id.context, id.loader.load("C"));
    promise<text> d(id.context, id.loader.load("D"));
    promise<std::vector<load_result<text>>> many(id.context, id.loader.load_many(five));
    run(id.context);
    CHECK(a.get() == "A");
    CHECK(c.get() == "C");
    CHECK(d.get() == "D");
    REQUIRE(many.get().size() == 5);
    for (std::size_t i = 0; i != 5; ++i) {
        CHECK(*many.get()[i] == five[i]);
    }
    CHECK(id.calls == calls_of<text>{{"A", "C", "D", "B"}});
}

TEST_CASE("dataloader: a loader that clears itself in its batch function remembers nothing of that batch") {
    asio::io_context context;
    calls_of<text> calls;
    acache::DataLoader<text, text>* self = nullptr;
    acache::DataLoader<text, text> loader{context, [&](texts keys) -> asio::awaitable<texts> {
                                              self->clear_all();
                                              calls.push_back(keys);
                                              co_return keys;
                                          }};
    self = &loader;
    for (int round = 0; round != 2; ++round) {
        promise<text> a(context, loader.load("A"));
        promise<text> b(context, loader.load("B"));
        promise<text> again(context, loader.load("A"));
        run(context);
        CHECK(a.get() == "A");
        CHECK(b.get() == "B");
        CHECK(again.get() == "A");
    }
    CHECK(calls == calls_of<text>{{"A", "B"}, {"A", "B"}});
}

TEST_CASE("dataloader: a cache of one's own takes what is loaded, and loses what is cleared") {
    asio::io_context context;
    acache::async_cache<text, text> cache{context};
    calls_of<text> calls;
    acache::DataLoader loader{cache, [&](texts keys) -> asio::awaitable<texts> {
                                  calls.push_back(keys);
                                  co_return keys;
                              }};
    const auto load = [&](const texts& keys) {
        for (const auto& got : run(context, loader.load_many(keys))) {
            CHECK(got.has_value());
        }
    };
    load({"a", "b"});
    CHECK(cache.metrics().size == 2);
    load({"c", "b"});
    CHECK(calls == calls_of<text>{{"a", "b"}, {"c"}});
    CHECK(cache.try_get("c") == "c");
    loader.clear("b");
    CHECK_FALSE(cache.try_get("b"));
    load({"b"});
    CHECK(calls == calls_of<text>{{"a", "b"}, {"c"}, {"b"}});
    loader.clear_all();
    CHECK(cache.metrics().size == 0);
}

TEST_CASE("dataloader: batches may be sent by hand") {
    identity<text> id({.batch_window = 24h});
    const auto begin = [&](const text& key) { return promise<text>(id.context, id.loader.load(key)); };
    const auto poll = [&] {
        id.context.restart();
        id.context.poll();
    };
    const auto a = begin("A");
    const auto b = begin("B");
    poll();
    id.loader.flush();
    poll();
    const auto a_again = begin("A");
    const auto c = begin("C");
    poll();
    id.loader.flush();
    poll();
    const auto d = begin("D");
    poll();
    CHECK(id.calls == calls_of<text>{{"A", "B"}, {"C"}});
    CHECK(a_again.get() == "A");
    CHECK(c.get() == "C");
    CHECK_FALSE(d.done()); // never sent
}

TEST_CASE("dataloader, unlike the model: a tick is one hop, and a window is what gathers over several") {
    for (const bool window : {false, true}) {
        identity<text> id({.batch_window = window ? 5ms : 0ms});
        const auto hops = [&](text key, int count) -> asio::awaitable<text> {
            for (int i = 0; i != count; ++i) {
                co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
            }
            text got = co_await id.loader.load(key);
            co_return got;
        };
        promise<text> a(id.context, hops("A", 0));
        promise<text> b(id.context, hops("B", 2));
        promise<text> c(id.context, hops("C", 4));
        run(id.context);
        CHECK(c.get() == "C");
        CHECK(id.calls.front() == (window ? texts{"A", "B", "C"} : texts{"A"}));
    }
}

TEST_CASE("dataloader: a loader may be asked from another's batch function, and gathers what those ask") {
    asio::io_context context;
    calls_of<text> deep_calls;
    calls_of<text> a_calls;
    calls_of<text> b_calls;
    acache::DataLoader<text, text> deep{context, [&](texts keys) -> asio::awaitable<texts> {
                                            deep_calls.push_back(keys);
                                            co_return keys;
                                        }};
    const auto through = [&](calls_of<text>& calls) {
        return [&](texts keys) -> asio::awaitable<std::vector<load_result<text>>> {
            calls.push_back(keys);
            std::vector<load_result<text>> got = co_await deep.load_many(keys);
            co_return got;
        };
    };
    acache::DataLoader<text, text> a{context, through(a_calls)};
    acache::DataLoader<text, text> b{context, through(b_calls)};
    promise<text> a1(context, a.load("A1"));
    promise<text> b1(context, b.load("B1"));
    promise<text> a2(context, a.load("A2"));
    promise<text> b2(context, b.load("B2"));
    run(context);
    CHECK(a1.get() == "A1");
    CHECK(b1.get() == "B1");
    CHECK(a2.get() == "A2");
    CHECK(b2.get() == "B2");
    CHECK(a_calls == calls_of<text>{{"A1", "A2"}});
    CHECK(b_calls == calls_of<text>{{"B1", "B2"}});
    CHECK(deep_calls == calls_of<text>{{"A1", "A2", "B1", "B2"}});
}

TEST_CASE("dataloader: abuse: a result of the wrong length is refused in words") {
    asio::io_context context;
    acache::DataLoader<int, int> loader{
        context, [](std::vector<int>) -> asio::awaitable<std::vector<int>> { co_return std::vector<int>(); }};
    promise<int> one(context, loader.load(1));
    run(context);
    CHECK_THAT(one.error(), ContainsSubstring("0 results for 1 keys"));
    CHECK_THAT(one.error(), ContainsSubstring("one result for each key"));
}

TEST_CASE("dataloader: abuse: a batch of no keys is refused, zero is a key like others") {
    CHECK_THROWS_AS(identity<int>({.max_batch_size = 0}), std::invalid_argument);
    identity<int> id;
    CHECK(run(id.context, id.loader.load(0)) == 0);
}

// What the model finds out at run time the compiler does here: no function, no keys, no promise of a list.
using int_loader = acache::DataLoader<int, int>;
template <class Loader>
concept loads_nothing = requires(Loader& l) { l.load(); };
template <class Loader>
concept loads_null = requires(Loader& l) { l.load(nullptr); };
template <class Loader>
concept loads_one_as_many = requires(Loader& l) { l.load_many(1, 2, 3); };
static_assert(!std::is_constructible_v<int_loader, asio::io_context&>);
static_assert(!loads_nothing<int_loader> && !loads_null<int_loader> && !loads_one_as_many<int_loader>);

struct python {
    asio::io_context context;
    acache::async_cache<text, text> cache{context};
    int loads = 0;

    auto loader(text value) {
        return [this, value](const text&) -> asio::awaitable<text> {
            ++loads;
            co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
            co_return value;
        };
    }
    std::optional<text> get(const text& key) { return run(context, cache.get(key)); }
};

TEST_CASE("async-cache: set and get, a miss, an overwrite, delete of what is there and what is not, clear") {
    python p;
    CHECK_FALSE(p.get("k1"));
    run(p.context, p.cache.set("k1", "v1"));
    CHECK(p.get("k1") == "v1");
    run(p.context, p.cache.set("k1", "v2"));
    CHECK(p.get("k1") == "v2");
    CHECK(run(p.context, p.cache.invalidate("k1")));
    CHECK_FALSE(p.get("k1"));
    CHECK_FALSE(run(p.context, p.cache.invalidate("missing")));
    run(p.context, p.cache.set("k1", "v1"));
    run(p.context, p.cache.set("k2", "v2"));
    run(p.context, p.cache.clear());
    CHECK_FALSE(p.get("k1"));
    CHECK_FALSE(p.get("k2"));
    CHECK(p.cache.metrics().size == 0);
}

TEST_CASE("async-cache: a loader runs on a miss and not on a hit") {
    python p;
    auto load = p.loader("loaded");
    CHECK(run(p.context, p.cache.get_or_load("k", load)) == "loaded");
    CHECK(run(p.context, p.cache.get_or_load("k", load)) == "loaded");
    CHECK(p.loads == 1);
}

TEST_CASE(
    "async-cache, unlike the model: a herd makes one load and counts as one miss, the others as coalesced") {
    python p;
    auto load = p.loader("result");
    std::vector<promise<text>> herd;
    for (int i = 0; i != 500; ++i) {
        herd.emplace_back(p.context, p.cache.get_or_load("k", load));
    }
    run(p.context);
    for (const auto& one : herd) {
        CHECK(one.get() == "result");
    }
    CHECK(p.loads == 1);
    const auto m = p.cache.metrics();
    CHECK(m.misses == 1);
    CHECK(m.coalesced == 499);
    CHECK(m.hits == 0);
    CHECK(m.size == 1);
}

TEST_CASE("async-cache: a herd's error reaches all of it, and the cache works on") {
    python p;
    const auto failing = [](const text&) -> asio::awaitable<text> {
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        throw std::invalid_argument("Load failed");
    };
    std::vector<promise<text>> herd;
    for (int i = 0; i != 10; ++i) {
        herd.emplace_back(p.context, p.cache.get_or_load("key", failing));
    }
    run(p.context);
    for (const auto& one : herd) {
        CHECK_THROWS_AS(one.get(), std::invalid_argument);
        CHECK(one.error() == "Load failed");
    }
    auto load = p.loader("success");
    CHECK(run(p.context, p.cache.get_or_load("key", load)) == "success");
}

TEST_CASE("async-cache: metrics count misses, hits and entries, and what their ratio is") {
    python p;
    CHECK(p.cache.metrics().hit_ratio() == 0.0);
    auto load = p.loader("42");
    static_cast<void>(run(p.context, p.cache.get_or_load("k1", load)));
    CHECK(p.get("k1") == "42");
    const auto m = p.cache.metrics();
    CHECK(m.hits == 1);
    CHECK(m.misses == 1);
    CHECK(m.size == 1);
    CHECK(m.hit_ratio() == 0.5);
    run(p.context, p.cache.clear());
    CHECK(p.cache.metrics().size == 0);
    CHECK(p.cache.metrics().hits == 1); // counters only grow
}

TEST_CASE("async-cache: a warm-up loads what is missing and keeps what is there") {
    python p;
    run(p.context, p.cache.set("existing", "old"));
    auto load = p.loader("new");
    const texts keys{"k1", "existing", "k2"};
    const auto report = run(p.context, p.cache.warmup(keys, load));
    CHECK(report.loaded == 2);
    CHECK(report.present == 1);
    CHECK(report.failed.empty());
    CHECK(p.get("k1") == "new");
    CHECK(p.get("existing") == "old");
    CHECK(p.loads == 2);
}

TEST_CASE("async-cache: gets with a batch function gather in a window, in batches of the greatest size") {
    python p;
    std::vector<std::size_t> sizes;
    acache::DataLoader loader{p.cache,
                              [&](texts keys) -> asio::awaitable<texts> {
                                  sizes.push_back(keys.size());
                                  for (text& key : keys) {
                                      key = "value-" + key;
                                  }
                                  co_return keys;
                              },
                              {.max_batch_size = 3, .batch_window = 2ms}};
    std::vector<promise<text>> gets;
    for (int i = 0; i != 7; ++i) {
        gets.emplace_back(p.context, loader.load("key" + std::to_string(i)));
    }
    run(p.context);
    for (int i = 0; i != 7; ++i) {
        CHECK(gets[static_cast<std::size_t>(i)].get() == "value-key" + std::to_string(i));
    }
    CHECK(sizes == std::vector<std::size_t>{3, 3, 1});
    CHECK(p.get("key6") == "value-key6");
}

TEST_CASE(
    "async-cache: a batch function may return a map; unlike the model, what is missing in it is an error") {
    python p;
    acache::DataLoader loader{p.cache, [](texts keys) -> asio::awaitable<std::map<text, text>> {
                                  std::map<text, text> out;
                                  for (const text& key : keys) {
                                      if (key != "none") {
                                          out[key] = "value-" + key;
                                      }
                                  }
                                  co_return out;
                              }};
    const texts keys{"a", "none", "b"};
    const auto got = run(p.context, loader.load_many(keys));
    CHECK(*got[0] == "value-a");
    CHECK(got[1].has_error());
    CHECK(*got[2] == "value-b");
    CHECK_FALSE(p.get("none"));
}

TEST_CASE("async-cache: what a batch function throws reaches all who wait") {
    python p;
    acache::DataLoader loader{p.cache, [](texts keys) -> asio::awaitable<texts> {
                                  throw std::invalid_argument("Batch load failed");
                                  co_return keys;
                              }};
    std::vector<promise<text>> gets;
    for (const char* key : {"a", "b", "c"}) {
        gets.emplace_back(p.context, loader.load(key));
    }
    run(p.context);
    for (const auto& one : gets) {
        CHECK_THROWS_AS(one.get(), std::invalid_argument);
    }
}

TEST_CASE("async-cache: entries end with their ttl, their own or the cache's") {
    asio::io_context context;
    CHECK_THROWS_AS((acache::async_cache<text, text>(context, {.ttl = 0s})), std::invalid_argument);
    acache::async_cache<text, text> cache{context, {.ttl = 1h}};
    run(context, cache.set("long", "value"));
    run(context, cache.set("none", "value", {.ttl = 0s}));
    CHECK(run(context, cache.get("long")) == "value");
    CHECK_FALSE(run(context, cache.get("none")));
}

TEST_CASE(
    "async-cache: a cache without room stores nothing, one of a size keeps to it, one unbounded keeps all") {
    asio::io_context context;
    acache::async_cache<text, text> none{context, {.capacity = 0}};
    run(context, none.set("key", "value"));
    CHECK_FALSE(run(context, none.get("key")));
    CHECK(none.metrics().size == 0);
    acache::async_cache<int, int> some{context, {.capacity = 50}};
    acache::async_cache<int, int> all{context, {.capacity = acache::unbounded}};
    for (int i = 0; i != 1000; ++i) {
        run(context, some.set(i, i));
        run(context, all.set(i, i));
    }
    CHECK(some.metrics().size == 50);
    CHECK(all.metrics().size == 1000);
}

TEST_CASE(
    "async-cache: a wrapped function runs once an argument, again when refreshed, invalidated or cleared") {
    asio::io_context context;
    acache::async_cache<text, int> cache{context};
    int calls = 0;
    auto twice = cache.cached("twice:{}", [&](int n) -> asio::awaitable<int> {
        ++calls;
        co_return 2 * n;
    });
    CHECK(run(context, twice(5)) == 10);
    CHECK(run(context, twice(5)) == 10);
    CHECK(calls == 1);
    CHECK(run(context, twice(10)) == 20);
    CHECK(calls == 2);
    CHECK(run(context, twice.refresh(5)) == 10);
    CHECK(calls == 3);
    CHECK(run(context, twice.invalidate(5)));
    CHECK(run(context, twice(5)) == 10);
    CHECK(calls == 4);
    CHECK(run(context, twice(10)) == 20);
    CHECK(calls == 4);
    run(context, cache.clear());
    CHECK(run(context, twice(10)) == 20);
    CHECK(calls == 5);
}

TEST_CASE("async-cache: an argument may be left out of the key") {
    asio::io_context context;
    acache::async_cache<text, int> cache{context};
    int calls = 0;
    auto fn = cache.cached("user:{0}", [&](int id, int) -> asio::awaitable<int> {
        ++calls;
        co_return id;
    });
    CHECK(run(context, fn(5, 1)) == 5);
    CHECK(run(context, fn(5, 2)) == 5);
    CHECK(calls == 1);
}

} // namespace
