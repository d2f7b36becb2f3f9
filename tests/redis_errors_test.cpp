// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/redis/error.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

TEST_CASE("Each error of Redis says what happened and what to do") {
    using acache::redis_errc;
    const boost::system::error_code unavailable = redis_errc::unavailable;
    CHECK(std::string(unavailable.category().name()) == "acache.redis");
    CHECK(unavailable.message().find("nothing was sent") != std::string::npos);
    const boost::system::error_code timeout = redis_errc::timeout;
    CHECK(timeout.message().find("redis_client_options::timeout") != std::string::npos);
    CHECK(timeout != unavailable);
}
