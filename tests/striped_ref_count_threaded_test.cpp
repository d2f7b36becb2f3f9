// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/read_section.hpp>
#include <acache/detail/striped_ref_count.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <atomic>
#include <barrier>
#include <cstddef>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace {

using acache::detail::counted_use;
using acache::detail::read_section;

class thing : public acache::detail::striped_ref_count<thing> {
public:
    explicit thing(std::atomic<int>& alive) : alive_(alive) { ++alive_; }
    ~thing() {
        touched = 1;
        --alive_;
    }
    int touched = 0; // not atomic: the end has to come after all uses

private:
    std::atomic<int>& alive_;
};

using owner = boost::intrusive_ptr<thing>;
using use = counted_use<thing>;

void end_in_section(use& ending) {
    const read_section reading;
    ending.try_end(reading);
}

/// A thing that has been used so often before.
owner used(std::atomic<int>& alive, int times) {
    owner made(new thing(alive), false);
    for (int i = 0; i != times; ++i) {
        use each(*made);
        end_in_section(each);
    }
    return made;
}

// Before and after each thread has a cell of its own.
constexpr int few = 0;
constexpr int many = 1000;

TEST_CASE("What nobody uses goes with its last owner") {
    const int times = GENERATE(few, 63, 64, many);
    std::atomic<int> alive = 0;
    owner first = used(alive, times);
    owner copy = first;
    first.reset();
    CHECK(alive == 1);
    copy.reset();
    CHECK(alive == 0);
}

TEST_CASE("What is used when its last owner goes stays until the last use has ended") {
    const int times = GENERATE(few, 63, many);
    const bool on_another_thread = GENERATE(false, true);
    const auto run = [&](auto f) { on_another_thread ? std::thread(f).join() : f(); };
    std::atomic<int> alive = 0;
    owner held = used(alive, times);
    std::optional<use> one;
    std::optional<use> two;
    one.emplace(*held);
    run([&] { two.emplace(*held); });
    held.reset();
    CHECK(alive == 1);
    run([&] {
        end_in_section(*one);
        one.reset();
    });
    CHECK(alive == 1);
    CHECK((*two)->touched == 0);
    two.reset();
    CHECK(alive == 0);
}

TEST_CASE("A use may begin before and end after threads have cells of their own") {
    std::atomic<int> alive = 0;
    owner held = used(alive, few);
    std::optional<use> early(*held);
    for (int i = 0; i != many; ++i) {
        use each(*held);
        end_in_section(each);
    }
    end_in_section(*early);
    early.reset();
    CHECK(alive == 1);
    held.reset();
    CHECK(alive == 0);
}

TEST_CASE("A use that was moved ends once") {
    std::atomic<int> alive = 0;
    owner held = used(alive, many);
    {
        use first(*held);
        const use second(std::move(first));
    }
    held.reset();
    CHECK(alive == 0);
}

TEST_CASE("A thing stays until the section is over in which its last use ended") {
    std::atomic<int> alive = 0;
    owner held = used(alive, many);
    use ending(*held);
    std::jthread last_owner;
    {
        const read_section reading;
        ending.try_end(reading);
        std::atomic<bool> going = false;
        last_owner = std::jthread([&going, mine = std::move(held)]() mutable {
            going = true;
            mine.reset();
        });
        while (!going) {
        }
        for (int i = 0; i != 1000; ++i) {
            std::this_thread::yield();
            REQUIRE(alive == 1);
        }
    }
    last_owner.join();
    CHECK(alive == 0);
}

TEST_CASE("Whatever uses begin and end on other threads while its owners go, a thing goes once, and last") {
    const int times = GENERATE(few, many);
    constexpr int threads = 4;
    for (int round = 0; round != 200; ++round) {
        std::atomic<int> alive = 0;
        std::atomic<int> wrong = 0;
        std::barrier start(threads + 1);
        std::vector<owner> owners(threads, used(alive, times));
        std::vector<std::atomic<use*>> passed_on(threads);
        const auto work = [&](std::size_t self) {
            owner mine = std::move(owners[self]);
            start.arrive_and_wait();
            for (int i = 0; i != round; ++i) {
                use each(*mine);
                wrong += each->touched;
                if (i % 3 == 0) { // by the destructor
                } else if (i % 3 == 1) {
                    end_in_section(each);
                } else { // on whichever thread finds it
                    delete passed_on[(self + 1) % threads].exchange(new use(std::move(each)));
                }
            }
            auto* const last = new use(*mine);
            mine.reset();
            end_in_section(*last);
            delete last;
            if (use* found = passed_on[self].exchange(nullptr)) {
                end_in_section(*found);
                delete found;
            }
        };
        {
            std::vector<std::jthread> running;
            for (std::size_t n = 0; n != threads; ++n) {
                running.emplace_back(work, n);
            }
            start.arrive_and_wait();
        }
        for (auto& left : passed_on) {
            if (use* found = left.exchange(nullptr)) {
                REQUIRE(alive == 1);
                REQUIRE((*found)->touched == 0);
                delete found;
            }
        }
        REQUIRE(wrong == 0);
        REQUIRE(alive == 0);
    }
}

} // namespace
