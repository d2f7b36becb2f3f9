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

/// The first `left` columns hold text, the others numbers.
void print_table(const std::vector<line>& table, std::size_t left) {
    std::vector<std::size_t> widths(table.front().size());
    for (const line& l : table) {
        for (std::size_t i = 0; i != l.size(); ++i) {
            widths[i] = std::max(widths[i], l[i].size());
        }
    }
    const auto print = [&](const line& l) {
        for (std::size_t i = 0; i != l.size(); ++i) {
            const int width = static_cast<int>(widths[i]);
            std::printf("| %*s ", i < left ? -width : width, l[i].c_str());
        }
        std::puts("|");
    };
    print(table.front());
    for (std::size_t i = 0; i != widths.size(); ++i) {
        std::printf("|%s%s", std::string(widths[i] + 1, '-').c_str(), i < left ? "-" : ":");
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
    std::string floor_title;
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
    const auto ratio = [&](const char* title, const char* ours, const char* floor_title, formula floor,
                           double limit) {
        all.push_back({title, floor_title, figure(ours), std::move(floor), relation::ratio_at_most, limit});
    };
    const auto rate = [&](const char* title, const char* ours, const char* their_title, const char* theirs,
                          double limit) {
        all.push_back({title, their_title, figure(ours), figure(theirs), relation::rate_at_least, limit});
    };
    const auto alone = [&](const char* title, const char* ours, double limit) {
        all.push_back({title, "", figure(ours), {}, relation::at_most, limit});
    };
    const formula look_up = figure("floor_flat_map/threads:1");
    ratio("try_get hit, 1 thread", "try_get/threads:1", "flat map look-up", look_up, 2.5);
    ratio("- with a ttl", "try_get_with_ttl/threads:1", "flat map look-up", look_up, 2.5);
    ratio("try_get hit, 2 threads, each", "try_get/threads:2", "1 thread", figure("try_get/threads:1"), 2);
    ratio("- with a ttl, 2 threads", "try_get_with_ttl/threads:2", "1 thread",
          figure("try_get_with_ttl/threads:1"), 2);
    ratio("awaited hit", "awaited_hit", "awaited look-up", figure("floor_awaited_look_up"), 1.5);
    ratio("cached(\"user:{}\") hit", "cached_hit", "awaited format, look-up",
          figure("floor_awaited_format_and_look_up"), 1.5);
    alone("try_get hit, allocations", "try_get.allocations", 0);
    alone("awaited hit, allocations", "awaited_hit.allocations", 0);
    alone("cached(\"user:{}\") hit, allocations", "cached_hit.allocations", 0);

    ratio("read-through", "read_through", "look-up, spawn a miss", read_through_floor, 1.3);
    rate("- times the rate of", "read_through", "Caffeine async", "caffeine_async_read_through", 1);
    alone("- miss ratio", "read_through.miss_ratio", 0.2369);
    const formula many = figure("floor_spawn_and_wake/100000");
    ratio("DataLoader, cache = false", "data_loader", "spawn and wake", many, 1.3);
    rate("- times the rate of", "data_loader", "npm dataloader", "npm_dataloader", 2);
    ratio("DataLoader, as it is by default", "data_loader_that_remembers", "spawn and wake", many, 1.3);
    rate("- times the rate of", "data_loader_that_remembers", "npm dataloader",
         "npm_dataloader_that_remembers", 2);
    ratio("herd, each further waiter", "herd", "wake", figure("floor_wake"), 1.3);
    ratio("- spawned for it", "spawned_herd", "spawn and wake", figure("floor_spawn_and_wake/1000"), 1.3);

    ratio("redis, get of level 2", "redis_backend_get/100", "bare GET", figure("redis_floor_get/100"), 1.3);
    ratio("- through cache and tier", "redis_cache_get/100", "bare GET", figure("redis_floor_get/100"), 1.3);
    ratio("- get_or_load", "redis_get_or_load/100", "bare GET", figure("redis_floor_get/100"), 1.3);
    ratio("- get, 10 KB", "redis_cache_get/10240", "bare GET", figure("redis_floor_get/10240"), 1.3);
    ratio("- get_or_load, 10 KB", "redis_get_or_load/10240", "bare GET", figure("redis_floor_get/10240"),
          1.3);
    ratio("redis, get_many of level 2, 100 keys", "redis_backend_get_many/100", "bare MGET",
          figure("redis_floor_mget/100"), 1.3);
    ratio("- through cache and tier", "redis_cache_get_many/100", "bare MGET", figure("redis_floor_mget/100"),
          1.3);
    ratio("- 10 KB", "redis_cache_get_many/10240", "bare MGET", figure("redis_floor_mget/10240"), 1.3);

    alone("memory, bytes over key and value", "memory", 40);
    alone("- with a ttl", "memory_with_ttl", 40);
    alone("- each entry evicted 3 times", "memory_after_churn", 40);
    ratio("compile time, g++, s", "compile_acache/g++", "Asio's headers", figure("compile_asio/g++"), 1.6);
    ratio("compile time, clang++, s", "compile_acache/clang++", "Asio's headers",
          figure("compile_asio/clang++"), 1.6);
    return all;
}

/// Whether two threads seldom had a processor each.
bool busy(const results& measured) {
    return measured["floor_flat_map/threads:2.undisturbed"] < 0.7;
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
        return {row.title, row.floor_title, format(ours), format(floor), "", limit, "not measured"};
    }
    if (row.title.find("2 threads") != std::string::npos && busy(measured)) {
        return {row.title, row.floor_title, format(ours), format(floor), ratio, limit, "busy"};
    }
    // To the digits that are printed.
    const bool ok = at_least ? judged_value >= row.limit - 0.005 : judged_value <= row.limit + 0.00005;
    ++judged;
    reached += ok ? 1 : 0;
    return {row.title, row.floor_title, format(ours), format(floor), ratio, limit, ok ? "ok" : "NO"};
}

/// The default policy's lines.
void judge_gaps(const std::string& hit_ratios, std::vector<line>& table, std::size_t& reached,
                std::size_t& judged) {
    const benchmarks::csv file(hit_ratios);
    const auto add = [&](const std::string& title, double value, bool ok, const char* limit) {
        ++judged;
        reached += ok ? 1 : 0;
        table.push_back({title, "", format(value, "%.3f"), "", "", limit, ok ? "ok" : "NO"});
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
        print_table(table, 1);
    }
}

void report(const std::string& path, const std::string& hit_ratios) {
    const results measured(path);
    std::size_t reached = 0;
    std::size_t judged = 0;
    std::vector<line> table{{"figure (ns)", "against", "ours", "floor", "ratio", "wanted", ""}};
    for (const wanted_figure& row : wanted_figures()) {
        table.push_back(judge(measured, row, reached, judged));
    }
    if (!hit_ratios.empty()) {
        judge_gaps(hit_ratios, table, reached, judged);
    }
    print_table(table, 2);
    std::printf("\n%zu of %zu as wanted.\n", reached, judged);
    if (busy(measured)) {
        std::puts(
            "The machine was busy: two threads seldom had a processor each, so that figures of two threads "
            "show too\nlittle of what locks and shared counters cost. Measure again when it is quiet.");
    }

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
    print_others(measured, "100,000 loads in one tick, ns a load",
                 {{"data_loader", "acache DataLoader, a coroutine each, cache = false"},
                  {"data_loader_that_remembers", "acache DataLoader, a coroutine each"},
                  {"data_loader_many", "acache DataLoader, load_many, cache = false"},
                  {"npm_dataloader", "npm dataloader, an async function each, cache: false"},
                  {"npm_dataloader_that_remembers", "npm dataloader, an async function each"},
                  {"npm_dataloader_many", "npm dataloader, loadMany, cache: false"}});
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
    print_others(measured, "256 callers over one connection to Redis, ns a get of 100 bytes",
                 {{"redis_floor_callers/100", "bare GET"},
                  {"redis_backend_callers/100", "redis_backend get"},
                  {"redis_cache_callers/100", "cache get, through the tier"},
                  {"redis_load_callers/100", "cache get_or_load, through the tier"},
                  {"redis_floor_callers/100.cpu", "bare GET, processor time"},
                  {"redis_backend_callers/100.cpu", "redis_backend get, processor time"},
                  {"redis_cache_callers/100.cpu", "cache get, processor time"},
                  {"redis_load_callers/100.cpu", "cache get_or_load, processor time"}});
    print_others(measured, "the same of 10 KB",
                 {{"redis_floor_callers/10240", "bare GET"},
                  {"redis_backend_callers/10240", "redis_backend get"},
                  {"redis_cache_callers/10240", "cache get, through the tier"},
                  {"redis_load_callers/10240", "cache get_or_load, through the tier"}});
    print_others(measured, "one caller of Redis, ns",
                 {{"redis_near_hit/100", "a hit in level 1 of the tier, 100 bytes"},
                  {"redis_near_hit/10240", "a hit in level 1 of the tier, 10 KB"},
                  {"redis_floor_look/100", "bare SET NX GET, which a load looks with"},
                  {"redis_floor_miss/100", "bare SET NX GET and SET"},
                  {"redis_miss/100", "get_or_load that misses, loads and fills"}});
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
