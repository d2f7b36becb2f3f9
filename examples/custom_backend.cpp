// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// A backend of one's own: entries in files, which survive a restart.
//
//     custom_backend directory [ttl in ms]      run it twice: the second run finds what the first has made

#include <acache/acache.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/crc.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace asio = boost::asio;
namespace fs = std::filesystem;
using std::chrono::system_clock;
using namespace std::chrono_literals;

/// Keeps each entry in a file of its own. For one process at a time; entries that expired and are never asked
/// for again stay until `clear`.
///
/// Files block, so this models the asynchronous backend: a synchronous one is called under the cache's locks.
class file_backend {
    using entry = acache::entry<std::string>;

public:
    /// `disk` has one thread, for which the operations queue; no coroutine of the cache waits in a read.
    file_backend(asio::any_io_executor disk, fs::path directory)
        : disk_(std::move(disk)), directory_(std::move(directory)) {
        fs::create_directories(directory_);
    }

    asio::awaitable<std::optional<entry>> get(const std::string& key) {
        return on_disk([key, path = path_of(key)] {
            std::ifstream file(path, std::ios::binary);
            return decode(std::string(std::istreambuf_iterator<char>(file), {}), key);
        });
    }
    asio::awaitable<void> set(const std::string& key, entry fresh) {
        return on_disk([text = encode(key, fresh), path = path_of(key)] {
            // A reader, or the next run after a crash, sees the old file or the new one.
            const fs::path whole = fs::path(path).replace_extension(".new");
            std::ofstream file(whole, std::ios::binary);
            file.exceptions(std::ios::failbit | std::ios::badbit);
            file << text;
            file.close();
            fs::rename(whole, path);
        });
    }
    asio::awaitable<bool> erase(const std::string& key) {
        return on_disk([path = path_of(key)] { return fs::remove(path); });
    }
    asio::awaitable<void> clear() {
        return on_disk([directory = directory_] {
            for (const auto& file : fs::directory_iterator(directory)) {
                if (file.path().extension() == ".entry") {
                    fs::remove(file.path());
                }
            }
        });
    }

private:
    template <class Work>
    asio::awaitable<std::invoke_result_t<Work>> on_disk(Work work) const {
        const auto run = [work]() -> asio::awaitable<std::invoke_result_t<Work>> { co_return work(); };
        return asio::co_spawn(disk_, run, asio::use_awaitable);
    }

    /// Keys may hold anything, so a file is named by a hash (FNV-1a, the same in every run). The file holds
    /// the key itself: where two keys share a hash, each is a miss while the other's entry is there.
    [[nodiscard]] fs::path path_of(const std::string& key) const {
        std::uint64_t hash = 14695981039346656037U;
        for (const char c : key) {
            hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
        }
        std::ostringstream name;
        name << std::hex << hash << ".entry";
        return directory_ / name.str();
    }

    /// A checksum and what it is of: stamps, length of the key, end of line, key, value.
    static std::string encode(const std::string& key, const entry& e) {
        std::ostringstream text;
        text << ' ' << to_wall(e.created) << ' ' << to_wall(e.expires) << ' ' << key.size() << '\n'
             << key << e.value;
        return std::to_string(checksum(text.str())) + text.str();
    }
    static std::optional<entry> decode(const std::string& text, const std::string& key) {
        std::istringstream in(text);
        std::size_t sum = 0, key_size = 0;
        std::int64_t created = 0, expires = 0;
        in >> sum >> created >> expires >> key_size;
        const auto body = text.find('\n') + 1;
        if (!in || checksum(std::string_view(text).substr(text.find(' '))) != sum ||
            text.compare(body, key_size, key) != 0) {
            return std::nullopt;
        }
        return entry(text.substr(body + key_size), from_wall(created), from_wall(expires));
    }
    static std::uint32_t checksum(std::string_view text) {
        boost::crc_32_type sum;
        sum.process_bytes(text.data(), text.size());
        return sum.checksum();
    }

    /// Files have instants of the wall clock, in ns, since the cache's begins anew with each boot.
    static std::int64_t to_wall(acache::time_point t) {
        const auto never = acache::coarse_clock::now() + 24h * 36'525; // as good as never
        return (std::min(t, never).time_since_epoch() + wall_clock_ahead()).count();
    }
    static acache::time_point from_wall(std::int64_t t) {
        return acache::time_point(std::chrono::nanoseconds(t) - wall_clock_ahead());
    }
    static std::chrono::nanoseconds wall_clock_ahead() {
        return system_clock::now().time_since_epoch() - acache::coarse_clock::now().time_since_epoch();
    }

    asio::any_io_executor disk_;
    fs::path directory_;
};

// Says what is missing, more closely than the cache would.
static_assert(acache::asynchronous_backend<file_backend, std::string, std::string>);

asio::awaitable<std::string> render(std::string_view page) {
    co_return "<h1>" + std::string(page) + "</h1>";
}

template <class Render>
asio::awaitable<void> show(const Render& render_cached, std::string_view page) {
    const auto answer = co_await render_cached.lookup(page);
    std::cout << (answer.source == acache::lookup_source::hit ? "found:  " : "made:   ") << answer.value
              << '\n';
}

int main(int argc, char** argv) {
    asio::thread_pool disk(1);
    asio::io_context context;
    file_backend files(disk.get_executor(), argc > 1 ? argv[1] : "pages");
    const std::chrono::milliseconds ttl = argc > 2 ? std::chrono::milliseconds(std::atoi(argv[2])) : 1h;
    acache::async_cache<std::string, std::string, file_backend> cache{context, files, {.ttl = ttl}};
    const auto render_cached = cache.cached("page:{}", render);

    for (const std::string_view page : {"home", "../etc/passwd", "a page\nof two lines", ""}) {
        asio::co_spawn(context, show(render_cached, page), [](std::exception_ptr error) {
            if (error) {
                std::rethrow_exception(error);
            }
        });
    }
    context.run();
}
