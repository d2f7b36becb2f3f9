// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/lru.hpp>
#include <acache/memory_backend.hpp>
#include <acache/s3_fifo.hpp>
#include <acache/turnstile.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using acache::entry;
using acache::memory_options;

/// A value that shows whether it was copied while it was written.
struct telltale {
    explicit telltale(int n) : first(n), middle(std::make_shared<int>(n)), last(n) {}
    bool whole(int n) const { return first == n && *middle == n && last == n; }

    int first;
    std::shared_ptr<int> middle;
    int last;
};

template <class Work>
void on_four_threads(Work work) {
    std::barrier start{4};
    std::vector<std::jthread> threads;
    for (unsigned n = 0; n != 4; ++n) {
        threads.emplace_back([&, n] {
            start.arrive_and_wait();
            work(n);
        });
    }
}

TEMPLATE_TEST_CASE("four threads that read, write, erase and clear see whole values within the capacity", "",
                   acache::turnstile, acache::lru) {
    const std::size_t capacity = GENERATE(1u, 3u, 50u, 2000u);
    const std::size_t shards = GENERATE(0u, 4u);
    CAPTURE(capacity, shards);
    acache::memory_backend<int, telltale, acache::hash<int>, std::equal_to<>, TestType> store{
        memory_options{.capacity = capacity, .shards = shards}};
    std::atomic<int> faults{0};
    std::atomic<std::uint64_t> sets{0};
    on_four_threads([&](unsigned id) {
        std::mt19937 random{id};
        for (int step = 0; step != 5000; ++step) {
            const int key = static_cast<int>(random() % 200);
            const auto choice = random() % 1000;
            if (choice < 600) {
                if (const auto found = store.get(key); found && !found->value.whole(key)) {
                    ++faults;
                }
            } else if (choice < 950) {
                store.set(key, entry<telltale>{telltale{key}, {}});
                ++sets;
            } else if (choice < 998) {
                store.erase(key);
            } else if (choice == 998) {
                store.visit([&](int k, const entry<telltale>& e) { faults += e.value.whole(k) ? 0 : 1; });
            } else {
                store.clear();
            }
            if (store.size() > capacity || store.metrics().size > capacity) {
                ++faults;
            }
        }
    });
    CHECK(faults == 0);
    const auto removals = store.metrics().removals;
    CHECK(removals.expired == 0);
    CHECK(sets == removals.capacity + removals.replaced + removals.invalidated + store.size());
}

TEST_CASE("threads that fill an empty store fill it to the last place before anything is evicted") {
    for (int round = 0; round != 50; ++round) {
        acache::memory_backend<int, int> store{memory_options{.capacity = 400, .shards = 8}};
        std::atomic<int> displaced{0};
        on_four_threads([&](unsigned id) {
            for (int n = 0; n != 100; ++n) {
                displaced += store.set(static_cast<int>(id) * 100 + n, entry<int>{n, {}}) ? 1 : 0;
            }
        });
        REQUIRE(displaced == 0);
        REQUIRE(store.size() == 400);
    }
}

/// Moved on by whoever likes to.
struct moving_clock {
    static acache::time_point now() noexcept {
        return acache::time_point{std::chrono::milliseconds{milliseconds.load(std::memory_order_relaxed)}};
    }
    static inline std::atomic<std::int64_t> milliseconds{1'000'000};
};

/// Many words that belong together; trivially copyable, so that nothing but their sum shows a tear.
struct words {
    explicit words(std::uint64_t key, std::uint64_t salt) {
        sum = key;
        for (auto& w : content) {
            w = salt = salt * 6364136223846793005 + 1442695040888963407;
            sum += w;
        }
    }
    bool whole(std::uint64_t key) const {
        return std::accumulate(content.begin(), content.end(), key) == sum;
    }
    std::size_t weight() const { return sum; }

    std::array<std::uint64_t, 11> content;
    std::uint64_t sum;
};

/// The same out of line: a torn or freed one is one for the sanitizers as well.
struct letters {
    explicit letters(std::uint64_t key, std::uint64_t salt) : text(30 + salt % 30, mark(key)) {
        parts.assign(salt % 5, text);
    }
    bool whole(std::uint64_t key) const {
        return text.size() >= 30 && std::ranges::count(text, mark(key)) == std::ssize(text) &&
               std::ranges::count(parts, text) == std::ssize(parts);
    }
    std::size_t weight() const { return text.size(); }
    static char mark(std::uint64_t key) { return static_cast<char>('a' + key % 26); }

    std::string text;
    std::vector<std::string> parts;
};

/// Hands keys of two kinds: those that are hashed anew, and those whose hash is kept.
template <class K>
K key_of(std::uint64_t n) {
    if constexpr (std::is_same_v<K, std::string>) {
        return "a key that is too long for a small string: " + std::to_string(n);
    } else {
        return n;
    }
}

template <class K, class V, class Policy>
struct combination {
    using key = K;
    using value = V;
    using policy = Policy;
};
using all_at_once = std::tuple<combination<std::uint64_t, words, acache::turnstile>,
                               combination<std::uint64_t, letters, acache::s3_fifo>,
                               combination<std::string, letters, acache::turnstile>,
                               combination<std::string, words, acache::lru>>;

TEMPLATE_LIST_TEST_CASE("readers see whole values of their own key, whatever is written meanwhile", "",
                        all_at_once) {
    using K = typename TestType::key;
    using V = typename TestType::value;
    const bool listens = GENERATE(false, true);
    const bool weighs = GENERATE(false, true);
    const bool idles = GENERATE(false, true);
    CAPTURE(listens, weighs, idles);
    std::atomic<std::uint64_t> stored{0};
    std::atomic<std::uint64_t> told{0};
    std::atomic<int> faults{0};
    memory_options options{.capacity = 64, .shards = 4, .max_weight = 1000};
    if (idles) {
        options.time_to_idle = 40ms;
    }
    acache::memory_backend<K, V, acache::hash<K>, std::equal_to<>, typename TestType::policy, moving_clock>
        store(options);
    if (weighs) {
        store.weigh_by([](const K&, const V& v) { return v.weight() % 40; });
    }
    if (listens) {
        store.on_removal([&](const K&, const V&, acache::removal_cause) { ++told; });
    }
    on_four_threads([&](unsigned id) {
        std::mt19937_64 random{id};
        for (int step = 0; step != 3000; ++step) {
            const auto n = random() % 128;
            const K key = key_of<K>(n);
            const auto choice = random() % 1000;
            if (choice < 500) {
                const auto hash = store.hash_of(key);
                store.read(key, hash, [&](const V& seen, auto...) {
                    const V copy = seen;
                    faults += copy.whole(n) ? 0 : 1;
                });
            } else if (choice < 850) {
                auto expires = acache::time_point::max();
                if (choice < 700) {
                    expires = moving_clock::now() + std::chrono::milliseconds{random() % 100};
                }
                stored += 1;
                store.set(key, entry<V>{V(n, random()), moving_clock::now(), expires});
            } else if (choice < 950) {
                store.erase(key);
            } else if (choice < 985) {
                moving_clock::milliseconds += static_cast<std::int64_t>(random() % 20);
            } else if (choice < 990) {
                store.resize(32 + random() % 64);
            } else if (choice < 996) {
                (void)store.metrics();
            } else {
                store.clear();
            }
        }
    });
    CHECK(faults == 0);
    store.clear();
    const auto m = store.metrics();
    CHECK(m.size == 0);
    CHECK((!weighs || m.weight == 0));
    const auto removals =
        m.removals.capacity + m.removals.expired + m.removals.invalidated + m.removals.replaced;
    CHECK(removals + m.rejected == stored);
    CHECK((!listens || told == removals));
}

TEST_CASE("a reader keeps what he reads, and what it was replaced by is read meanwhile") {
    acache::memory_backend<int, std::shared_ptr<int>> store{memory_options{.capacity = 10, .shards = 1}};
    std::weak_ptr<int> first;
    {
        auto value = std::make_shared<int>(1);
        first = value;
        store.set(1, entry<std::shared_ptr<int>>{std::move(value), {}});
    }
    std::atomic<bool> reads{false};
    std::atomic<bool> replaced{false};
    std::atomic<int> seen{0};
    std::jthread reader([&] {
        store.read(1, store.hash_of(1), [&](const std::shared_ptr<int>& value, auto...) {
            reads = true;
            reads.notify_one();
            replaced.wait(false);
            seen = *value;
        });
    });
    reads.wait(false);
    for (int n = 0; n != 200; ++n) {
        store.set(1, entry<std::shared_ptr<int>>{std::make_shared<int>(2), {}});
    }
    CHECK(*store.get(1)->value == 2);
    (void)store.metrics();
    CHECK_FALSE(first.expired());
    replaced = true;
    replaced.notify_one();
    reader.join();
    CHECK(seen == 1);
    (void)store.metrics();
    CHECK(first.expired());
}

TEST_CASE("where another thread reads, few removed values live on, and none past metrics") {
    constexpr std::size_t capacity = 1000;
    acache::memory_backend<int, std::shared_ptr<int>> store{
        memory_options{.capacity = capacity, .shards = 1}};
    std::atomic<int> stage{0};
    std::jthread reader([&] {
        (void)store.get(1);
        stage = 1;
        stage.notify_one();
        stage.wait(1);
    });
    stage.wait(0);
    const auto token = std::make_shared<int>(1);
    for (int n = 0; n != 5000; ++n) {
        store.set(n, entry<std::shared_ptr<int>>{token, {}});
        REQUIRE(static_cast<std::size_t>(token.use_count()) <= 1 + capacity + capacity / 64 + 1);
    }
    (void)store.metrics();
    CHECK(static_cast<std::size_t>(token.use_count()) == 1 + capacity);
    store.clear();
    (void)store.metrics();
    CHECK(token.use_count() == 1);
    stage = 2;
    stage.notify_one();
}

TEST_CASE("what a reader holds is not freed, nor its place used anew, though it was cleared long ago") {
    acache::memory_backend<int, telltale> store{memory_options{.capacity = 100, .shards = 1}};
    for (int n = 0; n != 50; ++n) {
        store.set(n, entry<telltale>{telltale{n}, {}});
    }
    std::atomic<int> stage{0};
    std::weak_ptr<int> held;
    bool whole = false;
    std::jthread reader([&] {
        store.read(7, store.hash_of(7), [&](const telltale& seen, auto...) {
            held = seen.middle;
            stage = 1;
            stage.notify_one();
            stage.wait(1);
            whole = seen.whole(7) && !held.expired();
        });
    });
    stage.wait(0);
    for (int round = 0; round != 20; ++round) {
        store.clear();
        for (int n = 0; n != 150; ++n) {
            store.set(n, entry<telltale>{telltale{n}, {}});
        }
        (void)store.metrics();
    }
    CHECK_FALSE(held.expired());
    stage = 2;
    stage.notify_one();
    reader.join();
    CHECK(whole);
    store.clear();
    (void)store.metrics();
    CHECK(held.expired());
}

TEST_CASE("any number of clears may wait for a reader") {
    acache::memory_backend<int, int> store{memory_options{.capacity = 10, .shards = 1}};
    store.set(1, entry<int>{1, {}});
    std::atomic<int> stage{0};
    std::jthread reader([&] {
        store.read(1, store.hash_of(1), [&](auto...) {
            stage = 1;
            stage.notify_one();
            stage.wait(1);
        });
    });
    stage.wait(0);
    for (int n = 0; n != 100'000; ++n) {
        store.clear();
    }
    stage = 2;
    stage.notify_one();
    reader.join();
    CHECK(store.metrics().size == 0);
}

TEST_CASE("heavy entries that two threads set at once do not wait for each other for ever") {
    acache::memory_backend<int, int> store{memory_options{.shards = 4, .max_weight = 100}};
    store.weigh_by([](int, int value) { return static_cast<std::size_t>(value); });
    std::atomic<int> faults{0};
    on_four_threads([&](unsigned id) {
        std::mt19937 random{id};
        for (int step = 0; step != 20'000; ++step) {
            // Two that hold a half each, and each want the whole.
            store.set(static_cast<int>(random() % 50), entry<int>{random() % 2 == 0 ? 50 : 100, {}});
        }
        faults += store.metrics().weight > 100 ? 1 : 0;
    });
    CHECK(faults == 0);
}

} // namespace
