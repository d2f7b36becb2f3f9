// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// One process of several that share a cache in Redis; tests/redis_processes_test.cpp starts and watches them.
//
//     redis_worker PORT DATABASE herd CALLERS LOAD_MS   prints "ready", waits for a line, asks for one cold
//     key by so
//                                                       many callers at once; prints "loading" for each load,
//                                                       and at the end how many got the value
//     redis_worker PORT DATABASE chaos SEED OPERATIONS  reads and writes at random, and says what it saw and
//     when
//
// DATABASE is a file that all of them map: the versions of the keys, which is what they cache.

#include "redis_setup.hpp"

#include <acache/acache.hpp>
#include <acache/redis.hpp>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

using namespace acache_test;

constexpr std::size_t key_count = 16;

/// What the processes cache: the versions of keys.
class database {
public:
    explicit database(const char* file) {
        const int fd = ::open(file, O_RDWR);
        void* const at = fd < 0 ? MAP_FAILED
                                : ::mmap(nullptr, key_count * sizeof(std::atomic<std::uint64_t>),
                                         PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED) {
            throw std::runtime_error("cannot map the database");
        }
        ::close(fd);
        versions_ = static_cast<std::atomic<std::uint64_t>*>(at);
    }

    [[nodiscard]] std::atomic<std::uint64_t>& operator[](std::size_t key) const { return versions_[key]; }

private:
    std::atomic<std::uint64_t>* versions_;
};

/// On a clock that all processes share.
std::int64_t microseconds_now() {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

using levels = acache::tiered_backend<acache::memory_backend<std::string, std::uint64_t>,
                                      acache::redis_backend<std::string, std::uint64_t>>;
using cache_type = acache::async_cache<std::string, std::uint64_t, levels>;

class worker {
public:
    worker(asio::io_context& context, std::uint16_t port, const database& data)
        : context_(context), data_(data),
          redis_(context, port, {.timeout = 200ms, .keepalive = 100ms, .failures_to_open = 3}),
          cache_(context,
                 levels(acache::memory_backend<std::string, std::uint64_t>(),
                        acache::redis_backend<std::string, std::uint64_t>(
                            redis_.client(), {.prefix = "versions", .lease = 1s}),
                        {.max_stale_on_partition = 200ms}),
                 {.ttl = 60s}) {}

    asio::awaitable<void> herd(int callers, std::chrono::milliseconds load_time) {
        if (!co_await redis_.client().ready(20s)) {
            throw std::runtime_error("the server is not there");
        }
        std::cout << "ready" << std::endl;
        asio::posix::stream_descriptor in(context_, ::dup(STDIN_FILENO));
        asio::streambuf line;
        co_await asio::async_read_until(in, line, '\n', asio::use_awaitable);
        const auto load = [this, load_time](const std::string&) -> asio::awaitable<std::uint64_t> {
            std::cout << "loading" << std::endl;
            co_await pause_for(load_time);
            co_return data_[0].load();
        };
        int left = callers, served = 0;
        const auto ask = [&]() -> asio::awaitable<void> {
            const std::string key = "0";
            const auto value = co_await cache_.get_or_load(key, load);
            served += value == data_[0].load() ? 1 : 0;
            --left;
        };
        for (int i = 0; i != callers; ++i) {
            asio::co_spawn(context_, ask, asio::detached);
        }
        while (left != 0) {
            co_await pause_for(1ms);
        }
        std::cout << "served " << served << std::endl;
    }

    asio::awaitable<void> chaos(unsigned seed, int operations) {
        std::mt19937 random(seed);
        const auto dice = [&](unsigned sides) { return static_cast<unsigned>(random() % sides); };
        const auto load = [this, &dice](const std::string& key) -> asio::awaitable<std::uint64_t> {
            const auto version = data_[std::stoul(key)].load();
            co_await pause_for(std::chrono::milliseconds(dice(4))); // it is on its way while others write
            co_return version;
        };
        if (!co_await redis_.client().ready(20s)) {
            throw std::runtime_error("the server is not there");
        }
        for (int i = 0; i != operations; ++i) {
            const std::size_t which = dice(key_count);
            const std::string key = std::to_string(which);
            if (dice(6) == 0) {
                const auto version = ++data_[which];
                (void)co_await cache_.invalidate(key);
                std::cout << "W " << which << ' ' << version << ' ' << microseconds_now() << '\n';
            } else {
                const auto begun = microseconds_now();
                const auto version = co_await cache_.get_or_load(key, load);
                std::cout << "R " << which << ' ' << version << ' ' << begun << '\n';
            }
            co_await pause_for(std::chrono::milliseconds(dice(12)));
        }
        // What could not be removed yet would die with the process.
        (void)co_await comes_true([this] { return redis_.metrics().queued_removals == 0; });
        const auto m = cache_.metrics();
        std::cout << "hits " << m.hits << " loads " << m.loads << " losses " << redis_.metrics().losses
                  << std::endl;
    }

private:
    asio::io_context& context_;
    const database& data_;
    redis_process redis_;
    cache_type cache_;
};

} // namespace

int main(int argc, char** argv) try {
    if (argc != 6) {
        throw std::runtime_error("usage: redis_worker PORT DATABASE herd|chaos NUMBER NUMBER");
    }
    const std::string_view mode = argv[3];
    asio::io_context context;
    const database data(argv[2]);
    worker w(context, static_cast<std::uint16_t>(std::atoi(argv[1])), data);
    const int first = std::atoi(argv[4]), second = std::atoi(argv[5]);
    asio::co_spawn(context,
                   mode == "herd" ? w.herd(first, std::chrono::milliseconds(second))
                                  : w.chaos(static_cast<unsigned>(first), second),
                   [&](std::exception_ptr e) {
                       context.stop();
                       if (e) {
                           std::rethrow_exception(e);
                       }
                   });
    context.run();
} catch (const std::exception& error) {
    std::cout << "failed: " << error.what() << std::endl;
    return 1;
}
