// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// An HTTP service on a pool of two threads whose answers come from a slow data source, behind caches:
//
//     GET /users/{id}       many requests at a time make few batch queries
//     GET /reports/{name}   many requests for one report make it once
//     GET /metrics          for Prometheus: the caches, and how often the source was asked
//
//     http_service [port]   0, the default, takes a free port, and prints which. SIGINT or SIGTERM ends it:
//                           requests under way are answered first.

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

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <exception>
#include <functional>
#include <iostream>
#include <list>
#include <memory>
#include <optional>
#include <stdexcept>
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

struct user {
    std::int64_t id;
    std::string name;
};

/// Where the data lives: a database, another service. Every query takes its time, and is counted.
class data_source {
public:
    /// An empty element for an id that nobody has.
    asio::awaitable<std::vector<std::optional<user>>> find_users(std::vector<std::int64_t> ids) {
        ++user_queries;
        co_await latency(50ms);
        std::vector<std::optional<user>> found;
        for (const auto id : ids) {
            found.push_back(id >= 1 && id <= 1000 ? std::optional(user{id, "user " + std::to_string(id)})
                                                  : std::nullopt);
        }
        co_return found;
    }

    asio::awaitable<std::string> make_report(std::string_view name) {
        ++report_queries;
        co_await latency(name == "endless" ? 1h : 200ms);
        if (name.empty()) {
            throw boost::system::system_error(acache::errc::not_found);
        }
        if (name == "broken") {
            throw std::runtime_error("the report cannot be made");
        }
        co_return "The report on " + std::string(name) + "\n";
    }

    std::atomic<std::uint64_t> user_queries = 0;
    std::atomic<std::uint64_t> report_queries = 0;

private:
    static asio::awaitable<void> latency(std::chrono::milliseconds time) {
        asio::steady_timer timer(co_await asio::this_coro::executor, time);
        co_await timer.async_wait(asio::use_awaitable);
    }
};

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

/// The caches and what is answered from them. Knows nothing of connections.
class service {
public:
    explicit service(asio::any_io_executor pool)
        : user_cache_(pool, {.capacity = 100'000, .ttl = 60s, .name = "users", .load_timeout = 1s}),
          // On a pool there is no tick in which all requests have come: a window gathers them.
          users_(user_cache_,
                 [this](std::vector<std::int64_t> ids) { return source_.find_users(std::move(ids)); },
                 {.max_batch_size = 1000, .batch_window = 5ms}),
          report_cache_(pool, {.capacity = 1000, .ttl = 10s, .name = "reports", .load_timeout = 1s}),
          report_(report_cache_.cached("report:{}",
                                       [this](std::string_view name) { return source_.make_report(name); })) {
    }

    asio::awaitable<response> answer(const request& asked) {
        if (asked.method() != http::verb::get) {
            co_return make_response(http::status::method_not_allowed);
        }
        try {
            co_return co_await answer_get({asked.target().data(), asked.target().size()});
        } catch (const boost::system::system_error& error) {
            co_return make_response(status_of(error.code()));
        } catch (const std::exception& error) {
            std::cerr << asked.target() << ": " << error.what() << std::endl;
            co_return make_response(http::status::internal_server_error);
        }
    }

    /// Lets the loads under way finish, and refuses new ones.
    asio::awaitable<void> drain() {
        co_await users_.drain();
        co_await user_cache_.drain();
        co_await report_cache_.drain();
    }

private:
    asio::awaitable<response> answer_get(std::string_view path) {
        constexpr std::string_view users = "/users/", reports = "/reports/";
        if (path.starts_with(users)) {
            const auto id = parse_id(path.substr(users.size()));
            if (!id) {
                co_return make_response(http::status::bad_request);
            }
            const user found = co_await users_.load(*id);
            co_return make_response(
                http::status::ok, "{\"id\":" + std::to_string(found.id) + ",\"name\":\"" + found.name + "\"}",
                "application/json");
        }
        if (path.starts_with(reports)) {
            co_return make_response(http::status::ok, co_await report_(path.substr(reports.size())));
        }
        if (path == "/metrics") {
            co_return make_response(http::status::ok, metrics_page(), acache::prometheus_content_type);
        }
        co_return make_response(http::status::not_found);
    }

    std::string metrics_page() const {
        const std::array caches{acache::named_metrics{user_cache_.name(), user_cache_.metrics()},
                                acache::named_metrics{report_cache_.name(), report_cache_.metrics()}};
        std::string page;
        acache::write_prometheus(page, caches);
        page += "# HELP source_queries_total Queries that reached the data source.\n"
                "# TYPE source_queries_total counter\n"
                "source_queries_total{of=\"users\"} " +
                std::to_string(source_.user_queries) + "\nsource_queries_total{of=\"reports\"} " +
                std::to_string(source_.report_queries) + '\n';
        return page;
    }

    static std::optional<std::int64_t> parse_id(std::string_view text) {
        std::int64_t id = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
        return error == std::errc() && end == text.data() + text.size() ? std::optional(id) : std::nullopt;
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

    data_source source_;
    acache::async_cache<std::int64_t, user> user_cache_;
    acache::DataLoader<std::int64_t, user> users_;
    acache::async_cache<std::string, std::string> report_cache_;
    std::function<asio::awaitable<std::string>(std::string_view)> report_;
};

/// Connections, each on a strand of its own; whatever is common to them happens on the strand `control_`.
class server {
public:
    server(asio::thread_pool& pool, std::uint16_t port)
        : pool_(pool), control_(asio::make_strand(pool)), service_(pool.get_executor()),
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
    service service_;
    tcp::acceptor acceptor_;
    asio::signal_set signals_;
    std::list<std::weak_ptr<beast::tcp_stream>> connections_; // each is its own strand's to destroy
    std::atomic<bool> stopping_ = false;
};

int main(int argc, char** argv) try {
    const std::string_view text = argc > 1 ? argv[1] : "0";
    std::uint16_t port = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), port).ec != std::errc()) {
        std::cerr << "usage: http_service [port]\n";
        return 2;
    }
    asio::thread_pool pool(2);
    server http_server(pool, port);
    http_server.start();
    std::cout << "listening on http://127.0.0.1:" << http_server.port() << std::endl;
    pool.join();
    std::cout << "stopped" << std::endl;
} catch (const std::exception& error) {
    std::cerr << "http_service: " << error.what() << std::endl;
    return 1;
}
