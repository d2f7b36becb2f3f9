// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/bucket_index.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace {

using acache::entry_id;
using acache::no_entry;
using acache::detail::bucket_index;

TEST_CASE("an index agrees with a map, however its hashes collide") {
    const std::size_t buckets = GENERATE(1u, 2u, 3u, 7u, 64u);
    // Bits of the hash that differ: none, tags only, places only, all.
    const std::uint32_t mask = GENERATE(0u, 0xffu, 0xff000000u, 0xffffffffu);
    CAPTURE(buckets, mask);
    bucket_index index(buckets);
    const auto most = bucket_index::most_held(buckets);
    std::map<entry_id, std::uint32_t> model;
    std::mt19937 random{3};
    for (int step = 0; step != 20'000; ++step) {
        const auto id = static_cast<entry_id>(random() % (2 * most));
        const auto hash = id * 2654435769U & mask;
        const auto is = [&](entry_id found) { return found == id; };
        REQUIRE(index.find(hash, is) == (model.contains(id) ? id : no_entry));
        if (model.contains(id)) {
            index.erase(hash, id);
            model.erase(id);
        } else if (model.size() < most) {
            index.insert(hash, id);
            model[id] = hash;
        }
        if (step % 100 == 0) {
            std::set<entry_id> all;
            index.for_each([&](entry_id found) { CHECK(all.insert(found).second); });
            REQUIRE(all.size() == model.size());
            for (const auto& [held, at] : model) {
                REQUIRE(index.find(at, [&](entry_id found) { return found == held; }) == held);
            }
        }
    }
}

TEST_CASE("an index replaces an id in its place") {
    bucket_index index(2);
    for (entry_id id = 0; id != 20; ++id) {
        index.insert(7, id);
    }
    for (entry_id id = 0; id != 20; ++id) {
        index.replace(7, id, 100 + id);
    }
    for (entry_id id = 0; id != 20; ++id) {
        CHECK(index.find(7, [&](entry_id found) { return found == id; }) == no_entry);
        CHECK(index.find(7, [&](entry_id found) { return found == 100 + id; }) == 100 + id);
    }
}

TEST_CASE("a search that finds nothing ends, though every bucket has sent entries on") {
    bucket_index index(2);
    constexpr std::uint32_t first = 0;
    constexpr std::uint32_t second = 0x80000000;
    for (entry_id id = 0; id != 12; ++id) {
        index.insert(first, id);
    }
    index.insert(first, 12); // goes on to the second bucket
    for (entry_id id = 0; id != 6; ++id) {
        index.erase(first, id);
    }
    for (entry_id id = 20; id != 32; ++id) {
        index.insert(second, id); // of which one goes on to the first
    }
    CHECK(index.find(first, [](entry_id) { return false; }) == no_entry);
    CHECK(index.find(second, [](entry_id) { return false; }) == no_entry);
    CHECK(index.find(first, [](entry_id id) { return id == 12; }) == 12);
    CHECK(index.find(second, [](entry_id id) { return id == 31; }) == 31);
}

TEST_CASE("a search goes no further than entries have gone") {
    bucket_index index(2);
    for (entry_id id = 0; id != 14; ++id) {
        index.insert(0, id); // of which two go on to the second bucket
    }
    index.insert(0x80000000, 20);
    int looks = 0;
    const auto none = [&](entry_id) {
        ++looks;
        return false;
    };
    (void)index.find(0, none);
    CHECK(looks == 15);
    for (entry_id id = 0; id != 14; ++id) {
        index.erase(0, id);
    }
    looks = 0;
    (void)index.find(0, none);
    CHECK(looks == 0);
}

} // namespace
