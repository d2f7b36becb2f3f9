// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Host names, resolved once however many ask:
//
//     dns_cache [host[:service]...]     names on the command line, or else on standard input
//
// A hundred coroutines look each name up at the same time; one of them makes the system resolve it, the
// others wait for that, and what comes later is answered from memory.

#include <acache/acache.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;

using host_and_service = std::pair<std::string, std::string>;
using endpoints = std::vector<tcp::endpoint>;

asio::awaitable<endpoints> resolve(std::string_view host, std::string_view service) {
    tcp::resolver resolver(co_await asio::this_coro::executor);
    const auto results = co_await resolver.async_resolve(host, service, asio::use_awaitable);
    co_return endpoints(results.begin(), results.end());
}

/// What those who looked up one name were told.
struct answers {
    endpoints found;
    std::string error;
    int resolved = 0;
    int shared = 0;
    int cached = 0;
    int failed = 0;
};

template <class Resolve>
asio::awaitable<void> look_up(const Resolve& resolve_cached, const host_and_service& name, answers& all) {
    try {
        const auto answer = co_await resolve_cached.lookup(name.first, name.second);
        using enum acache::lookup_source;
        ++(answer.source == loaded ? all.resolved : answer.source == joined ? all.shared : all.cached);
        all.found = answer.value;
    } catch (const boost::system::system_error& error) {
        ++all.failed;
        all.error = error.code().message();
    }
}

host_and_service parse(std::string_view text) {
    const auto colon = text.find(':');
    const auto service = colon == text.npos ? "443" : text.substr(colon + 1);
    return {std::string(text.substr(0, colon)), std::string(service)};
}

void print(const host_and_service& name, const answers& all) {
    std::cout << name.first << ':' << name.second << '\n';
    for (const auto& endpoint : all.found) {
        std::cout << "    " << endpoint << '\n';
    }
    if (all.failed != 0) {
        std::cout << "    " << all.failed << " look-ups failed: " << all.error << '\n';
    } else {
        std::cout << "    " << all.resolved << " resolved it, " << all.shared << " shared that, "
                  << all.cached << " found it in the cache\n";
    }
}

int main(int argc, char** argv) {
    asio::io_context context;
    // The system does not tell how long its answers may be kept, so not for long.
    acache::async_cache<host_and_service, endpoints> cache{context, {.ttl = 30s}};
    const auto resolve_cached = cache.cached(resolve); // the arguments themselves are the key

    std::vector<std::string> names(argv + 1, argv + argc);
    if (names.empty()) {
        names.assign(std::istream_iterator<std::string>(std::cin), {});
    }
    for (const auto& each : names) {
        const auto name = parse(each);
        answers all;
        for (int i = 0; i != 100; ++i) {
            asio::co_spawn(context, look_up(resolve_cached, name, all), [](std::exception_ptr error) {
                if (error) {
                    std::rethrow_exception(error);
                }
            });
        }
        context.run();
        context.restart();
        print(name, all);
    }
    std::cout << names.size() << " names, " << cache.metrics().loads << " resolutions\n";
}
