// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/ref_count.hpp>

#include <catch2/catch_test_macros.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <utility>

namespace {

class counted : public acache::detail::ref_count<counted> {
public:
    counted(unsigned references, int& alive) : ref_count(references), alive_(alive) { ++alive_; }
    ~counted() { --alive_; }

private:
    int& alive_;
};

using counted_ptr = boost::intrusive_ptr<counted>;

TEST_CASE("An object that is born with two references goes with the second of them") {
    int alive = 0;
    counted_ptr first = acache::detail::adopt(new counted(2, alive));
    counted_ptr second = acache::detail::adopt(first.get());
    first.reset();
    CHECK(alive == 1);
    second.reset();
    CHECK(alive == 0);
}

TEST_CASE("An object goes with the last of the references that were added to it") {
    int alive = 0;
    counted_ptr first = acache::detail::adopt(new counted(1, alive));
    counted_ptr copy = first;
    counted_ptr moved = std::move(first);
    moved.reset();
    CHECK(alive == 1);
    copy.reset();
    CHECK(alive == 0);
}

} // namespace
