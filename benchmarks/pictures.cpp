// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Draws what was measured as bars, in SVG to standard output:
//
//   pictures hits RESULTS                   the cost of a hit beside that of peers; RESULTS from
//   benchmarks/run pictures gaps HIT-RATIOS MISSRATIO      the miss gap closed by each policy; HIT-RATIOS
//   from hit_ratio --csv,
//                                           MISSRATIO the published miss ratios that it was compared with

#include "common/csv.hpp"
#include "common/gaps.hpp"
#include "common/results.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

// ---- Bars
// -------------------------------------------------------------------------------------------------------

/// What a row is drawn as: what we make, what bounds it, what others make.
enum class kind { ours, floor, peer, heading };

struct bar_row {
    std::string name;
    std::string note; ///< behind the name, in a fainter colour
    kind is;
    std::array<double, 2> values; ///< of the two series; `unknown` where there is none
};

struct chart {
    std::string title;
    std::string unit;
    std::string description; ///< for those who cannot see it
    std::array<std::string, 2> series;
    std::string footnote;
    double names_end;   ///< where the bars begin
    double most;        ///< the value from which on a bar is broken
    const char* number; ///< format of a value
    std::vector<bar_row> rows;
};

constexpr double width = 820;
constexpr double margin = 20;
constexpr double bars_end = 752; // the longest bar's; its value is written behind it
constexpr double bar_height = 10;
constexpr double bar_gap = 2.5; // between the bars of a row
constexpr double first_row = 96;

std::string escaped(std::string_view text) {
    std::string result;
    for (const char c : text) {
        switch (c) {
        case '&':
            result += "&amp;";
            break;
        case '<':
            result += "&lt;";
            break;
        case '>':
            result += "&gt;";
            break;
        default:
            result += c;
        }
    }
    return result;
}

std::string number(double value, const char* format = "%.1f") {
    char text[64];
    std::snprintf(text, sizeof text, format, value);
    return text;
}

/// `<text ...>content</text>` on a line.
void text(double x, double y, const char* classes, const std::string& content) {
    std::printf("  <text x=\"%s\" y=\"%s\" class=\"%s\">%s</text>\n", number(x).c_str(), number(y).c_str(),
                classes, content.c_str());
}

/// Colours that can be read on white and on black, and better ones where the reader's preference is known.
constexpr const char* style = R"(  <style>
    text { font: 13px system-ui, -apple-system, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; fill: #70757d }
    .title { font-size: 16px; font-weight: 600 }
    .ours-name { font-weight: 600 }
    .end { text-anchor: end }
    .heading { font-size: 12px; font-weight: 600 }
    .small, .note { font-size: 11.5px; font-weight: 400 }
    .value { font-size: 11px; font-variant-numeric: tabular-nums }
    .ours { fill: #2f81e0 } .peer { fill: #8b929b } .floor { fill: #2f9e6e }
    .second { opacity: .55 }
    .axis { stroke: #8b929b; stroke-opacity: .6 }
    @media (prefers-color-scheme: light) {
      text { fill: #4b525b } .title, .ours-name { fill: #16191d } .note { fill: #6b727b }
      .ours { fill: #1f6fd1 } .peer { fill: #99a1ab } .floor { fill: #2a9163 }
    }
    @media (prefers-color-scheme: dark) {
      text { fill: #b4bbc4 } .title, .ours-name { fill: #f0f3f6 } .note { fill: #8b939d }
      .ours { fill: #539bf5 } .peer { fill: #6e7681 } .floor { fill: #46b586 }
    }
  </style>
)";

const char* bar_class(kind is) {
    return is == kind::ours ? "ours" : is == kind::floor ? "floor" : "peer";
}

void draw_rectangle(double x, double y, double length, const std::string& classes) {
    std::printf("  <rect x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" rx=\"1.5\" class=\"%s\"/>\n",
                number(x).c_str(), number(y).c_str(), number(std::max(length, 1.0)).c_str(),
                number(bar_height).c_str(), classes.c_str());
}

/// One bar from `zero`, and its value behind its end.
void draw_bar(const chart& c, double value, double y, double zero, double scale, const std::string& classes) {
    const bool broken = value > c.most;
    const double length = std::fabs(broken ? c.most : value) * scale;
    const double x = value < 0 ? zero - length : zero;
    if (broken) { // its end stands apart
        draw_rectangle(x, y, length - 14, classes);
        draw_rectangle(x + length - 10, y, 10, classes);
    } else {
        draw_rectangle(x, y, length, classes);
    }
    const std::string minus = value < 0 ? "\u2212" : "";
    text(std::max(x + length, zero) + 5, y + bar_height - 1, "value",
         minus + number(std::fabs(value), c.number));
}

/// The two series' names, each behind a small bar; the second only if there is one.
void draw_legend(const chart& c, double y) {
    double x = c.names_end;
    for (std::size_t i = 0; i != c.series.size(); ++i) {
        if (std::all_of(c.rows.begin(), c.rows.end(),
                        [i](const bar_row& row) { return std::isnan(row.values[i]); })) {
            continue;
        }
        std::printf("  <rect x=\"%s\" y=\"%s\" width=\"18\" height=\"%s\" rx=\"1.5\" class=\"peer%s\"/>\n",
                    number(x).c_str(), number(y - bar_height + 0.5).c_str(), number(bar_height).c_str(),
                    i == 0 ? "" : " second");
        text(x + 24, y, "small", escaped(c.series[i]));
        x += 24 + 6.4 * static_cast<double>(c.series[i].size()) + 22; // about as wide as the text is
    }
}

void draw_row(const chart& c, const bar_row& row, double y, double zero, double scale) {
    const std::string name = escaped(row.name);
    if (row.is == kind::heading) {
        text(margin, y + 13, "heading", name);
        return;
    }
    const bool two = !std::isnan(row.values[1]);
    const std::string note =
        row.note.empty() ? "" : " <tspan class=\"note\">" + escaped(row.note) + "</tspan>";
    const double middle = y + (two ? bar_height + bar_gap / 2 : bar_height / 2);
    text(c.names_end - 14, middle + 4.5, row.is == kind::ours ? "end ours-name" : "end", name + note);
    const std::string classes = bar_class(row.is);
    draw_bar(c, row.values[0], y, zero, scale, classes);
    if (two) {
        draw_bar(c, row.values[1], y + bar_height + bar_gap, zero, scale, classes + " second");
    }
}

/// How much room a row takes, with the space below it.
double height_of(const bar_row& row) {
    const bool two = !std::isnan(row.values[1]);
    return row.is == kind::heading ? 28 : two ? 2 * bar_height + bar_gap + 11 : bar_height + 12;
}

void draw(const chart& c) {
    double least = 0;
    double most = 0;
    double end = first_row;
    for (const bar_row& row : c.rows) {
        for (const double value : row.values) {
            least = std::isnan(value) ? least : std::min(least, value);
            most = std::isnan(value) ? most : std::max(most, std::min(value, c.most));
        }
        end += height_of(row);
    }
    const double scale = (bars_end - c.names_end) / (most - least);
    const double zero = c.names_end - least * scale;
    const double height = end + 32;

    std::printf(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" "
        "role=\"img\" aria-labelledby=\"title desc\">\n",
        width, height, width, height);
    std::printf("  <title id=\"title\">%s</title>\n  <desc id=\"desc\">%s</desc>\n", escaped(c.title).c_str(),
                escaped(c.description).c_str());
    std::fputs(style, stdout);
    text(margin, 30, "title", escaped(c.title));
    text(margin, 50, "small", escaped(c.unit));
    draw_legend(c, 78);
    double y = first_row;
    for (const bar_row& row : c.rows) {
        draw_row(c, row, y, zero, scale);
        y += height_of(row);
    }
    std::printf("  <line x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\" class=\"axis\"/>\n", number(zero).c_str(),
                number(first_row - 6).c_str(), number(zero).c_str(), number(end - 4).c_str());
    text(margin, height - 12, "small", escaped(c.footnote));
    std::puts("</svg>");
}

/// "a 1, b 2, ...": what the bars show, in words.
std::string in_words(const chart& c) {
    std::string result;
    for (const bar_row& row : c.rows) {
        if (row.is == kind::heading) {
            continue;
        }
        result += (result.empty() ? "" : "; ") + row.name + ' ' + (row.note.empty() ? "" : row.note + ' ') +
                  number(row.values[0], c.number);
        if (!std::isnan(row.values[1])) {
            result += ", " + number(row.values[1], c.number);
        }
    }
    return result + '.';
}

// ---- The two pictures
// ---------------------------------------------------------------------------------------------

chart hits(const std::string& path) {
    struct source {
        const char* figure;
        const char* name;
        const char* note;
        kind is;
    };
    constexpr std::array<source, 11> sources{{
        {"", "Plain calls", "", kind::heading},
        {"floor_flat_map", "flat map, no lock", "floor", kind::floor},
        {"try_get", "acache", "try_get", kind::ours},
        {"lru_cache", "lru-cache", "get, JavaScript", kind::peer},
        {"caffeine", "Caffeine", "LoadingCache, Java", kind::peer},
        {"tbb", "TBB", "concurrent_lru_cache, C++", kind::peer},
        {"", "Awaited calls that could load", "", kind::heading},
        {"floor_awaited_look_up", "flat map, awaited", "floor", kind::floor},
        {"awaited_hit", "acache", "get_or_load", kind::ours},
        {"lru_cache_fetch", "lru-cache", "fetch, JavaScript", kind::peer},
        {"caffeine_async", "Caffeine", "AsyncLoadingCache, Java", kind::peer},
    }};
    const benchmarks::results measured(path);
    chart c{.title = "What a hit costs",
            .unit = "nanoseconds a hit, less is better",
            .description = {},
            .series = {"1 thread", "2 threads, each"},
            .footnote =
                "32,768 resident u64 keys, Zipf 0.99, every request a hit; all measured in one run of "
                "benchmarks/run.",
            .names_end = 246,
            .most = 250,
            .number = "%.1f",
            .rows = {}};
    for (const source& s : sources) {
        const double alone = measured[s.figure];
        const double one = std::isnan(alone) ? measured[std::string(s.figure) + "/threads:1"] : alone;
        if (s.is == kind::heading || !std::isnan(one)) {
            c.rows.push_back({s.name, s.note, s.is, {one, measured[std::string(s.figure) + "/threads:2"]}});
        }
    }
    c.description =
        "Bars of nanoseconds a hit, on one thread and, where two values follow, on two: " + in_words(c);
    return c;
}

/// As they are called by those who made them.
std::string name_of(const std::string& column) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 10> names{
        {{"S3FIFO", "S3-FIFO"},
         {"S3FIFOd", "S3-FIFO, adaptive"},
         {"TwoQ", "2Q"},
         {"Sieve", "SIEVE"},
         {"WTinyLFU", "W-TinyLFU, fixed window"},
         {"Caffeine_2_6", "Caffeine 2.6"},
         {"Caffeine_3_1", "Caffeine 3.1"},
         {"quick_cache_sync", "quick_cache, shards"},
         {"quick_cache_unsync", "quick_cache"},
         {"Clock", "CLOCK"}}};
    for (const auto& [from, to] : names) {
        if (column == from) {
            return std::string(to);
        }
    }
    return column;
}

chart gaps(const std::string& hit_ratios, const std::string& missratio) {
    const benchmarks::csv measured(hit_ratios);
    const benchmarks::csv published(missratio);
    const std::array<double, 2> least{1000, 100};
    std::array<benchmarks::gap_summaries, 2> ours;
    std::array<benchmarks::gap_summaries, 2> theirs;
    for (std::size_t i = 0; i != least.size(); ++i) {
        ours[i] = benchmarks::measured_gaps(measured, least[i]);
        theirs[i] = benchmarks::published_gaps(published, least[i]);
    }
    const auto& [many, all] = theirs;
    chart c{.title = "How much of the gap between LRU and the optimum policies close",
            .unit = "percent of the misses that Belady's optimum saves over LRU, more is better",
            .description = {},
            .series = {"caches of 1000 entries and more", "of 100 and more"},
            .footnote =
                "Means of " + std::to_string(many.at("LRU").cells) + " and " +
                std::to_string(all.at("LRU").cells) +
                " cells: real traces, at caches of 0.1, 1 and 10 % of their keys. LRU is 0, the optimum 100.",
            .names_end = 200,
            .most = 100,
            .number = "%.1f",
            .rows = {}};
    const auto add = [&](const std::string& name, const std::string& note, kind is, const auto& of,
                         const std::string& key) {
        c.rows.push_back({name, note, is, {100 * of[0].at(key).mean(), 100 * of[1].at(key).mean()}});
    };
    for (const auto& [policy, summary] : ours[0]) {
        if (policy != "lru") {
            add("acache", policy, kind::ours, ours, policy);
        }
    }
    for (const auto& [policy, summary] : many) {
        if (policy == benchmarks::best_of_all) {
            add("best of all, cell by cell", "", kind::floor, theirs, policy);
        } else if (policy != "LRU") {
            add(name_of(policy), "", kind::peer, theirs, policy);
        }
    }
    std::sort(c.rows.begin(), c.rows.end(),
              [](const bar_row& a, const bar_row& b) { return a.values[0] > b.values[0]; });
    c.description =
        "Bars of percent of the gap closed, for caches of 1000 entries and more and of 100 and more: " +
        in_words(c);
    return c;
}

} // namespace

int main(int argc, char** argv) try {
    const std::string_view picture = argc > 1 ? argv[1] : "";
    if (picture == "hits" && argc == 3) {
        draw(hits(argv[2]));
    } else if (picture == "gaps" && argc == 4) {
        draw(gaps(argv[2], argv[3]));
    } else {
        std::fprintf(stderr, "usage: pictures hits RESULTS | pictures gaps HIT-RATIOS MISSRATIO\n");
        return 2;
    }
} catch (const std::exception& error) {
    std::fprintf(stderr, "pictures: %s\n", error.what());
    return 1;
}
