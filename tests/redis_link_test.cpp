// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "redis_link_setup.hpp"

#include <acache/redis.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace acache_test;
using acache::redis_errc;
using acache::detail::is_error;
using acache::detail::is_null;
using acache::detail::redis_reply;

TEST_CASE(
    "A link opens its members when it is connected, and tells what others change, and not its own writes") {
    redis_world w;
    w.server.command({"SET", "a:state", "seen"});
    CHECK(w.error_of({"GET", "x"}) == redis_errc::unavailable);
    const auto a = w.add("a:");
    REQUIRE(w.run(w.client->ready(20s)));
    CHECK(w.client->connected());
    CHECK(a->open);
    CHECK(a->state == "seen");

    w.command({"SET", "a:own", "1"});
    w.server.command({"SET", "other", "1"});
    w.server.command({"SET", "a:theirs", "1"});
    REQUIRE(w.run_until([&] { return a->has_change("a:theirs"); }));
    CHECK(a->changes == std::vector<std::string>{"a:theirs"});

    w.command({"SET", "a:short", "1", "PX", "20"});
    CHECK(w.run_until([&] { return a->has_change("a:short"); }));
    const auto m = w.client->metrics();
    CHECK(m.connections == 1);
    CHECK(m.invalidations == 2);
    CHECK(m.requests == 2);
    CHECK(m.refused == 1);
    CHECK(m.losses == 0);
}

TEST_CASE("A request's replies are all there, errors and aggregates among them") {
    redis_world w;
    REQUIRE(w.run(w.client->ready(20s)));
    const auto pipeline = [](boost::redis::request& request) {
        request.push("SET", "s", "text");
        request.push("LPUSH", "s", "wrong type");
        request.push("MGET", "s", "none");
        request.push("NO-SUCH-COMMAND");
        request.push("GET", "s");
        return true;
    };
    const redis_reply reply = w.run(acache::detail::link_of(*w.client)->exec(pipeline));
    CHECK(reply.nodes[of_command(reply, 0)].value == "OK");
    CHECK(is_error(reply.nodes[of_command(reply, 1)]));
    CHECK(reply.nodes[of_command(reply, 1)].value.starts_with("WRONGTYPE"));
    const auto many = of_command(reply, 2);
    CHECK(reply.nodes[many].aggregate_size == 2);
    CHECK(reply.nodes[many + 1].value == "text");
    CHECK(is_null(reply.nodes[many + 2]));
    CHECK(is_error(reply.nodes[of_command(reply, 3)]));
    CHECK(reply.nodes[of_command(reply, 4)].value == "text");
    CHECK(w.command({"PING"}).nodes.at(0).value == "PONG");
}

TEST_CASE("What is submitted is built just before it is sent, and not sent if that says no") {
    redis_world w;
    REQUIRE(w.run(w.client->ready(20s)));
    std::vector<std::string> told;
    const auto done = [&](boost::system::error_code ec, const redis_reply& reply) {
        told.push_back(ec ? ec.message() : std::string(reply.nodes[0].value));
    };
    acache::detail::link_of(*w.client)->submit([](auto& request) { return request.push("PING"), true; },
                                               done);
    acache::detail::link_of(*w.client)->submit([](auto&) { return false; }, done);
    REQUIRE(w.run_until([&] { return told.size() == 2; }));
    CHECK(told[0] == make_error_code(redis_errc::unavailable).message());
    CHECK(told[1] == "PONG");
}

TEST_CASE("A server that is flushed opens its members anew") {
    redis_world w;
    const auto a = w.add("a:");
    const auto b = w.add("b:");
    REQUIRE(w.run(w.client->ready(20s)));
    w.server.command({"FLUSHALL"});
    REQUIRE(w.run_until([&] { return a->openings == 2 && b->openings == 2; }));
    CHECK(a->losses == 1);
    CHECK(w.client->metrics().losses == 1);
    CHECK(w.client->metrics().connections == 1);
    w.server.command({"SET", "b:k", "1"});
    CHECK(w.run_until([&] { return b->has_change("b:k"); }));
}

TEST_CASE("A connection that is lost is missed, and made again with its tracking") {
    redis_world w;
    const auto a = w.add("a:");
    REQUIRE(w.run(w.client->ready(20s)));
    for (int round = 1; round != 4; ++round) {
        w.server.kill_clients();
        REQUIRE(w.run_until([&] { return a->losses == round; }));
        CHECK_FALSE(w.client->connected());
        REQUIRE(w.run_until([&] { return a->openings == round + 1; }));
        const std::string key = "a:" + std::to_string(round);
        w.server.command({"SET", key, "1"});
        REQUIRE(w.run_until([&] { return a->has_change(key); }));
    }
    CHECK(w.client->metrics().connections == 4);
}

TEST_CASE("A server that is paused costs a time-out, then nothing, and is believed again when it answers") {
    redis_world w;
    const auto a = w.add("a:");
    REQUIRE(w.run(w.client->ready(20s)));
    w.server.pause();
    CHECK(w.error_of({"GET", "k"}) == redis_errc::timeout);
    REQUIRE(w.run_until([&] { return a->losses == 1; }));
    CHECK_FALSE(w.client->connected());
    const auto before = std::chrono::steady_clock::now();
    CHECK(w.error_of({"GET", "k"}) == redis_errc::unavailable);
    CHECK(std::chrono::steady_clock::now() - before < 100ms);
    CHECK_FALSE(w.run(w.client->ready(20ms)));

    w.server.resume();
    REQUIRE(w.run(w.client->ready(20s)));
    CHECK(a->openings == 2);
    CHECK(w.client->metrics().connections == 1);
    w.server.command({"SET", "a:k", "1"});
    CHECK(w.run_until([&] { return a->has_change("a:k"); }));
    CHECK_FALSE(w.error_of({"GET", "k"}));
}

TEST_CASE("After some time-outs in a row nothing is sent until the server has told its time") {
    redis_world w({.timeout = 100ms, .keepalive = 1h, .failures_to_open = 3});
    REQUIRE(w.run(w.client->ready(20s)));
    w.run_until([] { return false; }, 50ms); // the probe behind the opening
    w.server.pause();
    for (int i = 0; i != 3; ++i) {
        CHECK(w.error_of({"GET", "k"}) == redis_errc::timeout);
    }
    CHECK_FALSE(w.client->connected());
    CHECK(w.error_of({"GET", "k"}) == redis_errc::unavailable);
    w.server.resume();
    REQUIRE(w.run(w.client->ready(20s)));
    CHECK_FALSE(w.error_of({"GET", "k"}));
    CHECK(w.client->metrics().timeouts == 3);
    CHECK(w.client->metrics().refused == 1);
}

TEST_CASE("A server that is killed and comes back empty is connected again") {
    redis_world w;
    const auto a = w.add("a:");
    REQUIRE(w.run(w.client->ready(20s)));
    w.command({"SET", "k", "1"});
    w.server.kill();
    REQUIRE(w.run_until([&] { return a->losses == 1; }));
    CHECK(w.error_of({"GET", "k"}) == redis_errc::unavailable);
    w.run_until([] { return false; }, 100ms); // some connections are refused
    w.server.restart();
    REQUIRE(w.run(w.client->ready(20s)));
    CHECK(a->openings == 2);
    CHECK(is_null(w.command({"GET", "k"}).nodes.at(0)));
    w.server.command({"SET", "a:k", "1"});
    CHECK(w.run_until([&] { return a->has_change("a:k"); }));
}

TEST_CASE("Members come and go; prefixes that overlap are refused") {
    redis_world w;
    auto a = w.add("a:");
    CHECK_THROWS_AS(w.add("a:"), std::invalid_argument);
    CHECK_THROWS_AS(w.add("a:b:"), std::invalid_argument);
    REQUIRE(w.run(w.client->ready(20s)));
    const auto late = w.add("late:");
    REQUIRE(w.run(w.client->ready(20s)));
    CHECK(late->openings == 1);
    CHECK(a->openings == 1);
    w.server.command({"SET", "late:k", "1"});
    CHECK(w.run_until([&] { return late->has_change("late:k"); }));

    acache::detail::link_of(*w.client)->remove(*a);
    w.run_until([] { return false; }, 10ms);
    w.server.command({"SET", "a:k", "1"});
    w.server.command({"SET", "late:k2", "1"});
    CHECK(w.run_until([&] { return late->has_change("late:k2"); }));
    CHECK(a->changes.empty());
    CHECK(a.use_count() == 1);

    // The server still tracks "a:", and so refuses to track this by itself.
    const auto nested = w.add("a:b:");
    REQUIRE(w.run(w.client->ready(20s)));
    w.server.command({"SET", "a:b:k", "1"});
    CHECK(w.run_until([&] { return nested->has_change("a:b:k"); }));
    CHECK(w.client->metrics().connections == 1);
}

TEST_CASE("A member hears of all its keys where the server told of some of them for an earlier one") {
    redis_world w;
    const auto narrow = w.add("a:b:");
    const auto other = w.add("other:");
    REQUIRE(w.run(w.client->ready(20s)));
    acache::detail::link_of(*w.client)->remove(*narrow);
    const auto wide = w.add("a:");
    REQUIRE(w.run(w.client->ready(20s)));
    w.server.command({"SET", "a:k", "1"});
    CHECK(w.run_until([&] { return wide->has_change("a:k"); }, 5s));
    w.server.command({"SET", "a:b:k", "1"});
    CHECK(w.run_until([&] { return wide->has_change("a:b:k"); }, 5s));
    CHECK(other->open);
    CHECK(other->losses == other->openings - 1);
    w.server.command({"SET", "other:k", "1"});
    CHECK(w.run_until([&] { return other->has_change("other:k"); }, 5s));
    CHECK(w.client->metrics().connections == 1);
}

TEST_CASE("A member that is still to be opened is waited for, whichever thread it comes from") {
    redis_world w;
    REQUIRE(w.run(w.client->ready(20s)));
    const auto late = w.add("late:");
    CHECK_FALSE(w.client->connected());
    REQUIRE(w.run(w.client->ready(20s)));
    CHECK(late->open);
}

TEST_CASE("What was asked for a member is not told to a later one at the same address") {
    redis_world w({.timeout = 20s, .keepalive = 1h});
    w.server.command({"SET", "a:state", "of a"});
    w.server.command({"SET", "b:state", "of b"});
    REQUIRE(w.run(w.client->ready(20s)));
    std::optional<recording_member> place;
    const auto stand = [&](const char* prefix) {
        return std::shared_ptr<recording_member>(&place.emplace(prefix), [](recording_member*) {});
    };
    w.server.pause();
    auto member = stand("a:");
    acache::detail::link_of(*w.client)->add(member);
    w.run_until([] { return false; }, 20ms);
    acache::detail::link_of(*w.client)->remove(*member);
    w.run_until([] { return false; }, 20ms);
    member = stand("b:");
    acache::detail::link_of(*w.client)->add(member);
    w.run_until([] { return false; }, 20ms);
    w.server.resume();
    REQUIRE(w.run(w.client->ready(20s)));
    w.command({"PING"});
    CHECK(member->state == "of b");
    CHECK(member->openings == 1);
}

TEST_CASE("A member that cannot use what it is told is asked again later") {
    redis_world w;
    const auto member = std::make_shared<recording_member>("a:");
    member->refuse = 2;
    acache::detail::link_of(*w.client)->add(member);
    REQUIRE(w.run(w.client->ready(20s)));
    CHECK(member->refuse == 0);
    CHECK(member->openings == 1);
}

TEST_CASE("A caller that is cancelled leaves at once, and the connection is none the worse") {
    redis_world w({.timeout = 20s, .keepalive = 1h});
    REQUIRE(w.run(w.client->ready(20s)));
    w.server.pause();
    asio::cancellation_signal signal;
    boost::system::error_code outcome;
    asio::co_spawn(
        w.io,
        [&]() -> asio::awaitable<void> {
            try {
                co_await redis_world::exec(*acache::detail::link_of(*w.client), words("SET", "k", "v"));
            } catch (const boost::system::system_error& e) {
                outcome = e.code();
            }
        },
        asio::bind_cancellation_slot(signal.slot(), asio::detached));
    w.run_until([] { return false; }, 20ms);
    signal.emit(asio::cancellation_type::terminal);
    CHECK(w.run_until([&] { return outcome == asio::error::operation_aborted; }, 5s));
    w.server.resume();
    CHECK(w.command({"GET", "k"}).nodes.at(0).value == "v");
    CHECK(w.client->metrics().connections == 1);
}

TEST_CASE("The end of the client ends what waits for it") {
    redis_world w({.timeout = 20s, .keepalive = 1h});
    const auto a = w.add("a:");
    REQUIRE(w.run(w.client->ready(20s)));
    w.server.pause();
    boost::system::error_code outcome, submitted;
    const auto link = bare_link_of(*w.client);
    asio::co_spawn(
        w.io,
        [&]() -> asio::awaitable<void> {
            try {
                co_await redis_world::exec(*link, words("GET", "k"));
            } catch (const boost::system::system_error& e) {
                outcome = e.code();
            }
        },
        asio::detached);
    link->submit([](auto& request) { return request.push("PING"), true; },
                 [&](boost::system::error_code ec, const redis_reply&) { submitted = ec; });
    w.run_until([] { return false; }, 20ms);
    w.client.reset();
    CHECK(w.run_until([&] { return outcome && submitted; }, 5s));
    CHECK(outcome == asio::error::operation_aborted);
    CHECK(submitted == asio::error::operation_aborted);
    CHECK(a.use_count() == 1);
    CHECK_FALSE(a->open);
    w.server.resume();
    w.run_until([] { return false; }, 20ms);
}

TEST_CASE("The connection may go on when its client has ended") {
    redis_world w;
    const auto a = w.add("a:");
    REQUIRE(w.run(w.client->ready(20s)));
    const std::weak_ptr<acache::detail::redis_link> link = bare_link_of(*w.client);
    w.client.reset();
    REQUIRE(w.run_until([&] { return link.expired(); }));
    w.server.command({"SET", "a:k", "1"});
    w.run_until([] { return false; }, 20ms);
    CHECK(a->changes.empty());

    w.client.emplace(w.connection, quick);
    const auto b = w.add("a:");
    REQUIRE(w.run(w.client->ready(20s)));
    w.server.command({"SET", "a:k", "2"});
    CHECK(w.run_until([&] { return b->has_change("a:k"); }));
    CHECK(a->changes.empty());
}

TEST_CASE("The server's clock is known to within the round trip") {
    redis_world w;
    REQUIRE(w.run(w.client->ready(20s)));
    const auto& link = *acache::detail::link_of(*w.client);
    const auto now = std::chrono::steady_clock::now();
    CHECK(w.run_until([&] {
        const auto unix_time = std::chrono::duration_cast<std::chrono::microseconds>(
            std::chrono::system_clock::now().time_since_epoch());
        return abs(link.clock().server_time(std::chrono::steady_clock::now()) - unix_time) < 5ms;
    }));
    CHECK(abs(link.clock().local_time(link.clock().server_time(now)) - now) < 1ms);
    CHECK(link.clock().server_time(acache::time_point::max()) == std::chrono::microseconds::max());
    CHECK(link.clock().local_time(std::chrono::microseconds::max()) == acache::time_point::max());
    CHECK(link.clock().local_time(std::chrono::microseconds::min()) < now);
}

/// A copy of what it reads, dropped when it is told of a change: right at the end, if no news overtook a
/// reply.
class copying_member final : public recording_member {
public:
    using recording_member::recording_member;
    void changed(std::string_view key) override {
        copy.erase(std::string(key));
        ++news[std::string(key)];
    }
    std::map<std::string, std::string> copy;
    std::map<std::string, int> news;
};

TEST_CASE("A change is never told before a reply that is older, unless that is known to be under way") {
    redis_world w({.timeout = 20s, .keepalive = 10ms});
    const auto member = std::make_shared<copying_member>("a:");
    acache::detail::link_of(*w.client)->add(member);
    REQUIRE(w.run(w.client->ready(20s)));
    std::atomic<bool> stop = false; // when enough has been read
    int readers = 8, reads = 0;
    const auto read = [&](std::string key) -> asio::awaitable<void> {
        while (!stop) {
            const int before = member->news[key];
            auto reply = co_await redis_world::exec(*acache::detail::link_of(*w.client), words("GET", key));
            stop = ++reads >= 1'000;
            if (before == member->news[key]) {
                member->copy[key] = reply.nodes.at(0).value;
            }
        }
        --readers;
    };
    for (int i = 0; i != readers; ++i) {
        asio::co_spawn(w.io, read("a:" + std::to_string(i % 4)), asio::detached);
    }
    std::thread writer([&] {
        redis_hand hand(w.server.port());
        for (int i = 0; !stop; ++i) {
            hand.command({"SET", "a:" + std::to_string(i % 4), std::to_string(i)});
            if (i % 8 == 0) { // or news is all that a client under a sanitizer gets to read
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
        }
    });
    const bool ended = w.run_until([&] { return readers == 0; }, 60s);
    stop = true;
    writer.join();
    REQUIRE(ended);
    w.server.command({"SET", "a:end", "1"});
    REQUIRE(w.run_until([&] { return member->news["a:end"] == 1; }));
    for (const auto& [key, value] : member->copy) {
        CHECK(value == w.server.command({"GET", key}));
    }
}

TEST_CASE("A context may be destroyed after any handler") {
    redis_server server;
    const bool owns = GENERATE(true, false); // the client owns the connection
    int handlers = 0;
    for (bool ended = false; !ended; ++handlers) {
        int done = 0;
        std::optional<acache::redis_client> client; // outlives its context
        const auto member = std::make_shared<recording_member>("a:");
        {
            asio::io_context io{1};
            const auto connection = std::make_shared<boost::redis::connection>(io);
            asio::co_spawn(io, keep_running(connection, server.port()), asio::detached);
            if (owns) {
                client.emplace(connection, quick);
            } else {
                client.emplace(*connection, quick);
            }
            acache::detail::link_of(*client)->add(member);
            const auto use = [&]() -> asio::awaitable<void> {
                (void)co_await client->ready(10s);
                co_await redis_world::exec(*acache::detail::link_of(*client), words("SET", "k", "v"));
                co_await redis_world::exec(*acache::detail::link_of(*client), words("GET", "k"));
                ++done;
            };
            asio::co_spawn(io, use(), asio::detached);
            asio::co_spawn(io, use(), asio::detached);
            for (int i = 0; i != handlers && done != 2; ++i) {
                io.run_one_for(50ms);
            }
            ended = done == 2;
        }
        CHECK_FALSE(client->connected());
        CHECK_FALSE(member->open);
        acache::detail::link_of(*client)->submit([](auto&) { return true; }, [](auto, auto&) {});
        if (handlers % 2 == 0) {
            acache::detail::link_of(*client)->add(std::make_shared<recording_member>("b:"));
        }
    }
    CHECK(handlers > 20);
}

TEST_CASE("A client may end after any handler") {
    redis_server server;
    bool ended = false;
    for (int handlers = 0; !ended; ++handlers) {
        int done = 0;
        asio::io_context io{1};
        const auto connection = std::make_shared<boost::redis::connection>(io);
        asio::co_spawn(io, keep_running(connection, server.port()), asio::detached);
        auto client = std::make_optional<acache::redis_client>(connection, quick);
        const auto member = std::make_shared<recording_member>("a:");
        acache::detail::link_of(*client)->add(member);
        const auto use = [&](std::shared_ptr<acache::detail::redis_link> link) -> asio::awaitable<void> {
            try {
                asio::steady_timer again(co_await asio::this_coro::executor);
                while (!link->connected() && client.has_value()) {
                    again.expires_after(1ms);
                    co_await again.async_wait(asio::use_awaitable);
                }
                co_await redis_world::exec(*link, words("GET", "k"));
                ended = client.has_value();
            } catch (const boost::system::system_error& e) {
                const bool is_known =
                    e.code() == asio::error::operation_aborted || e.code() == redis_errc::unavailable;
                CHECK(is_known);
            }
            ++done;
        };
        const auto link = bare_link_of(*client);
        asio::co_spawn(io, use(link), asio::detached);
        asio::co_spawn(io, use(link), asio::detached);
        for (int i = 0; i != handlers && done != 2; ++i) {
            io.run_one_for(50ms);
        }
        client.reset();
        while (done != 2) {
            REQUIRE(io.run_one_for(1s) != 0);
        }
        REQUIRE(handlers < 1'000);
    }
}

} // namespace
