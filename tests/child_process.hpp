// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_CHILD_PROCESS_HPP
#define ACACHE_TESTS_CHILD_PROCESS_HPP

#include <array>
#include <csignal>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/wait.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <unistd.h>

namespace acache_test {

/// A program that runs beside the test, between two pipes.
class child_process {
public:
    /// `tied` to the thread that makes it: where that ends, also by a signal, the program is killed (on
    /// Linux).
    explicit child_process(std::vector<std::string> command, [[maybe_unused]] bool tied = false) {
        std::array<int, 2> in{}, out{};
        check(::pipe(in.data()));
        check(::pipe(out.data()));
        check(id_ = ::fork());
        if (id_ == 0) {
#ifdef __linux__
            if (tied) {
                ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            }
#endif
            ::dup2(in[0], STDIN_FILENO);
            ::dup2(out[1], STDOUT_FILENO);
            for (const int end : {in[0], in[1], out[0], out[1]}) {
                ::close(end);
            }
            std::vector<char*> arguments;
            for (auto& each : command) {
                arguments.push_back(each.data());
            }
            arguments.push_back(nullptr);
            ::execv(arguments[0], arguments.data());
            ::_exit(127);
        }
        ::close(in[0]);
        ::close(out[1]);
        to_ = in[1];
        from_ = out[0];
    }
    child_process(const child_process&) = delete;
    child_process& operator=(const child_process&) = delete;
    ~child_process() {
        if (id_ > 0) {
            signal(SIGKILL);
            (void)wait();
        }
        end_input();
        ::close(from_);
    }

    void signal(int number) const { ::kill(id_, number); }

    /// Writes all of `text`, which a pipe has to have room for if the program answers while it reads.
    void write(std::string_view text) const {
        while (!text.empty()) {
            const auto written = ::write(to_, text.data(), text.size());
            check(written);
            text.remove_prefix(static_cast<std::size_t>(written));
        }
    }
    void end_input() {
        if (to_ >= 0) {
            ::close(std::exchange(to_, -1));
        }
    }

    /// The next line that it prints, or what is left of its output.
    [[nodiscard]] std::string read_line() {
        std::string line;
        for (char c{}; ::read(from_, &c, 1) == 1 && c != '\n';) {
            line += c;
        }
        return line;
    }
    /// All that it prints until it closes its output.
    [[nodiscard]] std::string read_all() {
        std::string text;
        std::array<char, 4096> part;
        for (ssize_t got{}; (got = ::read(from_, part.data(), part.size())) > 0;) {
            text.append(part.data(), static_cast<std::size_t>(got));
        }
        return text;
    }

    /// Waits for its end. Its exit status; -1 if a signal ended it.
    [[nodiscard]] int wait() {
        int status = 0;
        check(::waitpid(std::exchange(id_, -1), &status, 0));
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

private:
    static void check(ssize_t result) {
        if (result < 0) {
            throw std::system_error(errno, std::generic_category());
        }
    }

    ::pid_t id_ = -1;
    int to_ = -1;
    int from_ = -1;
};

struct outcome {
    int status;
    std::string output;
};

/// Runs a program to its end.
[[nodiscard]] inline outcome run(std::vector<std::string> command, std::string_view input = {}) {
    child_process program(std::move(command));
    program.write(input);
    program.end_input();
    std::string output = program.read_all();
    return {program.wait(), std::move(output)};
}

} // namespace acache_test

#endif
