// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

#include <acache/detail/read_section.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using acache::detail::alone;
using acache::detail::read_section;
using acache::detail::readers_gone;

namespace {

// Runs a thread that enters a read section, tells so, and stays in it until it is let go.
class reader_thread {
public:
    reader_thread()
        : thread_([this] {
              const read_section section;
              inside_.store(true);
              inside_.notify_one();
              leave_.wait(false);
          }) {
        inside_.wait(false);
    }
    void let_go() {
        leave_.store(true);
        leave_.notify_one();
        thread_.join();
    }

private:
    std::atomic<bool> inside_ = false;
    std::atomic<bool> leave_ = false;
    std::thread thread_;
};

} // namespace

TEST_CASE("readers are gone only once the section that was open is over") {
    reader_thread reader;
    CHECK_FALSE(readers_gone());
    CHECK_FALSE(alone());
    reader.let_go();
    CHECK(readers_gone());
    CHECK(alone());
}

TEST_CASE("a process made by fork does not wait for the threads that it has not got") {
    reader_thread reader;
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::_exit(readers_gone() && alone() ? 0 : 1);
    }
    int status = -1;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK_FALSE(readers_gone()); // here the thread goes on
    reader.let_go();
    CHECK(readers_gone());
}

TEST_CASE("a thread in a read section waits neither for itself nor frees under itself, nested or not") {
    const read_section outer;
    {
        const read_section inner;
        CHECK_FALSE(alone());
    }
    CHECK_FALSE(readers_gone());
    CHECK_FALSE(alone());
}

TEST_CASE("a thread that has ended is no reader, and its cell serves the next") {
    for (int i = 0; i != 100; ++i) {
        std::thread([] { const read_section section; }).join();
        CHECK(alone());
    }
    CHECK(readers_gone());
}

TEST_CASE("a section in the destructor of a thread's own object works and leaves nothing behind") {
    struct last_words {
        ~last_words() { const read_section section; }
    };
    std::thread([] {
        static thread_local last_words says; // made before the section's own, so destroyed after it
        (void)says;
        const read_section section;
    }).join();
    CHECK(alone());
    CHECK(readers_gone());
}

TEST_CASE("what was unlinked is not seen by a section that began after the readers had gone") {
    // Slots stand for nodes: a writer unlinks the one that `current` names, waits, and spoils it.
    constexpr std::uint64_t spoilt = 0;
    std::array<std::atomic<std::uint64_t>, 2> slots{1, 1};
    std::atomic<std::size_t> current = 0;
    std::atomic<bool> stop = false;
    std::atomic<std::uint64_t> wrong = 0;
    std::vector<std::thread> readers;
    for (int i = 0; i != 3; ++i) {
        readers.emplace_back([&] {
            while (!stop.load(std::memory_order_relaxed)) {
                const read_section section;
                const auto seen = current.load(std::memory_order_acquire);
                if (slots[seen].load(std::memory_order_relaxed) == spoilt) {
                    wrong.fetch_add(1);
                }
            }
        });
    }
    for (int i = 0; i != 2000; ++i) {
        const auto old = current.load();
        slots[1 - old].store(1);
        current.store(1 - old, std::memory_order_release);
        while (!readers_gone()) {
            std::this_thread::yield();
        }
        slots[old].store(spoilt);
    }
    stop.store(true);
    for (auto& reader : readers) {
        reader.join();
    }
    CHECK(wrong == 0);
}
