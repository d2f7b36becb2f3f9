// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_FRESHNESS_POLICY_HPP
#define ACACHE_DETAIL_FRESHNESS_POLICY_HPP

#include <acache/clock.hpp>
#include <acache/detail/checks.hpp>
#include <acache/detail/early_refresh.hpp>
#include <acache/detail/random.hpp>
#include <acache/detail/standing.hpp>
#include <acache/entry.hpp>
#include <acache/options.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace acache::detail {

/// What a cache's options say of how long values are of use, and to whom; an option of one load takes the
/// place of the cache's. Constant.
class freshness_policy {
public:
    /// Throws `std::invalid_argument`.
    explicit freshness_policy(const cache_options& options)
        : ttl_(options.ttl),
          windows_{options.stale_while_revalidate, options.stale_if_error, options.keep_stale},
          negative_ttl_(options.negative_ttl), soft_timeout_(options.soft_timeout),
          early_(options.early_refresh), jitter_(options.ttl_jitter) {
        check_positive(ttl_, "ttl");
        check_not_negative(windows_.while_revalidate, "stale_while_revalidate");
        check_not_negative(windows_.if_error, "stale_if_error");
        check_not_negative(windows_.to_compare, "keep_stale");
        check_positive(negative_ttl_, "negative_ttl");
        check_positive(soft_timeout_, "soft_timeout");
        check_share(early_, "early_refresh", 1e9);
        check_share(jitter_, "ttl_jitter", 1);
    }

    [[nodiscard]] stale_windows windows(const load_options& options) const noexcept {
        return {options.stale_while_revalidate.value_or(windows_.while_revalidate),
                options.stale_if_error.value_or(windows_.if_error),
                options.keep_stale.value_or(windows_.to_compare)};
    }
    [[nodiscard]] demand demand_of(const load_options& options) const noexcept {
        return {windows(options), options.max_age};
    }
    [[nodiscard]] std::optional<std::chrono::nanoseconds>
    negative_ttl(const load_options& options) const noexcept {
        return options.negative_ttl ? options.negative_ttl : negative_ttl_;
    }
    [[nodiscard]] std::optional<std::chrono::nanoseconds>
    soft_timeout(const load_options& options) const noexcept {
        return options.soft_timeout ? options.soft_timeout : soft_timeout_;
    }

    /// Each entry has an end of its own, whenever it is made.
    [[nodiscard]] bool jitters() const noexcept { return jitter_ > 0; }
    /// The load time of entries is kept.
    [[nodiscard]] bool renews_early() const noexcept { return early_ > 0; }
    /// Whether who has found this entry, still fresh, is to renew it: a draw.
    [[nodiscard]] bool is_due(time_point now, time_point fresh_until, const entry_details* details) const {
        return details != nullptr && refresh_early(now, fresh_until, details->load_time, early_);
    }
    /// Whether that may be so.
    [[nodiscard]] bool may_be_due(time_point now, time_point fresh_until,
                                  const entry_details* details) const noexcept {
        return details != nullptr && near_end(now, fresh_until, details->load_time, early_);
    }

    /// The stamps of a value that was made at `created` and is to be fresh for `ttl` from then, the cache's
    /// where that is left out.
    [[nodiscard]] entry_stamps stamp(time_point created, std::optional<std::chrono::nanoseconds> ttl,
                                     const stale_windows& windows) const noexcept {
        if (!ttl) {
            ttl = ttl_;
        }
        const auto until = ttl ? saturating_add(created, shortened(*ttl)) : time_point::max();
        return {created, until, saturating_add(until, windows.longest())};
    }

private:
    static void check_share(double given, const char* option, double below) {
        if (!(given >= 0 && given < below)) {
            throw std::invalid_argument(std::string("acache: ") + option + " is " + std::to_string(given) +
                                        " and must be at least 0 and less than " +
                                        std::to_string(static_cast<std::int64_t>(below)));
        }
    }

    /// To whole milliseconds, and for long ones to whole seconds: such instants cost the memory backend no
    /// more than those of plain ttls.
    [[nodiscard]] std::chrono::nanoseconds shortened(std::chrono::nanoseconds ttl) const noexcept {
        if (jitter_ == 0 || ttl.count() <= 0) {
            return ttl;
        }
        using std::chrono::milliseconds;
        const auto less = static_cast<double>(ttl.count()) * jitter_ * random_source::here().share();
        const auto exact = ttl - std::chrono::nanoseconds(static_cast<std::int64_t>(less));
        const auto whole = exact < std::chrono::minutes{70}
                               ? std::chrono::nanoseconds(std::chrono::floor<milliseconds>(exact))
                               : std::chrono::nanoseconds(std::chrono::floor<std::chrono::seconds>(exact));
        return whole.count() > 0 ? whole : exact;
    }

    const std::optional<std::chrono::nanoseconds> ttl_;
    const stale_windows windows_;
    const std::optional<std::chrono::nanoseconds> negative_ttl_;
    const std::optional<std::chrono::nanoseconds> soft_timeout_;
    const double early_;
    const double jitter_;
};

} // namespace acache::detail

#endif
