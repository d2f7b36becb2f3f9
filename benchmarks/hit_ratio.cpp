// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Replays traces through the memory backend with different eviction policies, and sets their miss ratios
// beside those of other caches and of Belady's optimum.

#include <acache/lru.hpp>
#include <acache/memory_backend.hpp>
#include <acache/s3_fifo.hpp>
#include <acache/turnstile.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

constexpr std::string_view usage = R"(usage: hit_ratio [options] FOLDER

Replays the traces in FOLDER: text, one decimal key a line, NAME.txt or NAME.txt.xz (which wants xz).

  --missratio FILE    which caches to replay, and the miss ratios to compare with: a table with the columns
                      trace, cache_size, LRU and Belady, and between cache_size and Belady any others
  --policy NAME       default (turnstile), s3_fifo or lru; may be repeated (default, s3_fifo)
  --shards N          shards of the store (0: as it chooses)
  --no-zipf           leave out the drawn trace: 1M keys, Zipf 0.99, 4.2M requests, capacity 65,536
  --csv FILE          also write a table for machines: trace, cache_size, policy, miss_ratio, gap_closed
  --help              this text

The gap closed is (miss(LRU) - miss(x)) / (miss(LRU) - miss(optimum)): 1 is the optimum, 0 is LRU.
)";

struct options {
    std::filesystem::path folder;
    std::filesystem::path miss_ratios;
    std::filesystem::path csv;
    std::vector<std::string> policies;
    std::size_t shards = 0;
    bool zipf = true;
    bool help = false;
};

template <class Number>
Number parse_number(const std::string& what, const std::string& text) {
    Number result{};
    const auto* const end = text.data() + text.size();
    const auto [after, error] = std::from_chars(text.data(), end, result);
    if (error != std::errc() || after != end) {
        throw std::invalid_argument(what + ": not a number: " + text);
    }
    return result;
}

options parse_options(std::span<char*> arguments) {
    options result;
    for (std::size_t i = 0; i != arguments.size(); ++i) {
        const std::string_view name = arguments[i];
        const auto value = [&]() -> std::string {
            if (i + 1 == arguments.size()) {
                throw std::invalid_argument(std::string(name) + ": its value is missing");
            }
            return arguments[++i];
        };
        if (name == "--help") {
            result.help = true;
        } else if (name == "--missratio") {
            result.miss_ratios = value();
        } else if (name == "--policy") {
            result.policies.push_back(value());
        } else if (name == "--shards") {
            result.shards = parse_number<std::size_t>("--shards", value());
        } else if (name == "--csv") {
            result.csv = value();
        } else if (name == "--no-zipf") {
            result.zipf = false;
        } else if (name.starts_with("--") || !result.folder.empty()) {
            throw std::invalid_argument("unknown, or one too many: " + std::string(name));
        } else {
            result.folder = name;
        }
    }
    if (!result.help && (result.folder.empty() || result.miss_ratios.empty())) {
        throw std::invalid_argument("a folder of traces and --missratio are needed");
    }
    if (result.policies.empty()) {
        result.policies = {"default", "s3_fifo"};
    }
    return result;
}

using trace = std::vector<std::uint64_t>;

template <class Policy>
double miss_ratio(const trace& requests, std::size_t capacity, std::size_t shards) {
    using store =
        acache::memory_backend<std::uint64_t, char, acache::hash<std::uint64_t>, std::equal_to<>, Policy>;
    acache::memory_options settings;
    settings.capacity = capacity;
    settings.shards = shards;
    store cache{std::move(settings)};
    std::size_t misses = 0;
    for (const auto key : requests) {
        if (!cache.get(key)) {
            ++misses;
            cache.set(key, acache::entry<char>(0, acache::time_point{}));
        }
    }
    return static_cast<double>(misses) / static_cast<double>(requests.size());
}

using replay = double (*)(const trace& requests, std::size_t capacity, std::size_t shards);

replay replay_of(std::string_view policy) {
    constexpr std::array<std::pair<std::string_view, replay>, 4> known{{
        {"default", miss_ratio<acache::turnstile>},
        {"turnstile", miss_ratio<acache::turnstile>},
        {"s3_fifo", miss_ratio<acache::s3_fifo>},
        {"lru", miss_ratio<acache::lru>},
    }};
    const auto* const found = std::ranges::find(known, policy, &std::pair<std::string_view, replay>::first);
    if (found == known.end()) {
        throw std::invalid_argument("--policy: unknown: " + std::string(policy));
    }
    return found->second;
}

std::string read_file(const std::filesystem::path& file) {
    const bool packed = file.extension() == ".xz";
    std::string command = "xz -dc '";
    for (const char c : file.string()) {
        command += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    using closer = int (*)(std::FILE*);
    const std::unique_ptr<std::FILE, closer> in =
        packed ? std::unique_ptr<std::FILE, closer>(popen((command + "'").c_str(), "r"), pclose)
               : std::unique_ptr<std::FILE, closer>(std::fopen(file.c_str(), "r"), std::fclose);
    std::string text;
    std::array<char, 65'536> part{};
    for (std::size_t read = 1; in && read != 0;) {
        read = std::fread(part.data(), 1, part.size(), in.get());
        text.append(part.data(), read);
    }
    return text;
}

/// The trace of that name in the folder; empty if there is none.
trace read_trace(const std::filesystem::path& folder, const std::string& name) {
    trace requests;
    for (const auto* const ending : {".txt", ".txt.xz"}) {
        const auto file = folder / (name + ending);
        if (!std::filesystem::exists(file)) {
            continue;
        }
        const auto text = read_file(file);
        for (const auto *at = text.data(), *end = at + text.size(); at != end;) {
            std::uint64_t key = 0;
            const auto [after, error] = std::from_chars(at, end, key);
            if (error != std::errc()) {
                throw std::invalid_argument(file.string() + ": no key at byte " +
                                            std::to_string(at - text.data()));
            }
            requests.push_back(key);
            at = std::find_if(after, end, [](char c) { return c >= '0' && c <= '9'; });
        }
        if (requests.empty()) {
            throw std::invalid_argument(file.string() + ": no keys; is xz installed?");
        }
        break;
    }
    return requests;
}

/// 1M keys, drawn 4.2M times, the n-th with a weight of n^-0.99. Their numbers say nothing of their ranks.
trace zipf_trace() {
    std::vector<double> sums;
    double sum = 0;
    for (int n = 1; n <= 1'000'000; ++n) {
        sums.push_back(sum += std::pow(n, -.99));
    }
    std::mt19937_64 random{42};
    trace requests(4'200'000);
    for (auto& key : requests) {
        const double at = static_cast<double>(random() >> 11) * 0x1p-53 * sum;
        const auto rank = static_cast<std::uint64_t>(std::ranges::upper_bound(sums, at) - sums.begin());
        key = rank * 0x9E37'79B9'7F4A'7C15U;
    }
    return requests;
}

/// A cache to replay a trace with, and the miss ratios that are known of it.
struct cell {
    std::string trace;
    std::size_t capacity = 0;
    double lru = 0;
    double best = 0;
    std::vector<double> others;

    [[nodiscard]] double gap() const { return lru - best; }
    [[nodiscard]] double closed(double miss_ratio) const { return (lru - miss_ratio) / gap(); }
    /// Where the optimum is LRU, or nearly, there is no gap to close.
    [[nodiscard]] bool counts() const { return gap() >= .001; }
};

struct table {
    std::vector<std::string> others;
    std::vector<cell> cells;
};

std::vector<std::string> split(const std::string& line) {
    std::vector<std::string> fields(1);
    for (const char c : line) {
        if (c == ',') {
            fields.emplace_back();
        } else if (c != '\r') {
            fields.back() += c;
        }
    }
    return fields;
}

table read_table(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::string line;
    if (!std::getline(in, line)) {
        throw std::invalid_argument("cannot be read: " + file.string());
    }
    const auto header = split(line);
    const auto column = [&](std::string_view title) {
        const auto found = std::ranges::find(header, title);
        if (found == header.end()) {
            throw std::invalid_argument(file.string() + ": no column " + std::string(title));
        }
        return static_cast<std::size_t>(found - header.begin());
    };
    const auto name = column("trace");
    const auto capacity = column("cache_size");
    const auto lru = column("LRU");
    const auto best = column("Belady");
    const auto first = std::ranges::find(header, "pct") == header.end() ? capacity + 1 : column("pct") + 1;
    table result;
    for (auto n = first; n < best; ++n) {
        result.others.push_back(header[n]);
    }
    if (result.others.empty()) {
        throw std::invalid_argument(file.string() +
                                    ": no policies between the columns cache_size and Belady");
    }
    while (std::getline(in, line)) {
        const auto fields = split(line);
        if (fields.size() != header.size()) {
            throw std::invalid_argument(file.string() + ": not as many fields as columns: " + line);
        }
        const auto ratio = [&](std::size_t n) { return parse_number<double>(file.string(), fields[n]); };
        cell& c = result.cells.emplace_back(cell{fields[name],
                                                 parse_number<std::size_t>(file.string(), fields[capacity]),
                                                 ratio(lru),
                                                 ratio(best),
                                                 {}});
        for (auto n = first; n < best; ++n) {
            c.others.push_back(ratio(n));
        }
    }
    return result;
}

/// The gap closed by one policy, over the cells of at least so many entries.
struct summary {
    int cells = 0;
    double sum = 0;
    double worst = std::numeric_limits<double>::infinity();

    void add(double closed) {
        ++cells;
        sum += closed;
        worst = std::min(worst, closed);
    }
};

struct policy_result {
    std::string name;
    summary large; // 1000 entries or more
    summary all;   // 100 entries or more

    void add(const cell& c, double miss_ratio) {
        if (c.counts() && c.capacity >= 1000) {
            large.add(c.closed(miss_ratio));
        }
        if (c.counts() && c.capacity >= 100) {
            all.add(c.closed(miss_ratio));
        }
    }
};

class report {
public:
    report(const options& o, const table& t) : options_(o), table_(t), csv_(o.csv) {
        if (!o.csv.empty() && !csv_) {
            throw std::invalid_argument("cannot be written: " + o.csv.string());
        }
        for (const auto& names : {o.policies, t.others}) {
            for (const auto& name : names) {
                results_.push_back({name, {}, {}});
            }
        }
        csv_ << "trace,cache_size,policy,miss_ratio,gap_closed\n";
    }

    void run() {
        print_header();
        std::string name;
        trace requests;
        for (const auto& c : table_.cells) {
            if (std::exchange(name, c.trace) != c.trace || requests.empty()) {
                requests = read_trace(options_.folder, c.trace);
            }
            if (requests.empty()) {
                std::printf("%-26s %8zu  no such trace: left out\n", c.trace.c_str(), c.capacity);
                continue;
            }
            print(c, replay_all(requests, c.capacity));
        }
        print_summary();
        if (options_.zipf) {
            print_zipf();
        }
    }

private:
    [[nodiscard]] std::vector<double> replay_all(const trace& requests, std::size_t capacity) const {
        std::vector<double> ratios;
        for (const auto& policy : options_.policies) {
            ratios.push_back(replay_of(policy)(requests, capacity, options_.shards));
        }
        return ratios;
    }

    void print_header() const {
        std::printf("%-26s %8s", "miss ratio (gap closed)", "entries");
        for (const auto& policy : options_.policies) {
            std::printf("  %16s", policy.c_str());
        }
        std::printf("  %7s %7s  %s\n", "LRU", "optimum", "best of the others");
    }

    void print(const cell& c, std::vector<double> ratios) {
        std::printf("%-26s %8zu", c.trace.c_str(), c.capacity);
        for (const auto ratio : ratios) {
            std::printf(c.counts() ? "  %.4f (%7.3f)" : "  %.4f          ", ratio, c.closed(ratio));
        }
        const auto best = std::ranges::min_element(c.others);
        std::printf("  %.4f  %.4f  %.4f %s\n", c.lru, c.best, *best,
                    table_.others[static_cast<std::size_t>(best - c.others.begin())].c_str());
        std::fflush(stdout);
        ratios.insert(ratios.end(), c.others.begin(), c.others.end());
        for (std::size_t n = 0; n != ratios.size(); ++n) {
            results_[n].add(c, ratios[n]);
            csv_ << c.trace << ',' << c.capacity << ',' << results_[n].name << ',' << ratios[n] << ',';
            if (c.counts()) {
                csv_ << c.closed(ratios[n]);
            }
            csv_ << '\n';
        }
    }

    void print_summary() const {
        if (results_.front().all.cells == 0) {
            return;
        }
        std::printf("\n%-20s %24s %24s\n%-20s %10d cells %7s %10d cells %7s\n", "gap closed",
                    "1000 entries or more", "100 entries or more", "", results_.front().large.cells, "worst",
                    results_.front().all.cells, "worst");
        for (const auto& r : results_) {
            std::printf("%-20s", r.name.c_str());
            for (const auto* s : {&r.large, &r.all}) {
                std::printf(" %16.3f %7.3f", s->sum / std::max(s->cells, 1), s->worst);
            }
            std::printf("\n");
        }
    }

    void print_zipf() {
        std::printf("\nZipf 0.99, 1M keys, 4.2M requests, 65,536 entries\n");
        const auto ratios = replay_all(zipf_trace(), 65'536);
        for (std::size_t n = 0; n != ratios.size(); ++n) {
            std::printf("%-20s %.4f\n", results_[n].name.c_str(), ratios[n]);
            csv_ << "zipf,65536," << results_[n].name << ',' << ratios[n] << ",\n";
        }
    }

    const options& options_;
    const table& table_;
    std::ofstream csv_;
    std::vector<policy_result> results_;
};

int main(int argument_count, char** arguments) {
    try {
        const auto o = parse_options({arguments + 1, static_cast<std::size_t>(argument_count - 1)});
        if (o.help) {
            std::cout << usage;
            return 0;
        }
        for (const auto& policy : o.policies) {
            replay_of(policy);
        }
        report(o, read_table(o.miss_ratios)).run();
        return 0;
    } catch (const std::exception& error) {
        std::cerr << "hit_ratio: " << error.what() << '\n' << usage;
        return 2;
    }
}
