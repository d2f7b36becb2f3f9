// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// A span for each load, as a tracing library would have it: when it began, when it ended, for which key, and
// what came of it. Spans are printed as lines of JSON with the names that OpenTelemetry gives these things,
// so that an exporter is all there is to add.

#include <acache/acache.hpp>

#include <boost/asio.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

struct span {
    std::uint64_t id = 0;
    std::string key;
    bool refresh = false;
    std::chrono::system_clock::time_point start;
    std::chrono::nanoseconds took{};
    std::optional<std::string> error{};
};

std::string text_of(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "unknown";
    }
}

std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            result += '\\';
        }
        result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return result + '"';
}

std::string to_json(const span& s) {
    const auto nanoseconds = [](auto time) {
        return std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
    };
    const auto start = s.start.time_since_epoch();
    std::string json = R"({"name":"load","kind":"INTERNAL","spanId":")" + std::to_string(s.id) + '"';
    json += R"(,"startTimeUnixNano":")" + nanoseconds(start) + '"';
    json += R"(,"endTimeUnixNano":")" + nanoseconds(start + s.took) + '"';
    json += R"(,"attributes":{"cache.key":)" + quoted(s.key);
    json += R"(,"cache.refresh":)" + std::string(s.refresh ? "true" : "false") + '}';
    json += R"(,"status":{"code":)" +
            std::string(s.error ? R"("ERROR","message":)" + quoted(*s.error) : R"("OK")");
    return json + "}}";
}

/// The observer. It is moved into the cache, so what it shares with the program is behind a pointer.
class load_spans {
public:
    // Loads begin and end on any thread, so the open spans have a mutex. Nothing of the cache is locked here.
    void on(const acache::events::load_started<std::string>& e) {
        const std::lock_guard lock{open_->mutex};
        open_->spans[e.id] = {.id = static_cast<std::uint64_t>(e.id),
                              .key = e.key,
                              .refresh = e.refresh,
                              .start = std::chrono::system_clock::now()};
    }

    void on(const acache::events::load_ended<std::string>& e) {
        const std::lock_guard lock{open_->mutex};
        auto ended = open_->spans.extract(e.id);
        if (ended.empty()) {
            return;
        }
        span& s = ended.mapped();
        s.took = e.took;
        if (e.failure) {
            s.error = text_of(e.failure);
        }
        std::cout << to_json(s) << '\n';
    }

private:
    struct open_spans {
        std::mutex mutex;
        std::map<acache::events::load_id, span> spans;
    };
    std::unique_ptr<open_spans> open_ = std::make_unique<open_spans>();
};

asio::awaitable<std::string> find_name(std::int64_t id) {
    asio::steady_timer timer(co_await asio::this_coro::executor, 20ms * id);
    co_await timer.async_wait(asio::use_awaitable);
    if (id == 3) {
        throw std::runtime_error("no user \"3\"");
    }
    co_return "user " + std::to_string(id);
}

} // namespace

int main() {
    asio::io_context context;
    using memory = acache::memory_backend<std::string, std::string>;
    acache::async_cache<std::string, std::string, memory, load_spans> cache{
        context, {.ttl = 200ms, .load_timeout = 100ms, .stale_while_revalidate = 60s}};
    auto get_name = cache.cached("user:{}", find_name);

    const auto greet = [&](std::int64_t id) -> asio::awaitable<void> {
        try {
            co_await get_name(id);
        } catch (const std::exception&) {
            co_return; // its span tells
        }
    };
    for (const std::int64_t id : {1, 2, 1, 3, 9}) { // two callers of 1 share a span; 9 takes too long
        asio::co_spawn(context, greet(id), asio::detached);
    }
    context.run();

    const auto later = [&]() -> asio::awaitable<void> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 300ms);
        co_await timer.async_wait(asio::use_awaitable);
        co_await get_name(1); // stale: answered at once, and renewed in the background
    };
    context.restart();
    asio::co_spawn(context, later(), asio::detached);
    context.run();
}
