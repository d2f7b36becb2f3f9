// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Replays a trace of keys through a cached function, and checks what it gets.

#include <acache/acache.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace asio = boost::asio;

constexpr std::string_view usage = R"(usage: replay [options] < TRACE

Reads keys from standard input, one a line, and asks for them in that order.

  --capacity N        entries the cache keeps, or N% of the distinct keys of the trace (10%)
  --concurrency N     coroutines that ask at the same time (64)
  --threads N         threads of the pool that they run on (2)
  --load-time N       how long a load takes, in microseconds (0)
  --help              this text

The miss ratio is that of loads to requests: a request that joins a load does not cost one. The exit status
is 1 if a value was wrong, a key was being loaded twice at once, or the counters do not add up.
)";

struct options {
    std::size_t capacity = 10;
    bool capacity_is_percent = true;
    std::size_t concurrency = 64;
    std::size_t threads = 2;
    std::size_t load_time = 0;
    bool help = false;
};

std::size_t parse_number(std::string_view name, std::string_view text, std::size_t least) {
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < least) {
        throw std::invalid_argument(std::string(name) + ": not a number in range: " + std::string(text));
    }
    return number;
}

options parse_options(std::span<char*> arguments) {
    options result;
    for (std::size_t i = 0; i != arguments.size(); ++i) {
        const std::string_view name = arguments[i];
        if (name == "--help") {
            result.help = true;
            continue;
        }
        constexpr std::array<std::string_view, 4> known{"--capacity", "--concurrency", "--threads",
                                                        "--load-time"};
        if (std::ranges::find(known, name) == known.end() || i + 1 == arguments.size()) {
            throw std::invalid_argument("unknown, or without its value: " + std::string(name));
        }
        std::string_view value = arguments[++i];
        if (name == "--capacity") {
            result.capacity_is_percent = value.ends_with('%');
            value.remove_suffix(result.capacity_is_percent ? 1 : 0);
            result.capacity = parse_number(name, value, 0);
        } else if (name == "--concurrency") {
            result.concurrency = parse_number(name, value, 1);
        } else if (name == "--threads") {
            result.threads = parse_number(name, value, 1);
        } else {
            result.load_time = parse_number(name, value, 0);
        }
    }
    return result;
}

/// The keys, and for each whether it is being loaded.
struct trace {
    std::unordered_map<std::string, std::atomic<bool>> loading;
    std::vector<const std::string*> requests;
};

void read_trace(std::istream& in, trace& into) {
    for (std::string line; std::getline(in, line);) {
        if (!line.empty()) {
            into.requests.push_back(&into.loading.try_emplace(line).first->first);
        }
    }
}

std::string value_of(std::string_view key) {
    return "value of " + std::string(key);
}

class replay {
public:
    replay(trace& t, const options& o)
        : trace_(t), capacity_(o.capacity_is_percent ? t.loading.size() * o.capacity / 100 : o.capacity),
          load_time_(o.load_time), pool_(o.threads), cache_(pool_, {.capacity = capacity_}) {}

    void run(std::size_t concurrency) {
        const auto fetch = cache_.cached("{}", [this](std::string_view key) { return load(key); });
        const auto start = std::chrono::steady_clock::now();
        for (std::size_t i = 0; i != concurrency; ++i) {
            asio::co_spawn(pool_, request(fetch), [](std::exception_ptr error) {
                if (error) {
                    std::rethrow_exception(error);
                }
            });
        }
        pool_.join();
        time_ = std::chrono::steady_clock::now() - start;
    }

    void print() const {
        const auto m = cache_.metrics();
        const auto row = [](const char* what, std::uint64_t n) {
            std::printf("%-14s%12llu\n", what, static_cast<unsigned long long>(n));
        };
        row("requests", trace_.requests.size());
        row("distinct keys", trace_.loading.size());
        row("capacity", capacity_);
        row("hits", m.hits);
        row("coalesced", m.coalesced);
        row("loads", loads_);
        std::printf("%-14s%12.4f\n", "miss ratio",
                    static_cast<double>(loads_) /
                        static_cast<double>(std::max<std::size_t>(trace_.requests.size(), 1)));
        std::printf("%-14s%10.3f s\n", "time", time_.count());
    }

    /// What went wrong; empty if nothing did.
    [[nodiscard]] std::string faults() const {
        const auto m = cache_.metrics();
        std::string found;
        const auto check = [&](bool right, const char* fault) {
            found += right ? "" : std::string("FAILED: ") + fault + '\n';
        };
        check(wrong_values_ == 0, "a value was not that of its key");
        check(double_loads_ == 0, "a key was being loaded twice at once");
        check(m.loads == loads_, "the cache counted other loads than there were");
        check(m.hits + m.misses + m.coalesced == trace_.requests.size(), "a request was not counted once");
        check(m.size <= capacity_, "more entries than the capacity");
        check(capacity_ < trace_.loading.size() || loads_ == trace_.loading.size(),
              "there was room for all keys, and yet not each was loaded once");
        return found;
    }

private:
    asio::awaitable<std::string> load(std::string_view key) {
        auto& loading = trace_.loading.find(std::string(key))->second;
        double_loads_ += loading.exchange(true) ? 1 : 0;
        ++loads_;
        if (load_time_.count() != 0) {
            asio::steady_timer timer(co_await asio::this_coro::executor, load_time_);
            co_await timer.async_wait(asio::use_awaitable);
        }
        loading = false;
        co_return value_of(key);
    }

    template <class Fetch>
    asio::awaitable<void> request(const Fetch& fetch) {
        for (std::size_t i = 0; (i = next_++) < trace_.requests.size();) {
            const std::string& key = *trace_.requests[i];
            const std::string value = co_await fetch(key);
            wrong_values_ += value == value_of(key) ? 0 : 1;
        }
    }

    trace& trace_;
    const std::size_t capacity_;
    const std::chrono::microseconds load_time_;
    asio::thread_pool pool_;
    acache::async_cache<std::string, std::string> cache_;
    std::atomic<std::size_t> next_ = 0;
    std::atomic<std::uint64_t> loads_ = 0;
    std::atomic<std::uint64_t> double_loads_ = 0;
    std::atomic<std::uint64_t> wrong_values_ = 0;
    std::chrono::duration<double> time_{};
};

int main(int argc, char** argv) try {
    const options chosen = parse_options(std::span(argv, static_cast<std::size_t>(argc)).subspan(1));
    if (chosen.help) {
        std::cout << usage;
        return 0;
    }
    std::ios::sync_with_stdio(false);
    trace keys;
    read_trace(std::cin, keys);

    replay replayed(keys, chosen);
    replayed.run(chosen.concurrency);
    replayed.print();
    const std::string faults = replayed.faults();
    std::cerr << faults;
    return faults.empty() ? 0 : 1;
} catch (const std::exception& error) {
    std::cerr << "replay: " << error.what() << '\n';
    return 2;
}
