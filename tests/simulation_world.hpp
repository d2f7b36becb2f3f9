// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_SIMULATION_WORLD_HPP
#define ACACHE_TESTS_SIMULATION_WORLD_HPP

#include "simulation_backend.hpp"
#include "simulation_model.hpp"

#include <acache/options.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace simulation {

using namespace std::chrono_literals;

/// What the runs of one test have in common. The rest is drawn.
struct setup {
    bool callers_leave = true;
    bool backend_fails = false;
    /// Stale values are of use, in one way or another.
    bool serves_stale = false;
};

/// What is drawn.
class dice {
public:
    explicit dice(std::uint64_t seed) : random_(seed) {}

    [[nodiscard]] engine& random() { return random_; }

    // Not std::uniform_int_distribution, whose numbers differ from one standard library to the next.
    template <class T>
    [[nodiscard]] T between(T low, T high) {
        return low + static_cast<T>(random_() % static_cast<std::uint64_t>(high - low + 1));
    }
    [[nodiscard]] bool chance(int of) { return between(1, of) == 1; }
    [[nodiscard]] std::chrono::seconds seconds_between(int low, int high) {
        return std::chrono::seconds{between(low, high)};
    }

private:
    engine random_;
};

/// What happened, to be read when it went wrong.
class trace_log {
public:
    void note(event at, const char* what, int who, int key, int number = 0) {
        lines_.push_back({at, what, who, key, number});
    }

    [[nodiscard]] std::string text() const {
        std::ostringstream out;
        for (const line& l : lines_) {
            out << std::setw(5) << l.at << "  ";
            l.who == 0 ? out << "          " : out << "operation " << std::setw(3) << l.who << "  ";
            out << l.what;
            if (l.key != every_key) {
                out << ", key " << l.key;
            }
            if (l.number != 0) {
                out << ", number " << l.number;
            }
            out << '\n';
        }
        return std::move(out).str();
    }

private:
    struct line {
        event at;
        const char* what;
        int who;
        int key;
        int number;
    };
    std::vector<line> lines_;
};

/// One run's circumstances, drawn from its seed, and what has happened so far.
class world {
public:
    static constexpr std::chrono::seconds ttl = 10s;
    static constexpr int most_keys = 4;
    static constexpr std::array<std::string_view, 3> tag_names{"red", "green", "blue"};

    world(std::uint64_t seed, const setup& s, bool remote)
        : given(s), draw(seed), keys(draw.between(1, most_keys)), options(draw_options()),
          history({.stores_at_once = !remote,
                   .reliable = !s.backend_fails,
                   .renews_early = options.early_refresh > 0,
                   .refuses = options.max_queued_loads != acache::unbounded,
                   .stale = {options.stale_while_revalidate, options.stale_if_error},
                   .retention = retention(),
                   .held_back = options.refresh_backoff * 3 / 4}) {}
    world(const world&) = delete;
    world& operator=(const world&) = delete;

    /// How long values are kept after their freshness, where a load says nothing else.
    [[nodiscard]] nanoseconds retention() const {
        return std::max({options.stale_while_revalidate, options.stale_if_error, options.keep_stale});
    }
    /// Loads may go on although nobody waits for them.
    [[nodiscard]] bool loads_go_on() const { return options.finish_abandoned_loads || given.serves_stale; }

    /// What was drawn, and what has happened.
    [[nodiscard]] std::string report() const {
        const auto seconds = [](std::optional<nanoseconds> t) { return t ? t->count() / 1'000'000'000 : -1; };
        std::ostringstream out;
        out << "stale_while_revalidate " << seconds(options.stale_while_revalidate) << " stale_if_error "
            << seconds(options.stale_if_error) << " keep_stale " << seconds(options.keep_stale)
            << " soft_timeout " << seconds(options.soft_timeout) << " refresh_backoff "
            << seconds(options.refresh_backoff) << " early_refresh " << options.early_refresh
            << " finish_abandoned_loads " << options.finish_abandoned_loads << '\n'
            << trace.text();
        return std::move(out).str();
    }

    void note(const char* what, int who, int key, int number = 0) {
        trace.note(history.tick(), what, who, key, number);
    }

    /// The first thing that is wrong is kept.
    void wrong(std::string why) {
        if (violation.empty()) {
            violation = std::move(why);
        }
    }
    void wrong(const operation* c, int key, int number, const std::string& why) {
        wrong(std::string(c == nullptr ? "a batch" : c->name) + " of caller's operation " +
              std::to_string(c == nullptr ? 0 : c->id) + ", key " + std::to_string(key) + ", number " +
              std::to_string(number) + ": " + why);
    }

    [[nodiscard]] std::vector<int> all_keys() const {
        std::vector<int> all;
        for (int key = 0; key != keys; ++key) {
            all.push_back(key);
        }
        return all;
    }

    /// So many different ones at most, and one at least; none for an operation on all.
    [[nodiscard]] std::vector<int> draw_keys(int most) {
        std::vector<int> drawn = all_keys();
        const int count = most == 0 ? 0 : draw.between(1, std::min(most, keys));
        for (int i = 0; i != count; ++i) {
            std::swap(drawn[static_cast<std::size_t>(i)],
                      drawn[static_cast<std::size_t>(draw.between(i, keys - 1))]);
        }
        drawn.resize(static_cast<std::size_t>(count));
        return drawn;
    }

    /// None, one or some.
    [[nodiscard]] tag_set draw_tags() {
        return draw.chance(2) ? 0 : draw.between<tag_set>(1, (1U << tag_names.size()) - 1);
    }
    [[nodiscard]] static std::vector<std::string_view> names_of(tag_set tags) {
        std::vector<std::string_view> names;
        for (std::size_t i = 0; i != tag_names.size(); ++i) {
            if ((tags >> i & 1U) != 0) {
                names.push_back(tag_names[i]);
            }
        }
        return names;
    }

    const setup given;
    dice draw;
    const int keys;
    const acache::cache_options options;
    simulation::history history;
    trace_log trace;
    std::string violation;
    /// Look-ups that were refused a load, and know it.
    std::uint64_t refusals = 0;

private:
    [[nodiscard]] acache::cache_options draw_options() {
        acache::cache_options drawn{.ttl = ttl, .finish_abandoned_loads = draw.chance(4)};
        if (draw.chance(4)) {
            drawn.max_concurrent_loads = draw.between<std::size_t>(1, 2);
            if (draw.chance(2)) {
                drawn.max_queued_loads = draw.between<std::size_t>(0, 2);
            }
        }
        if (given.serves_stale) {
            drawn.stale_while_revalidate = draw.chance(4) ? 0s : draw.seconds_between(1, 10);
            drawn.stale_if_error = draw.chance(3) ? 0s : draw.seconds_between(1, 15);
            drawn.keep_stale = draw.chance(2) ? 0s : draw.seconds_between(1, 20);
            drawn.refresh_backoff = draw.seconds_between(2, 8);
            drawn.early_refresh = draw.chance(3) ? 1.0 : 0.0;
            if (draw.chance(3)) {
                drawn.soft_timeout = draw.seconds_between(1, 3);
            }
        }
        return drawn;
    }
};

} // namespace simulation

#endif
