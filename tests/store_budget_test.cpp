// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/store_budget.hpp>
#include <acache/options.hpp>

#include <catch2/catch_test_macros.hpp>

namespace {

using acache::unbounded;
using acache::detail::store_budget;

TEST_CASE("a claim takes what is free, all of it or nothing, and gives it back") {
    store_budget budget(2, 100);
    budget.weigh();
    {
        store_budget::claim one(budget);
        CHECK(one.cover(1, 60));
        store_budget::claim other(budget);
        CHECK_FALSE(other.cover(1, 60));
        CHECK(budget.size() == 2);
        CHECK(budget.weight() == 60);
        one.use(60);
    }
    CHECK(budget.size() == 1);
    CHECK(budget.weight() == 60);
}

TEST_CASE("a claim from before less was allowed is not good for an entry after it") {
    store_budget budget(2, unbounded);
    store_budget::claim claim(budget);
    REQUIRE(claim.cover(1, 0));
    budget.allow(0);
    CHECK_FALSE(claim.cover(1, 0));
    CHECK(budget.size() == 0);
    budget.allow(1);
    CHECK(claim.cover(1, 0));
}

} // namespace
