// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Drives examples/user_directory with servers of its own.

#include "child_process.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include <stdlib.h> // mkdtemp
#include <unistd.h>

namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using asio::ip::tcp;
using namespace std::chrono_literals;

std::string local(std::uint16_t port) {
    return "127.0.0.1:" + std::to_string(port);
}

bool accepts(std::uint16_t port) {
    asio::io_context context;
    tcp::socket socket(context);
    boost::system::error_code error;
    socket.connect({asio::ip::address_v4::loopback(), port}, error);
    return !error;
}

/// One that nobody listens at now.
std::uint16_t free_port() {
    asio::io_context context;
    return tcp::acceptor(context, {asio::ip::address_v4::loopback(), 0}).local_endpoint().port();
}

/// A directory that goes with this.
struct temporary_directory {
    temporary_directory() {
        if (::mkdtemp(path.data()) == nullptr) {
            throw std::system_error(errno, std::generic_category());
        }
    }
    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;
    ~temporary_directory() { fs::remove_all(path); }

    std::string path = (fs::temp_directory_path() / "acache-XXXXXX").string();
};

/// The program that the environment names; skips the test where it names none.
std::string program_of(const char* variable) {
    const char* const program = std::getenv(variable);
    if (program == nullptr || *program == '\0') {
        SKIP("no server to test with: " << variable << " names none");
    }
    return program;
}

/// A server on a port of its own, which is killed with this or with the test.
class server {
public:
    [[nodiscard]] std::string address() const { return local(port_); }

protected:
    server() = default;

    void start(std::vector<std::string> command) {
        process_.emplace(command, true);
        for (const auto end = std::chrono::steady_clock::now() + 30s; !accepts(port_);) {
            if (std::chrono::steady_clock::now() > end) {
                throw std::runtime_error(command.front() + " does not listen");
            }
            std::this_thread::sleep_for(10ms);
        }
    }

    const std::uint16_t port_ = free_port();
    temporary_directory directory_;

private:
    std::optional<acache_test::child_process> process_;
};

/// MariaDB without system tables, which lets everybody in.
struct database : server {
    database() {
        start({program_of("ACACHE_MARIADBD"), "--no-defaults", "--user=root", "--datadir=" + directory_.path,
               "--socket=" + directory_.path + "/socket", "--log-error=" + directory_.path + "/log",
               "--bind-address=127.0.0.1", "--port=" + std::to_string(port_), "--skip-grant-tables",
               "--innodb-use-native-aio=0", "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M"});
    }
};

struct redis : server {
    redis() {
        start({program_of("ACACHE_REDIS_SERVER"), "--bind", "127.0.0.1", "--port", std::to_string(port_),
               "--dir", directory_.path, "--logfile", directory_.path + "/log", "--save", ""});
    }
};

/// What the program prints.
std::string expected(int selects, int visits) {
    return "100 handlers, " + std::to_string(selects) +
           " SELECT\n"
           "100 handlers, 0 SELECT\n"
           "user 7 has visited once more: " +
           std::to_string(visits) + ", " + std::to_string(visits) + "\nnobody has the id 1000000\n";
}

} // namespace

TEST_CASE("a hundred handlers make one SELECT, and then none") {
    const database mariadb;
    for (const int visits : {1, 2}) {
        const auto [status, output] = acache_test::run({EXAMPLE_PROGRAM, "--mysql", mariadb.address()});
        CHECK(output == expected(1, visits));
        CHECK(status == 0);
    }
}

TEST_CASE("with Redis a second process finds what the first has loaded") {
    const database mariadb;
    const redis shared;
    for (const int run : {1, 2, 3}) {
        const auto [status, output] =
            acache_test::run({EXAMPLE_PROGRAM, "--mysql", mariadb.address(), "--redis", shared.address()});
        CHECK(output == expected(run == 1 ? 1 : 0, run));
        CHECK(status == 0);
    }
}

TEST_CASE("a Redis that is not there costs a moment, and nothing else") {
    const database mariadb;
    const auto [status, output] =
        acache_test::run({EXAMPLE_PROGRAM, "--mysql", mariadb.address(), "--redis", local(free_port())});
    CHECK(output == "Redis is not there\n" + expected(1, 1));
    CHECK(status == 0);
}

TEST_CASE("a database that is not there is an error, and soon") {
    const auto [status, output] = acache_test::run({EXAMPLE_PROGRAM, "--mysql", local(free_port())});
    CHECK(status == 1);
    CHECK(output.empty());
}

TEST_CASE("what is no address is refused") {
    for (const std::vector<std::string>& arguments : {std::vector<std::string>{},
                                                      {"--mysql"},
                                                      {"--mysql", "host"},
                                                      {"--mysql", "host:"},
                                                      {"--mysql", ":1"},
                                                      {"--mysql", "host:99999"},
                                                      {"--mysql", "host:1x"},
                                                      {"--other", "host:1"},
                                                      {"--redis", "host:1"},
                                                      {"--mysql", "host:1", "--redis"},
                                                      {"--mysql", "host:1", "--redis", "host"},
                                                      {"--mysql", "host:1", "--other", "host:1"}}) {
        std::vector<std::string> command{EXAMPLE_PROGRAM};
        command.insert(command.end(), arguments.begin(), arguments.end());
        CHECK(acache_test::run(command).status == 2);
    }
}
