// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_BENCHMARKS_COMMON_REDIS_SERVER_HPP
#define ACACHE_BENCHMARKS_COMMON_REDIS_SERVER_HPP

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <system_error>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

namespace benchmarks {

/// A server of its own on a loopback port, empty and without persistence: the program that
/// ACACHE_REDIS_SERVER names, or redis-server of the PATH. It ends with this object, and with the process
/// whatever becomes of that. Whether it works shows when one connects.
class redis_server {
public:
    redis_server() : port_(free_port()) {
        const char* const named = std::getenv("ACACHE_REDIS_SERVER");
        std::string program = named != nullptr && *named != 0 ? named : "redis-server";
        std::array<std::string, 12> words{program,  "--port",       std::to_string(port_),
                                          "--bind", "127.0.0.1",    "--save",
                                          "",       "--appendonly", "no",
                                          "--dir",  "/tmp",         "--daemonize"};
        std::string no = "no";
        std::array<char*, words.size() + 2> arguments{};
        for (std::size_t i = 0; i != words.size(); ++i) {
            arguments[i] = words[i].data();
        }
        arguments[words.size()] = no.data();
        id_ = check(::fork(), "fork");
        if (id_ == 0) {
#ifdef __linux__
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
            const int nothing = ::open("/dev/null", O_RDWR);
            for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
                ::dup2(nothing, fd);
            }
            ::execvp(arguments[0], arguments.data());
            ::_exit(127);
        }
    }
    redis_server(const redis_server&) = delete;
    redis_server& operator=(const redis_server&) = delete;
    ~redis_server() {
        ::kill(id_, SIGKILL);
        ::waitpid(id_, nullptr, 0);
    }

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

private:
    static int check(int result, const char* what) {
        if (result < 0) {
            throw std::system_error(errno, std::generic_category(), what);
        }
        return result;
    }
    static std::uint16_t free_port() {
        const int fd = check(::socket(AF_INET, SOCK_STREAM, 0), "socket");
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        check(::bind(fd, reinterpret_cast<const sockaddr*>(&at), size), "bind");
        check(::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size), "getsockname");
        ::close(fd);
        return ntohs(at.sin_port);
    }

    std::uint16_t port_;
    int id_ = -1;
};

} // namespace benchmarks

#endif
