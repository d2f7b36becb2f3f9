// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_REDIS_SERVER_HPP
#define ACACHE_TESTS_REDIS_SERVER_HPP

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

namespace acache_test {

/// Waits until `condition()` is true, for some seconds at most; whether it became so.
template <class Condition>
bool eventually(Condition condition, std::chrono::milliseconds at_most = std::chrono::seconds(20)) {
    const auto deadline = std::chrono::steady_clock::now() + at_most;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

inline void check_call(long result, const char* what) {
    if (result < 0) {
        throw std::system_error(errno, std::generic_category(), what);
    }
}

/// A loopback TCP socket.
class tcp_socket {
public:
    tcp_socket() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) { check_call(fd_, "socket"); }
    tcp_socket(const tcp_socket&) = delete;
    tcp_socket& operator=(const tcp_socket&) = delete;
    ~tcp_socket() { ::close(fd_); }

    [[nodiscard]] int fd() const noexcept { return fd_; }
    [[nodiscard]] bool connect(std::uint16_t port) const {
        const sockaddr_in to = address(port);
        return ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    }
    /// A port that was free just now.
    [[nodiscard]] std::uint16_t bind_any() const {
        sockaddr_in at = address(0);
        socklen_t size = sizeof at;
        check_call(::bind(fd_, reinterpret_cast<const sockaddr*>(&at), size), "bind");
        check_call(::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size), "getsockname");
        return ntohs(at.sin_port);
    }

private:
    static sockaddr_in address(std::uint16_t port) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(port);
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return at;
    }

    int fd_;
};

/// A blocking client, as if one typed commands into redis-cli.
class redis_hand {
public:
    explicit redis_hand(std::uint16_t port) {
        const timeval patience{10, 0};
        ::setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        const int on = 1;
        ::setsockopt(socket_.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connected_ = socket_.connect(port);
    }

    [[nodiscard]] bool connected() const noexcept { return connected_; }

    /// Sends one command. The reply as text: a string as it is, "(nil)", a number, "-ERR ..." for an error,
    /// and the elements of an array with a line end behind each.
    std::string command(const std::vector<std::string>& words) {
        send(words);
        return read_reply();
    }
    /// The same in two steps.
    void send(const std::vector<std::string>& words) const {
        std::string text = "*" + std::to_string(words.size()) + "\r\n";
        for (const auto& word : words) {
            text += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
        }
        for (std::string_view rest = text; !rest.empty();) {
            const auto sent = ::send(socket_.fd(), rest.data(), rest.size(), MSG_NOSIGNAL);
            check_call(sent, "send");
            rest.remove_prefix(static_cast<std::size_t>(sent));
        }
    }
    std::string read_reply() {
        const std::string line = read_line();
        const auto size = [&] { return std::stoll(line.substr(1)); };
        switch (line.at(0)) {
        case '+':
        case ':':
            return line.substr(1);
        case '$': {
            if (size() < 0) {
                return "(nil)";
            }
            std::string text = read(static_cast<std::size_t>(size()));
            read(2);
            return text;
        }
        case '*': {
            std::string text;
            for (auto left = size(); left > 0; --left) {
                text += read_reply() + "\n";
            }
            return text;
        }
        default:
            return line;
        }
    }

private:
    std::string read_line() {
        for (;;) {
            if (const auto end = buffer_.find("\r\n"); end != std::string::npos) {
                const std::string line = buffer_.substr(0, end);
                buffer_.erase(0, end + 2);
                return line;
            }
            read_more();
        }
    }
    std::string read(std::size_t size) {
        while (buffer_.size() < size) {
            read_more();
        }
        std::string text = buffer_.substr(0, size);
        buffer_.erase(0, size);
        return text;
    }
    void read_more() {
        std::array<char, 65536> part;
        const auto got = ::recv(socket_.fd(), part.data(), part.size(), 0);
        check_call(got, "recv");
        if (got == 0) {
            throw std::runtime_error("the server has closed the connection");
        }
        buffer_.append(part.data(), static_cast<std::size_t>(got));
    }

    tcp_socket socket_;
    bool connected_ = false;
    std::string buffer_;
};

/// A server of its own on a loopback port of its own, empty, without persistence, in a temporary folder. It
/// ends with this object, and with the process whatever becomes of that.
class redis_server {
public:
    /// Names the variable that holds the program: ACACHE_REDIS_SERVER, or redis-server of the PATH;
    /// ACACHE_VALKEY_SERVER, or valkey-server. The test is skipped where there is none.
    explicit redis_server(const char* variable = "ACACHE_REDIS_SERVER") : program_(find(variable)) {
        if (program_.empty()) {
            SKIP("no server: install redis-server, or name it in " << variable);
        }
        auto name = (std::filesystem::temp_directory_path() / "acache-redis-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) {
            check_call(-1, "mkdtemp");
        }
        folder_ = name;
        // Somebody else may have taken the port meanwhile.
        for (int i = 0; i != 5 && id_ < 0; ++i) {
            port_ = tcp_socket().bind_any();
            start();
        }
        if (id_ < 0) {
            throw std::runtime_error("the server does not start; see " + log().string());
        }
    }
    redis_server(const redis_server&) = delete;
    redis_server& operator=(const redis_server&) = delete;
    ~redis_server() {
        kill();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] std::filesystem::path log() const { return folder_ / "log"; }

    /// SIGKILL, also of one that is paused. Returns when it is gone.
    void kill() {
        if (id_ > 0) {
            ::kill(id_, SIGKILL);
            ::waitpid(std::exchange(id_, -1), nullptr, 0);
        }
    }
    /// It keeps its connections and answers nothing.
    void pause() const { ::kill(id_, SIGSTOP); }
    void resume() const { ::kill(id_, SIGCONT); }
    /// Kills it, and starts it on the same port, empty.
    void restart() {
        kill();
        start();
        if (id_ < 0) {
            throw std::runtime_error("the server does not start again; see " + log().string());
        }
    }

    /// Runs one command over a connection of its own.
    std::string command(const std::vector<std::string>& words) const {
        redis_hand hand(port_);
        return hand.command(words);
    }

    /// Breaks all connections but the one that does it.
    void kill_clients() const { command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}); }

private:
    static std::string find(const char* variable) {
        if (const char* named = std::getenv(variable); named != nullptr && *named != 0) {
            return named;
        }
        const std::string name =
            std::string_view(variable) == "ACACHE_REDIS_SERVER" ? "redis-server" : "valkey-server";
        const char* const path = std::getenv("PATH");
        std::string_view rest = path == nullptr ? "" : path;
        while (!rest.empty()) {
            const auto end = std::min(rest.find(':'), rest.size());
            const auto file = std::filesystem::path(rest.substr(0, end)) / name;
            if (::access(file.c_str(), X_OK) == 0) {
                return file.string();
            }
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
        return "";
    }

    /// Leaves id_ below 0 where it does not answer.
    void start() {
        std::vector<std::string> words{program_, "--port", std::to_string(port_), "--bind",    "127.0.0.1",
                                       "--save", "",       "--appendonly",        "no",        "--daemonize",
                                       "no",     "--dir",  folder_.string(),      "--logfile", log().string(),
                                       "--hz",   "100"};
        std::vector<char*> arguments;
        for (auto& word : words) {
            arguments.push_back(word.data());
        }
        arguments.push_back(nullptr);
        const auto parent = ::getpid();
        check_call(id_ = ::fork(), "fork");
        if (id_ == 0) {
#ifdef __linux__
            // Tied to the thread that starts it, which is to live as long as the server.
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
            const int nothing = ::open("/dev/null", O_RDWR);
            for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
                ::dup2(nothing, fd);
            }
            for (int fd = STDERR_FILENO + 1; fd != 1024; ++fd) {
                ::close(fd); // or it would keep the test's connections
            }
            if (::getppid() == parent) {
                ::execv(arguments[0], arguments.data());
            }
            ::_exit(127);
        }
        const bool up = eventually([this] { return gone() || answers(); });
        if (!up || id_ < 0) {
            kill();
        }
    }

    [[nodiscard]] bool gone() {
        if (::waitpid(id_, nullptr, WNOHANG) == 0) {
            return false;
        }
        id_ = -1;
        return true;
    }
    [[nodiscard]] bool answers() const {
        redis_hand hand(port_);
        try {
            return hand.connected() &&
                   hand.command({"INFO", "server"}).find("process_id:" + std::to_string(id_)) !=
                       std::string::npos;
        } catch (const std::exception&) {
            return false;
        }
    }

    std::string program_;
    std::filesystem::path folder_;
    std::uint16_t port_ = 0;
    ::pid_t id_ = -1;
};

} // namespace acache_test

#endif
