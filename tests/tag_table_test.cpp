// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/tag_table.hpp>

#include <catch2/catch_test_macros.hpp>

#include <optional>
#include <string>
#include <vector>

namespace {

using acache::detail::tag_ptr;
using acache::detail::tag_table;

TEST_CASE("C15 a tag's invalidation is later than every load that began before it, and than none after") {
    tag_table tags;
    const tag_table::load before(tags);
    const auto tag = tags.find_or_add("org:7");
    CHECK(tag->invalidated() <= before.began());
    tags.invalidate("org:7");
    const tag_table::load after(tags);
    CHECK(tag->invalidated() > before.began());
    CHECK(tag->invalidated() <= after.began());
    CHECK(tags.now() >= tag->invalidated());
}

TEST_CASE("C15 a load that names a tag only after its invalidation is found out all the same") {
    tag_table tags;
    const tag_table::load load(tags);
    tags.invalidate("org:7");
    CHECK(tags.find_or_add("org:7")->invalidated() > load.began());
}

TEST_CASE("C15 stamps of a tag only move forward") {
    tag_table tags;
    const auto tag = tags.find_or_add("a");
    auto last = tag->invalidated();
    for (int i = 0; i != 100; ++i) {
        tags.invalidate("a");
        CHECK(tag->invalidated() > last);
        last = tag->invalidated();
    }
}

TEST_CASE("to invalidate one tag leaves the others alone") {
    tag_table tags;
    const auto other = tags.find_or_add("b");
    const tag_table::load load(tags);
    tags.invalidate("a");
    CHECK(other->invalidated() <= load.began());
}

TEST_CASE("tags that nobody has are not kept") {
    tag_table tags;
    for (int i = 0; i != 10'000; ++i) {
        const auto name = "tag:" + std::to_string(i);
        (void)tags.find_or_add(name);
        tags.invalidate(name);
    }
    CHECK(tags.size() <= 64);
    for (int i = 0; i != 10'000; ++i) { // nobody has these, nor will
        tags.invalidate("never:" + std::to_string(i));
    }
    CHECK(tags.size() <= 64);
}

TEST_CASE("tags that an entry has are kept, and are the same for all who have them") {
    tag_table tags;
    std::vector<tag_ptr> had;
    for (int i = 0; i != 1000; ++i) {
        had.push_back(tags.find_or_add("tag:" + std::to_string(i)));
    }
    CHECK(tags.size() == 1000);
    CHECK(tags.find_or_add("tag:500") == had[500]);
    had.clear();
    for (int i = 0; i != 2000; ++i) {
        (void)tags.find_or_add("other:" + std::to_string(i));
    }
    CHECK(tags.size() <= 64 + 64);
}

TEST_CASE("an invalidation is remembered as long as a load runs that began before it") {
    tag_table tags;
    std::optional<tag_table::load> load(tags);
    tags.invalidate("org:7");
    const auto churn = [&] {
        for (int i = 0; i != 1000; ++i) {
            (void)tags.find_or_add("tag:" + std::to_string(i));
        }
    };
    churn();
    CHECK(tags.find_or_add("org:7")->invalidated() > load->began());
    load.reset();
    churn();
    CHECK(tags.find_or_add("org:7")->invalidated() == 0);
}

} // namespace
