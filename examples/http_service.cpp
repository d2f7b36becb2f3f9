// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// An HTTP service on a pool of two threads whose answers come from a slow data source, behind caches:
//
//     GET /users/{id}       many requests at a time make few batch queries
//     PUT /users/{id}       renames the user, to what is in the body
//     DELETE /users/{id}
//     GET /reports/{name}   many requests for one report make it once
//     GET /metrics          for Prometheus: the caches, and how often the source was asked
//
//     http_service [port] [--redis HOST:PORT]
//
// Port 0, the default, takes a free one, and prints which. SIGINT or SIGTERM ends it: requests under way are
// answered first.
//
// Instances on one Redis share what is in their caches, and see at once when another has changed it. Here
// each has a data source of its own, in its memory, where in earnest there is one database for all. So a user
// that one has renamed has the new name at another as long as Redis has it, and its old one after a DELETE.

#include "http_service/caches.hpp"
#include "http_service/data_source.hpp"

#include <acache/acache.hpp>
#include <acache/prometheus.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <exception>
#include <iostream>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using namespace std::chrono_literals;

using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

response make_response(http::status status, std::string text, std::string_view type = "text/plain") {
    response made;
    made.result(status);
    made.set(http::field::content_type, beast::string_view(type.data(), type.size()));
    made.body() = std::move(text);
    return made;
}

response make_response(http::status status) {
    return make_response(status, std::string(http::obsolete_reason(status)) + "\n");
}

/// The number that all of `text` is.
template <class Number>
std::optional<Number> parse(std::string_view text) {
    Number number = 0;
    const char* const end = text.data() + text.size();
    return std::from_chars(text.data(), end, number) == std::from_chars_result{end, {}}
               ? std::optional(number)
               : std::nullopt;
}

/// What is answered, from the data source and the caches before it. Knows nothing of connections.
class service {
public:
    /// Both outlive the service.
    service(data_source& source, caches& cached) : source_(source), cached_(cached) {}

    asio::awaitable<response> answer(const request& asked) {
        try {
            const std::string_view path(asked.target().data(), asked.target().size());
            if (asked.method() == http::verb::get) {
                co_return co_await answer_get(path);
            }
            const bool removes = asked.method() == http::verb::delete_;
            if (removes || asked.method() == http::verb::put) {
                co_return co_await answer_change(path, removes, asked.body());
            }
            co_return make_response(http::status::method_not_allowed);
        } catch (const boost::system::system_error& error) {
            co_return make_response(status_of(error.code()));
        } catch (const std::exception& error) {
            std::cerr << asked.target() << ": " << error.what() << std::endl;
            co_return make_response(http::status::internal_server_error);
        }
    }

    asio::awaitable<void> drain() { return cached_.drain(); }

private:
    static constexpr std::string_view users = "/users/", reports = "/reports/";

    asio::awaitable<response> answer_get(std::string_view path) {
        if (path.starts_with(users)) {
            const auto id = parse<std::int64_t>(path.substr(users.size()));
            if (!id) {
                co_return make_response(http::status::bad_request);
            }
            co_return describe(co_await cached_.find_user(*id));
        }
        if (path.starts_with(reports)) {
            co_return make_response(http::status::ok,
                                    co_await cached_.find_report(path.substr(reports.size())));
        }
        if (path == "/metrics") {
            co_return make_response(http::status::ok, metrics_page(), acache::prometheus_content_type);
        }
        co_return make_response(http::status::not_found);
    }

    /// First the data source, then the caches: a load that began before the change is not kept. And what has
    /// changed is loaded again rather than stored, so that of two who write at once the caches have what the
    /// source has.
    asio::awaitable<response> answer_change(std::string_view path, bool removes, std::string name) {
        if (!path.starts_with(users)) {
            co_return make_response(http::status::method_not_allowed);
        }
        const auto id = parse<std::int64_t>(path.substr(users.size()));
        if (!id || !(removes || is_name(name))) {
            co_return make_response(http::status::bad_request);
        }
        // Not awaited at once: g++ 12 loses count of what is in a conditional that is awaited.
        auto change = removes ? source_.remove_user(*id) : source_.rename_user(*id, std::move(name));
        const bool was_there = co_await std::move(change);
        co_await cached_.forget_user(*id);
        if (!was_there || removes) {
            co_return make_response(was_there ? http::status::ok : http::status::not_found);
        }
        co_return describe(co_await cached_.find_user(*id));
    }

    /// Of what JSON does not escape.
    static bool is_name(std::string_view text) {
        return !text.empty() && text.size() <= 100 && std::ranges::all_of(text, [](char c) {
            return c >= ' ' && c <= '~' && c != '"' && c != '\\';
        });
    }

    static response describe(const user& found) {
        return make_response(http::status::ok,
                             "{\"id\":" + std::to_string(found.id) + ",\"name\":\"" + found.name + "\"}",
                             "application/json");
    }

    std::string metrics_page() const {
        std::string page;
        cached_.write_metrics(page);
        page += "# HELP source_queries_total Queries that reached the data source.\n"
                "# TYPE source_queries_total counter\n"
                "source_queries_total{of=\"users\"} " +
                std::to_string(source_.user_queries) + "\nsource_queries_total{of=\"reports\"} " +
                std::to_string(source_.report_queries) + '\n';
        return page;
    }

    static http::status status_of(error_code error) {
        if (error == acache::errc::not_found) {
            return http::status::not_found;
        }
        if (error == acache::errc::load_timeout || error == acache::errc::overloaded ||
            error == acache::errc::closed) {
            return http::status::service_unavailable;
        }
        return http::status::internal_server_error;
    }

    data_source& source_;
    caches& cached_;
};

/// Connections, each on a strand of its own; whatever is common to them happens on the strand `control_`.
class server {
public:
    /// The service outlives the work of the pool.
    server(asio::thread_pool& pool, std::uint16_t port, service& answers)
        : pool_(pool), control_(asio::make_strand(pool)), service_(answers),
          acceptor_(control_, tcp::endpoint(asio::ip::address_v4::loopback(), port)),
          signals_(control_, SIGINT, SIGTERM) {}

    void start() {
        asio::co_spawn(control_, accept(), rethrow);
        asio::co_spawn(control_, stop_on_signal(), rethrow);
    }

    [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

private:
    static void rethrow(std::exception_ptr error) {
        if (error) {
            std::rethrow_exception(error);
        }
    }

    asio::awaitable<void> accept() {
        for (;;) {
            error_code error;
            const asio::any_io_executor strand = asio::make_strand(pool_);
            tcp::socket socket =
                co_await acceptor_.async_accept(strand, asio::redirect_error(asio::use_awaitable, error));
            if (stopping_) {
                break;
            }
            if (error) { // out of file descriptors, say: better late than in a tight loop
                asio::steady_timer pause(control_, 100ms);
                co_await pause.async_wait(asio::use_awaitable);
                continue;
            }
            auto stream = std::make_shared<beast::tcp_stream>(std::move(socket));
            const auto place = connections_.insert(connections_.end(), stream);
            asio::co_spawn(strand, converse(std::move(stream)),
                           asio::bind_executor(
                               control_, [this, place](std::exception_ptr) { connections_.erase(place); }));
        }
    }

    asio::awaitable<void> converse(std::shared_ptr<beast::tcp_stream> stream) {
        beast::flat_buffer buffer;
        for (bool more = true; more;) {
            request asked;
            error_code error;
            stream->expires_after(30s);
            co_await http::async_read(*stream, buffer, asked,
                                      asio::redirect_error(asio::use_awaitable, error));
            response made;
            if (!error) {
                made = co_await service_.answer(asked);
            } else if (error != http::error::end_of_stream &&
                       error.category() == http::make_error_code(http::error::bad_method).category()) {
                made = make_response(http::status::bad_request);
            } else {
                co_return;
            }
            more = !error && asked.keep_alive() && !stopping_;
            made.version(asked.version());
            made.keep_alive(more);
            made.prepare_payload();
            stream->expires_after(30s);
            co_await http::async_write(*stream, made, asio::use_awaitable);
        }
        stream->socket().shutdown(tcp::socket::shutdown_send);
    }

    asio::awaitable<void> stop_on_signal() {
        co_await signals_.async_wait(asio::use_awaitable);
        stopping_ = true;
        acceptor_.close();
        for (const auto& connection : connections_) {
            if (auto stream = connection.lock()) {
                // Ends the wait for a next request, and lets an answer that is being made go out.
                const auto strand = stream->get_executor();
                asio::post(strand, [stream = std::move(stream)] {
                    error_code gone;
                    stream->socket().shutdown(tcp::socket::shutdown_receive, gone);
                });
            }
        }
        co_await service_.drain();
    }

    asio::thread_pool& pool_;
    asio::strand<asio::thread_pool::executor_type> control_;
    service& service_;
    tcp::acceptor acceptor_;
    asio::signal_set signals_;
    std::list<std::weak_ptr<beast::tcp_stream>> connections_; // each is its own strand's to destroy
    std::atomic<bool> stopping_ = false;
};

struct arguments {
    std::uint16_t port = 0;
    std::string redis_host; // none: without Redis
    std::string redis_port;
};

std::optional<arguments> parse_arguments(std::vector<std::string_view> given) {
    arguments parsed;
    if (const auto option = std::ranges::find(given, "--redis"); option != given.end()) {
        const std::string_view address = given.end() - option > 1 ? option[1] : "";
        const auto colon = address.rfind(':');
        if (colon == address.npos || colon == 0 || !parse<std::uint16_t>(address.substr(colon + 1))) {
            return std::nullopt;
        }
        parsed.redis_host = address.substr(0, colon);
        parsed.redis_port = address.substr(colon + 1);
        given.erase(option, option + 2);
    }
    const auto port = parse<std::uint16_t>(given.empty() ? "0" : given.front());
    parsed.port = port.value_or(0);
    return port && given.size() <= 1 ? std::optional(parsed) : std::nullopt;
}

int main(int argc, char** argv) try {
    const auto options = parse_arguments({argv + 1, argv + argc});
    if (!options) {
        std::cerr << "usage: http_service [port] [--redis HOST:PORT]\n";
        return 2;
    }
    data_source source;
    asio::thread_pool pool(2);
    const auto cached = options->redis_host.empty()
                            ? make_memory_caches(pool, source)
                            : make_redis_caches(pool, source, options->redis_host, options->redis_port);
    service answers(source, *cached);
    server http_server(pool, options->port, answers);
    http_server.start();
    std::cout << "listening on http://127.0.0.1:" << http_server.port() << std::endl;
    pool.join();
    std::cout << "stopped" << std::endl;
} catch (const std::exception& error) {
    std::cerr << "http_service: " << error.what() << std::endl;
    return 1;
}
