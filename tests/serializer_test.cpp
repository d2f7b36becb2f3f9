// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/serializer.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/system_executor.hpp>

#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

namespace {

namespace asio = boost::asio;
using acache::detail::serializer;
using serializer_ptr = boost::intrusive_ptr<serializer>;

serializer_ptr make(const asio::any_io_executor& executor) {
    return serializer_ptr(new serializer(executor));
}

TEST_CASE("A serializer runs what is posted later, in its order") {
    asio::io_context context;
    const auto s = make(context.get_executor());
    std::vector<int> seen;
    for (int i = 0; i != 5; ++i) {
        s->post([&, i] { seen.push_back(i); });
    }
    CHECK(seen.empty());
    context.run();
    CHECK(seen == std::vector{0, 1, 2, 3, 4});
}

TEST_CASE("A serializer runs what is dispatched at once only where the context runs and it is free") {
    asio::io_context context;
    const auto s = make(context.get_executor());
    std::vector<int> seen;
    s->dispatch([&] { seen.push_back(1); });
    s->dispatch_here([&] { seen.push_back(2); });
    CHECK(seen.empty()); // the context does not run
    context.run();
    CHECK(seen == std::vector{1, 2});
    seen.clear();
    asio::post(context, [&] {
        s->dispatch([&] {
            seen.push_back(1);
            s->dispatch([&] { seen.push_back(2); }); // in it
            s->dispatch_here([&] { seen.push_back(3); });
            s->post([&] { seen.push_back(6); });
            seen.push_back(4);
        });
        seen.push_back(5);
        s->dispatch([&] { seen.push_back(7); }); // not free: another one waits
        seen.push_back(-1);
    });
    context.restart();
    context.run();
    CHECK(seen == std::vector{1, 2, 3, 4, 5, -1, 6, 7});
}

TEST_CASE("A serializer is not free while a function of it dispatches to another one and back") {
    asio::io_context context;
    const auto a = make(context.get_executor());
    const auto b = make(context.get_executor());
    std::vector<int> seen;
    asio::post(context, [&] {
        a->dispatch_here([&] {
            seen.push_back(1);
            b->dispatch_here([&] {
                seen.push_back(2);
                a->dispatch_here([&] { seen.push_back(3); }); // on this thread, further out
            });
            seen.push_back(4);
        });
    });
    context.run();
    CHECK(seen == std::vector{1, 2, 3, 4});
}

TEST_CASE("A function of a serializer that throws does not keep the others from running") {
    asio::io_context context;
    const auto s = make(context.get_executor());
    int ran = 0;
    for (int i = 0; i != 4; ++i) {
        s->post([&, i] {
            if (i % 2 == 0) {
                throw std::runtime_error("thrown");
            }
            ++ran;
        });
    }
    CHECK_THROWS_AS(context.run(), std::runtime_error);
    CHECK_THROWS_AS(context.run(), std::runtime_error);
    context.run();
    CHECK(ran == 2);
}

TEST_CASE("A serializer lets others on its context have their turn") {
    asio::io_context context;
    const auto s = make(context.get_executor());
    std::vector<int> seen;
    s->post([&] {
        seen.push_back(1);
        s->post([&] { seen.push_back(3); });
    });
    asio::post(context, [&] { seen.push_back(2); });
    context.run();
    CHECK(seen == std::vector{1, 2, 3});
}

TEST_CASE("What a serializer has not run goes with its context, and may leave more as it goes") {
    const auto living = std::make_shared<int>(0);
    serializer_ptr s;
    {
        std::optional<asio::io_context> context(std::in_place);
        s = make(context->get_executor());
        struct leaves_more {
            serializer_ptr s;
            std::shared_ptr<int> alive;
            leaves_more(serializer_ptr to, std::shared_ptr<int> a) : s(std::move(to)), alive(std::move(a)) {}
            leaves_more(leaves_more&&) noexcept = default;
            ~leaves_more() {
                if (alive) {
                    s->post([a = std::move(alive)] {});
                }
            }
            void operator()() const { FAIL("it ran"); }
        };
        for (int i = 0; i != 3; ++i) {
            s->post(leaves_more(s, living));
        }
        CHECK(living.use_count() == 4);
        context.reset();
        CHECK(living.use_count() == 1);
    }
}

TEST_CASE("A serializer runs on a strand, and on an executor that never blocks") {
    asio::io_context context;
    int ran = 0;
    const auto on_strand = make(asio::make_strand(context));
    const auto never =
        make(asio::any_io_executor(asio::require(context.get_executor(), asio::execution::blocking.never)));
    asio::post(context, [&] {
        on_strand->dispatch_here([&] { ++ran; });
        never->dispatch_here([&] { ++ran; });
        CHECK(ran <= 1); // at most the one on the strand
    });
    context.run();
    CHECK(ran == 2);
}

} // namespace
