// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Prints what `benchmarks/run` measured: each figure beside its floor, as tables in Markdown. The exit status
// says whether the files could be read, not whether each figure is as wanted.

#include "common/csv.hpp"
#include "common/gaps.hpp"
#include "common/results.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using benchmarks::results;
using benchmarks::unknown;

// ---- Tables
// ---------------------------------------------------------------------------------------------------

using line = std::vector<std::string>;

void print_table(const std::vector<line>& table) {
    std::vector<std::size_t> widths(table.front().size());
    for (const line& l : table) {
        for (std::size_t i = 0; i != l.size(); ++i) {
            widths[i] = std::max(widths[i], l[i].size());
        }
    }
    const auto print = [&](const line& l) {
        for (std::size_t i = 0; i != l.size(); ++i) {
            const int width = static_cast<int>(widths[i]);
            std::printf("| %*s ", i == 0 ? -width : width, l[i].c_str());
        }
        std::puts("|");
    };
    print(table.front());
    for (std::size_t i = 0; i != widths.size(); ++i) {
        std::printf("|%s%s", std::string(widths[i] + 1, '-').c_str(), i == 0 ? "-" : ":");
    }
    std::puts("|");
    std::for_each(table.begin() + 1, table.end(), print);
}

std::string format(double value, const char* with = nullptr) {
    if (std::isnan(value)) {
        return "";
    }
    const double size = std::fabs(value);
    char text[64];
    std::snprintf(text, sizeof text, with ? with : size < 1 ? "%.4f" : size < 100 ? "%.2f" : "%.0f", value);
    return text;
}

// ---- The figures that are wanted
// ----------------------------------------------------------------------------------

/// The value in a round of a figure with this name.
using values = std::function<double(std::string_view)>;
using formula = std::function<double(const values&)>;

formula figure(std::string name) {
    return [name = std::move(name)](const values& value) { return value(name); };
}

enum class relation {
    ratio_at_most, ///< ours / floor
    rate_at_least, ///< floor / ours: how many times the rate
    at_most,       ///< ours alone
};

struct wanted_figure {
    std::string title;
    formula ours;
    formula floor;
    relation is;
    double limit;
};

/// A hit, and for those that miss a coroutine that is spawned and awaited.
double read_through_floor(const values& value) {
    return value("floor_read_through_look_up") +
           value("read_through.miss_ratio") * value("floor_spawn_and_await");
}

std::vector<wanted_figure> wanted_figures() {
    std::vector<wanted_figure> all;
    const auto ratio = [&](const char* title, const char* ours, formula floor, double limit) {
        all.push_back({title, figure(ours), std::move(floor), relation::ratio_at_most, limit});
    };
    const auto rate = [&](const char* title, const char* ours, const char* theirs, double limit) {
        all.push_back({title, figure(ours), figure(theirs), relation::rate_at_least, limit});
    };
    const auto alone = [&](const char* title, const char* ours, double limit) {
        all.push_back({title, figure(ours), {}, relation::at_most, limit});
    };
    ratio("try_get hit, 1 thread: a flat map's look-up", "try_get/threads:1",
          figure("floor_flat_map/threads:1"), 2.5);
    ratio("the same with a ttl", "try_get_with_ttl/threads:1", figure("floor_flat_map/threads:1"), 2.5);
    ratio("try_get hit, 2 threads, each: its time on 1", "try_get/threads:2", figure("try_get/threads:1"), 2);
    ratio("the same with a ttl", "try_get_with_ttl/threads:2", figure("try_get_with_ttl/threads:1"), 2);
    alone("try_get hit: allocations", "try_get.allocations", 0);
    ratio("awaited hit: an awaited look-up", "awaited_hit", figure("floor_awaited_look_up"), 1.5);
    alone("awaited hit: allocations", "awaited_hit.allocations", 0);
    ratio("cached(\"user:{}\") hit: awaited format, look-up", "cached_hit",
          figure("floor_awaited_format_and_look_up"), 1.5);
    alone("cached(\"user:{}\") hit: allocations", "cached_hit.allocations", 0);
    ratio("read-through: look-up + misses x (spawn, wake)", "read_through", read_through_floor, 1.3);
    rate("the same: Caffeine's async cache", "read_through", "caffeine_async_read_through", 1);
    alone("its miss ratio", "read_through.miss_ratio", 0.2369);
    ratio("DataLoader, 100,000 loads: spawn and wake", "data_loader", figure("floor_spawn_and_wake/100000"),
          1.3);
    rate("the same: npm dataloader", "data_loader", "npm_dataloader", 2);
    ratio("the same, remembering: spawn and wake", "data_loader_that_remembers",
          figure("floor_spawn_and_wake/100000"), 1.3);
    rate("the same, remembering: npm dataloader", "data_loader_that_remembers",
         "npm_dataloader_that_remembers", 2);
    ratio("herd, each further waiter: wake", "herd", figure("floor_wake"), 1.3);
    ratio("herd, spawned: spawn and wake", "spawned_herd", figure("floor_spawn_and_wake/1000"), 1.3);
    alone("memory, bytes an entry over key and value", "memory", 40);
    alone("the same with a ttl", "memory_with_ttl", 40);
    alone("the same, each entry evicted three times", "memory_after_churn", 40);
    ratio("compile time, g++, s: Asio's headers", "compile_acache/g++", figure("compile_asio/g++"), 1.6);
    ratio("compile time, clang++, s: Asio's headers", "compile_acache/clang++",
          figure("compile_asio/clang++"), 1.6);
    return all;
}

/// A line of the table; counts those that are as wanted, and those measured.
line judge(const results& measured, const wanted_figure& row, std::size_t& reached, std::size_t& judged) {
    const double ours = measured.over_rounds(row.ours);
    const double floor = row.floor ? measured.over_rounds(row.floor) : unknown;
    double judged_value = ours;
    if (row.is != relation::at_most) {
        judged_value = measured.over_rounds([&](const values& value) {
            const double ratio = row.ours(value) / row.floor(value);
            return row.is == relation::ratio_at_most ? ratio : 1 / ratio;
        });
    }
    const bool at_least = row.is == relation::rate_at_least;
    const std::string limit = (at_least ? ">= " : "<= ") + format(row.limit, "%.4g");
    const std::string ratio = row.is == relation::at_most ? "" : format(judged_value, "%.2f");
    if (std::isnan(judged_value)) {
        return {row.title, format(ours), format(floor), "", limit, "not measured"};
    }
    // To the digits that are printed.
    const bool ok = at_least ? judged_value >= row.limit - 0.005 : judged_value <= row.limit + 0.00005;
    ++judged;
    reached += ok ? 1 : 0;
    return {row.title, format(ours), format(floor), ratio, limit, ok ? "ok" : "NO"};
}

/// The default policy's lines.
void judge_gaps(const std::string& hit_ratios, std::vector<line>& table, std::size_t& reached,
                std::size_t& judged) {
    const benchmarks::csv file(hit_ratios);
    const auto add = [&](const std::string& title, double value, bool ok, const char* limit) {
        ++judged;
        reached += ok ? 1 : 0;
        table.push_back({title, format(value, "%.3f"), "", "", limit, ok ? "ok" : "NO"});
    };
    for (const int least : {1000, 100}) {
        const auto all = benchmarks::measured_gaps(file, least);
        const auto at = all.find("default");
        if (at == all.end()) {
            continue;
        }
        const auto& gap = at->second;
        const std::string where =
            ", " + std::to_string(gap.cells) + " cells of " + std::to_string(least) + " entries";
        if (least == 1000) {
            add("miss gap closed" + where, gap.mean(), gap.mean() > 0.262, "> 0.262");
            add("the worst of them", gap.worst, gap.worst >= 0, ">= 0");
        } else {
            add("miss gap closed" + where, gap.mean(), gap.mean() > 0.283, "> 0.283");
            add("the worst of them", gap.worst, gap.worst >= -0.05, ">= -0.05");
        }
    }
}

// ---- For information
// -----------------------------------------------------------------------------------------------

/// Lines of what was measured on one thread or on two.
void print_others(const results& measured, const char* title,
                  const std::vector<std::pair<const char*, const char*>>& all) {
    std::vector<line> table{{title, "1 thread", "2 threads, each"}};
    for (const auto& [name, what] : all) {
        const double alone = measured[name];
        const double one = std::isnan(alone) ? measured[std::string(name) + "/threads:1"] : alone;
        if (!std::isnan(one)) {
            table.push_back({what, format(one), format(measured[std::string(name) + "/threads:2"])});
        }
    }
    if (table.size() > 1) {
        std::puts("");
        print_table(table);
    }
}

void report(const std::string& path, const std::string& hit_ratios) {
    const results measured(path);
    std::size_t reached = 0;
    std::size_t judged = 0;
    std::vector<line> table{
        {"figure (ns unless it says otherwise): its floor", "ours", "floor", "ratio", "wanted", ""}};
    for (const wanted_figure& row : wanted_figures()) {
        table.push_back(judge(measured, row, reached, judged));
    }
    if (!hit_ratios.empty()) {
        judge_gaps(hit_ratios, table, reached, judged);
    }
    print_table(table);
    std::printf("\n%zu of %zu as wanted.\n", reached, judged);

    print_others(measured, "hits, ns",
                 {{"floor_flat_map", "floor: flat map, unlocked"},
                  {"try_get", "acache try_get"},
                  {"try_get_with_ttl", "acache try_get, with a ttl"},
                  {"awaited_hit", "acache co_await get_or_load"},
                  {"cached_hit", "acache co_await cached(\"user:{}\")"},
                  {"caffeine", "Caffeine LoadingCache (Java)"},
                  {"caffeine_async", "Caffeine AsyncLoadingCache (Java)"},
                  {"lru_cache", "lru-cache get (JavaScript)"},
                  {"lru_cache_fetch", "lru-cache fetch, awaited (JavaScript)"},
                  {"tbb", "TBB concurrent_lru_cache"}});
    print_others(measured, "read-through, ns a request",
                 {{"read_through", "acache"},
                  {"caffeine_read_through", "Caffeine LoadingCache"},
                  {"caffeine_async_read_through", "Caffeine AsyncLoadingCache"},
                  {"lru_cache_read_through", "lru-cache fetch, a million requests"}});
    print_others(measured, "what steps of a hit would cost, ns",
                 {{"floor_flat_map", "flat map, unlocked"},
                  {"floor_flat_map_and_counter", "and a saturating counter an entry"},
                  {"floor_flat_map_and_shared_count", "and one atomic counter of hits"},
                  {"floor_flat_map_and_coarse_clock", "and the coarse clock"},
                  {"floor_flat_map_and_steady_clock", "and steady_clock"},
                  {"floor_64_spin_locks", "64 shards with a spin lock"},
                  {"floor_16_mutexes", "16 shards with a std::mutex"},
                  {"floor_shared_mutex", "one std::shared_mutex, shared"},
                  {"floor_shared_ptr", "a shared_ptr copied out"},
                  {"floor_awaited_return", "co_await of a coroutine that returns at once"}});
    print_others(measured, "what coroutines cost, ns",
                 {{"floor_spawn/1000", "spawn, a thousand at once"},
                  {"floor_spawn/100000", "spawn, 100,000 at once"},
                  {"floor_spawn_and_wake/1000", "spawn and wake, a thousand at once"},
                  {"floor_spawn_and_wake/100000", "spawn and wake, 100,000 at once"},
                  {"floor_spawn_and_await", "spawn one and await it"},
                  {"floor_wake", "wake"}});
}

} // namespace

int main(int argc, char** argv) try {
    if (argc < 2 || argc > 3) {
        std::fprintf(stderr, "usage: report RESULTS [HIT-RATIOS]\n");
        return 2;
    }
    report(argv[1], argc == 3 ? argv[2] : "");
} catch (const std::exception& error) {
    std::fprintf(stderr, "report: %s\n", error.what());
    return 1;
}
