// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/hash_mix.hpp>
#include <acache/s3_fifo.hpp>
#include <acache/turnstile.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

namespace {

TEMPLATE_TEST_CASE("hits need no lock: they race with all else, on entries held and gone", "",
                   acache::s3_fifo, acache::turnstile) {
    constexpr acache::entry_id count = 64;
    TestType policy;
    std::vector<typename TestType::hook> hooks(count);
    std::atomic<bool> done{false};
    std::vector<std::thread> readers;
    for (std::uint32_t seed = 1; seed != 3; ++seed) {
        readers.emplace_back([&, seed] {
            std::mt19937 random{seed};
            while (!done.load(std::memory_order_relaxed)) {
                policy.hit(hooks, random() % count);
            }
        });
    }

    std::vector<bool> held(count);
    std::size_t size = 0;
    std::mt19937 random{3};
    std::size_t wrong = 0;
    for (int step = 0; step != 100'000; ++step) {
        const acache::entry_id id = random() % count;
        const acache::entry_id other = random() % count;
        if (!held[id] && size != count / 2) {
            policy.insert(hooks, id, acache::detail::hash_mix(random() % 100));
            held[id] = true;
            ++size;
        } else if (!held[id]) {
            const auto victim = policy.evict(hooks);
            wrong += victim < count && held[victim] ? 0 : 1;
            held[victim] = false;
            --size;
        } else if (!held[other]) {
            policy.replace(hooks, id, other);
            held[id] = false;
            held[other] = true;
        } else if (step % 8 == 0) {
            policy.remove(hooks, id);
            held[id] = false;
            --size;
        }
        wrong += policy.empty() == (size == 0) ? 0 : 1;
    }
    for (; size != 0; --size) {
        const auto victim = policy.evict(hooks);
        wrong += held[victim] ? 0 : 1;
        held[victim] = false;
    }
    CHECK(policy.empty());
    CHECK(wrong == 0);
    done = true;
    for (auto& reader : readers) {
        reader.join();
    }
}

TEMPLATE_TEST_CASE("readers cannot keep an eviction from its end", "", acache::s3_fifo, acache::turnstile) {
    // As if readers came between any two steps: each look at a hook finds three reads more.
    struct hooks_read_all_the_time {
        TestType& policy;
        std::vector<typename TestType::hook> hooks;
        bool busy = false;

        typename TestType::hook& operator[](acache::entry_id id) {
            if (!busy) {
                busy = true;
                for (int n = 0; n != 3; ++n) {
                    policy.hit(*this, id);
                }
                busy = false;
            }
            return hooks[id];
        }
    };
    TestType policy;
    hooks_read_all_the_time hooks{policy, std::vector<typename TestType::hook>(10)};
    for (acache::entry_id id = 0; id != 10; ++id) {
        policy.insert(hooks, id, id);
    }
    for (int n = 0; n != 10; ++n) {
        CHECK(policy.evict(hooks) < 10);
    }
    CHECK(policy.empty());
}

} // namespace
