// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/error.hpp>

#include <catch2/catch_test_macros.hpp>

#include <set>
#include <string>

using acache::errc;

namespace {

constexpr errc all[] = {errc::not_found, errc::recursive_load, errc::load_timeout,
                        errc::closed,    errc::overloaded,     errc::batch_size_mismatch};

} // namespace

TEST_CASE("an errc becomes an error_code of acache's category") {
    boost::system::error_code ec = errc::closed;
    CHECK(ec);
    CHECK(ec == errc::closed);
    CHECK(ec != errc::overloaded);
    CHECK(ec.category() == acache::error_category());
    CHECK(ec.category().name() == std::string("acache"));
    CHECK(make_error_code(errc::closed) == ec);
}

TEST_CASE("every errc is an error with a message of its own") {
    std::set<std::string> messages{acache::error_category().message(0)};
    for (errc e : all) {
        CHECK(make_error_code(e).failed());
        CHECK(messages.insert(make_error_code(e).message()).second);
    }
    CHECK(acache::error_category().message(0) == "unknown acache error");
    CHECK(acache::error_category().message(9999) == "unknown acache error");
}

TEST_CASE("a system_error says what happened") {
    boost::system::system_error error{make_error_code(errc::not_found)};
    CHECK(std::string(error.what()).find("the source has no value for this key") != std::string::npos);
}

TEST_CASE("a load_result holds a value or an exception") {
    acache::load_result<int> value{1};
    CHECK(value.value() == 1);
    acache::load_result<int> failure{std::make_exception_ptr(boost::system::system_error(errc::not_found))};
    REQUIRE(failure.has_error());
    CHECK_THROWS_AS(failure.value(), boost::system::system_error);
}
