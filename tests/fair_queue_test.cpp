// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/fair_queue.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <list>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace {

struct item : acache::detail::fair_queue_item {
    item(char of, int n) : name(of + std::to_string(n)) { line = static_cast<std::size_t>(of); }
    std::string name;
};

struct queue : acache::detail::fair_queue<item> {
    std::list<item> items;

    item& add(char line, int n) {
        push(items.emplace_back(line, n));
        return items.back();
    }
    std::string take() {
        auto& first = front();
        erase(first);
        return first.name;
    }
    std::string take_all() {
        std::string all;
        while (!empty()) {
            all += take();
        }
        return all;
    }
    ~queue() { (void)take_all(); }
};

TEST_CASE("items of different lines come in the order of their arrival") {
    queue q;
    for (const char line : {'c', 'a', 'b'}) {
        q.add(line, 1);
    }
    CHECK(q.size() == 3);
    CHECK(q.take_all() == "c1a1b1");
}

TEST_CASE("a long line does not keep the others waiting") {
    queue q;
    for (int n = 1; n <= 4; ++n) {
        q.add('a', n);
    }
    q.add('b', 1);
    q.add('b', 2);
    q.add('c', 1);
    CHECK(q.take_all() == "a1b1c1a2b2a3a4");
}

TEST_CASE(
    "who comes when the queue has been moving does not overtake what is due, nor wait for a long line") {
    queue q;
    for (int n = 1; n <= 6; ++n) {
        q.add('a', n);
    }
    CHECK(q.take() == "a1");
    CHECK(q.take() == "a2");
    CHECK(q.take() == "a3");
    q.add('b', 1);
    q.add('b', 2);
    CHECK(q.take_all() == "b1a4b2a5a6");
}

TEST_CASE("items may leave from anywhere") {
    queue q;
    q.add('a', 1);
    auto& second = q.add('a', 2);
    q.add('a', 3);
    auto& other = q.add('b', 1);
    q.erase(second);
    q.erase(other);
    CHECK(q.take_all() == "a1a3");
    CHECK(q.empty());
}

TEST_CASE("a line's own items keep their order whatever comes and goes") {
    queue q;
    std::mt19937 random(1);
    std::vector<int> added(3);
    std::vector<int> seen(3);
    for (int step = 0; step != 10'000; ++step) {
        if (q.empty() || random() % 2 == 0) {
            const auto line = random() % 3;
            q.add(static_cast<char>('a' + line), ++added[line]);
        } else {
            const auto name = q.take();
            CHECK(std::stoi(name.substr(1)) == ++seen[static_cast<std::size_t>(name[0] - 'a')]);
        }
    }
}

TEST_CASE("who waits for a second turn is not passed over by those who keep coming") {
    queue q;
    q.add('a', 1);
    q.add('a', 2);
    CHECK(q.take() == "a1");
    q.add('b', 1);
    CHECK(q.take() == "b1");
    q.add('b', 2);
    q.add('c', 1);
    CHECK(q.take_all() == "a2b2c1");
}

/// Random lines and what is to be true of them.
struct crowd {
    queue q;
    std::mt19937_64 random{2};
    std::vector<std::size_t> lines{0, 1, 2, std::size_t{1} << 63, ~std::size_t{0}};
    std::map<std::size_t, std::deque<item*>> waiting;
    std::map<std::size_t, std::set<std::size_t>> passed_by; // since the line had its turn, or came

    crowd() {
        while (lines.size() != 100) {
            lines.push_back(random() % 2 == 0 ? random() : lines.size() * 4096);
        }
    }

    void come(int number) {
        auto& added = q.items.emplace_back('x', number);
        added.line = lines[random() % lines.size()];
        q.push(added);
        waiting[added.line].push_back(&added);
    }

    void leave() {
        auto at = waiting.begin();
        std::advance(at, static_cast<int>(random() % waiting.size()));
        auto& [number, line] = *at;
        const auto gone = line.begin() + static_cast<int>(random() % line.size());
        if (gone == line.begin()) {
            passed_by.erase(number); // what is left of the line may have to wait for another turn
        }
        q.erase(**gone);
        line.erase(gone);
        forget_empty(number);
    }

    void take() {
        auto& next = q.front();
        REQUIRE(&next == waiting[next.line].front());
        waiting[next.line].pop_front();
        q.erase(next);
        for (const auto& [other, items] : waiting) {
            if (other != next.line) {
                REQUIRE(passed_by[other].insert(next.line).second);
            }
        }
        passed_by.erase(next.line);
        forget_empty(next.line);
    }

    void forget_empty(std::size_t line) {
        if (waiting[line].empty()) {
            waiting.erase(line);
            passed_by.erase(line);
        }
    }

    void check() {
        std::size_t count = 0;
        q.for_each([&](item& each) {
            const auto& line = waiting.at(each.line);
            REQUIRE(std::count(line.begin(), line.end(), &each) == 1);
            ++count;
        });
        REQUIRE(count == q.size());
    }
};

TEST_CASE("many lines come and go in any order, and none has two turns while another one waits") {
    crowd all;
    for (int step = 0; step != 20'000; ++step) {
        const auto kind = all.random() % 20;
        if (all.q.empty() || kind < 10) {
            all.come(step);
        } else if (kind < 12) {
            all.leave();
        } else {
            all.take();
        }
        if (step % 10 == 0) {
            all.check();
        }
    }
}

} // namespace
