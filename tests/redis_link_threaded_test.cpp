// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "redis_link_setup.hpp"
#include "tsan_suppressions.hpp"

#include <acache/redis.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace acache_test;

/// A connection on a strand of a pool.
struct pool_world {
    explicit pool_world(acache::redis_client_options options = {.timeout = 10s, .keepalive = 20ms})
        : client(std::in_place, connection, options) {
        asio::co_spawn(strand, keep_running(connection, server.port()), asio::detached);
        REQUIRE(asio::co_spawn(pool, client->ready(20s), asio::use_future).get());
    }

    redis_server server;
    asio::thread_pool pool{4};
    asio::strand<asio::thread_pool::executor_type> strand{pool.get_executor()};
    std::shared_ptr<boost::redis::connection> connection = std::make_shared<boost::redis::connection>(strand);
    std::optional<acache::redis_client> client;
};

class counting_member final : public acache::detail::redis_member {
public:
    explicit counting_member(std::string prefix) : prefix_(std::move(prefix)) {}
    [[nodiscard]] const std::string& prefix() const noexcept override { return prefix_; }
    void push_opening(boost::redis::request& request) override { request.push("PING"); }
    void opened(const acache::detail::redis_reply&, std::size_t) override { ++openings; }
    void changed(std::string_view) override { ++changes; }
    void lost() noexcept override { ++losses; }

    std::atomic<int> openings = 0, changes = 0, losses = 0;

private:
    std::string prefix_;
};

TEST_CASE("Callers on all threads get their own replies") {
    pool_world w;
    std::atomic<int> right = 0;
    std::vector<std::future<void>> callers;
    const auto call = [&](int id) -> asio::awaitable<void> {
        const auto link = acache::detail::link_of(*w.client);
        for (int i = 0; i != 50; ++i) {
            const std::string text = std::to_string(id) + ":" + std::to_string(i);
            const auto reply = co_await redis_world::exec(*link, words("ECHO", text));
            right += reply.nodes.at(0).value == text ? 1 : 0;
        }
    };
    for (int id = 0; id != 16; ++id) {
        callers.push_back(id % 2 == 0 ? asio::co_spawn(w.pool, call(id), asio::use_future)
                                      : asio::co_spawn(w.strand, call(id), asio::use_future));
    }
    for (auto& caller : callers) {
        caller.get();
    }
    CHECK(right == 16 * 50);
    CHECK(w.client->metrics().requests == 16 * 50);
}

TEST_CASE("Members are added and removed on any thread while others write and connections break") {
    pool_world w;
    std::atomic<bool> stop = false;
    std::atomic<int> failures = 0;
    std::thread writer([&] {
        redis_hand hand(w.server.port());
        for (int i = 0; !stop; ++i) {
            hand.command({"SET", std::to_string(i % 4) + ":k", "v"});
        }
    });
    std::vector<std::thread> threads;
    for (int id = 0; id != 4; ++id) {
        threads.emplace_back([&, id] {
            for (int i = 0; i != 15; ++i) {
                const auto member = std::make_shared<counting_member>(std::to_string(id) + ":");
                acache::detail::link_of(*w.client)->add(member);
                failures += eventually([&] { return member->changes > 0; }) ? 0 : 1;
                acache::detail::link_of(*w.client)->remove(*member);
                failures += eventually([&] { return member.use_count() == 1; }) ? 0 : 1;
                if (id == 0 && i % 5 == 0) {
                    redis_hand(w.server.port()).command({"FLUSHALL"});
                }
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    stop = true;
    writer.join();
    CHECK(failures == 0);
}

TEST_CASE("Callers may be cancelled on any thread") {
    pool_world w;
    std::atomic<int> ended = 0, replies = 0;
    constexpr int callers = 400;
    for (int i = 0; i != callers; ++i) {
        const auto own = asio::make_strand(w.pool);
        const auto signal = std::make_shared<asio::cancellation_signal>();
        asio::co_spawn(
            own, redis_world::exec(*acache::detail::link_of(*w.client), words("ECHO", "text")),
            asio::bind_cancellation_slot(
                signal->slot(), [&, signal](std::exception_ptr e, const acache::detail::redis_reply& r) {
                    replies += !e && r.nodes.at(0).value == "text" ? 1 : 0;
                    ++ended;
                }));
        asio::post(own, [signal] { signal->emit(asio::cancellation_type::terminal); });
    }
    CHECK(eventually([&] { return ended == callers; }));
    CHECK_FALSE(asio::co_spawn(w.pool, redis_world::exec(*acache::detail::link_of(*w.client), words("PING")),
                               asio::use_future)
                    .get()
                    .nodes.empty());
    CHECK(w.client->metrics().connections == 1);
}

TEST_CASE("Contexts of callers may be destroyed while the link's goes on") {
    pool_world w;
    for (int i = 0; i != 60; ++i) {
        asio::io_context other{1};
        int done = 0;
        for (int c = 0; c != 8; ++c) {
            asio::co_spawn(other, redis_world::exec(*acache::detail::link_of(*w.client), words("GET", "k")),
                           [&](std::exception_ptr, const acache::detail::redis_reply&) { ++done; });
        }
        for (int n = 0; n != i && done != 8; ++n) {
            other.run_one_for(1ms);
        }
    }
    CHECK(w.client->connected());
}

TEST_CASE("The client may end on any thread, with callers on others") {
    for (int i = 0; i != 20; ++i) {
        pool_world w;
        std::atomic<int> ended = 0;
        const auto call = [&](std::shared_ptr<acache::detail::redis_link> link) -> asio::awaitable<void> {
            try {
                for (;;) {
                    co_await redis_world::exec(*link, words("GET", "k"));
                }
            } catch (const boost::system::system_error&) {
                ++ended;
            }
        };
        const auto link = bare_link_of(*w.client);
        for (int c = 0; c != 8; ++c) {
            asio::co_spawn(w.pool, call(link), asio::detached);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(i % 4));
        w.client.reset();
        CHECK(eventually([&] { return ended == 8; }));
        w.pool.stop();
        w.pool.join();
    }
}

TEST_CASE("The link's context may be destroyed while callers on others go on") {
    redis_server server;
    for (int i = 0; i != 40; ++i) {
        std::optional<acache::redis_client> client; // outlives its context, as does the member
        const auto member = std::make_shared<counting_member>("a:");
        asio::thread_pool callers{2};
        std::atomic<int> ended = 0;
        const auto call = [&](std::shared_ptr<acache::detail::redis_link> link) -> asio::awaitable<void> {
            // Refused at first, and in the end.
            for (bool has_worked = false, fails = false; !has_worked || !fails;) {
                try {
                    co_await redis_world::exec(*link, words("GET", "k"));
                    has_worked = true;
                } catch (const boost::system::system_error& e) {
                    fails = e.code() == asio::error::operation_aborted;
                    has_worked = has_worked || fails;
                }
            }
            ++ended;
        };
        {
            asio::thread_pool home{2};
            const auto strand = asio::make_strand(home);
            const auto connection = std::make_shared<boost::redis::connection>(strand);
            asio::co_spawn(strand, keep_running(connection, server.port()), asio::detached);
            client.emplace(connection, acache::redis_client_options{.timeout = 10s, .keepalive = 20ms});
            acache::detail::link_of(*client)->add(member);
            for (int c = 0; c != 8; ++c) {
                asio::co_spawn(callers, call(acache::detail::link_of(*client)), asio::detached);
            }
            if (i % 4 != 0) {
                CHECK(eventually([&] { return member->openings == 1; }));
            }
        }
        CHECK(eventually([&] { return ended == 8; }));
        CHECK(member->losses == member->openings);
    }
}

} // namespace
