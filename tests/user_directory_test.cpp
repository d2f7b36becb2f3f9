// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Drives examples/user_directory with a MariaDB server of its own.

#include "child_process.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
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

/// A server without system tables, which lets everybody in, and is killed with this or with the test.
class database {
public:
    explicit database(const std::string& program)
        : server_({program, "--no-defaults", "--user=root", "--datadir=" + directory_.path,
                   "--socket=" + directory_.path + "/socket", "--log-error=" + directory_.path + "/log",
                   "--bind-address=127.0.0.1", "--port=" + std::to_string(port), "--skip-grant-tables",
                   "--innodb-use-native-aio=0", "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M"},
                  true) {
        for (const auto end = std::chrono::steady_clock::now() + 30s; !accepts(port);) {
            if (std::chrono::steady_clock::now() > end) {
                throw std::runtime_error(program + " does not listen");
            }
            std::this_thread::sleep_for(10ms);
        }
    }

    const std::uint16_t port = free_port();

private:
    temporary_directory directory_;
    acache_test::child_process server_;
};

/// The server's program; skips the test where there is none.
std::string mariadbd() {
    const char* const program = std::getenv("ACACHE_MARIADBD");
    if (program == nullptr || *program == '\0') {
        SKIP("no mariadbd: ACACHE_MARIADBD does not name one");
    }
    return program;
}

} // namespace

TEST_CASE("a hundred handlers make one SELECT, and then none") {
    const database server(mariadbd());
    for (const char* visits : {"1, 1", "2, 2"}) {
        const auto [status, output] = acache_test::run({EXAMPLE_PROGRAM, "--mysql", local(server.port)});
        CHECK(output == "100 handlers, 1 SELECT\n"
                        "100 handlers, 0 SELECT\n"
                        "user 7 has visited once more: " +
                            std::string(visits) +
                            "\n"
                            "nobody has the id 1000000\n");
        CHECK(status == 0);
    }
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
                                                      {"--other", "host:1"}}) {
        std::vector<std::string> command{EXAMPLE_PROGRAM};
        command.insert(command.end(), arguments.begin(), arguments.end());
        CHECK(acache_test::run(command).status == 2);
    }
}
