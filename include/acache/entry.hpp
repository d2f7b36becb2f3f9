// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_ENTRY_HPP
#define ACACHE_ENTRY_HPP

#include <acache/clock.hpp>
#include <acache/detail/tag.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace acache {

/// What only some entries have, for the cache to use: backends keep it with the entry and do not look at it.
/// Constant once it is an entry's.
struct entry_details : boost::intrusive_ref_counter<entry_details> {
    /// How long the load took that made the value; zero where that is of no use.
    std::chrono::nanoseconds load_time{0};
    /// What the source calls this version of the value, such as an ETag.
    std::string validator;
    std::vector<detail::tagging> tags;

    /// A tag of the entry has been invalidated since its load began: the entry is dead.
    [[nodiscard]] bool invalidated() const noexcept {
        return std::ranges::any_of(tags, [](const detail::tagging& t) { return t.invalid(); });
    }
    /// That may have been before `seen` already.
    [[nodiscard]] bool invalidated_before(detail::tag_stamp seen) const noexcept {
        return std::ranges::any_of(
            tags, [seen](const detail::tagging& t) { return t.invalid() && t.began < seen; });
    }
};

using entry_details_ptr = boost::intrusive_ptr<const entry_details>;

/// What an entry has beside its value.
struct entry_stamps {
    /// The end of the load (or the `set`) that made the value.
    time_point created;
    /// From here on the entry is stale: served only where that is asked for.
    time_point fresh_until = time_point::max();
    /// From here on the entry is dead: never served, and the backend may drop it. Not before `fresh_until`.
    time_point expires = time_point::max();
};

/// A value with its stamps, as backends keep it. A backend stores what it is given and gives it back
/// unchanged; whether an entry may still be served is the cache's decision.
template <class V>
struct entry : entry_stamps {
    V value;
    /// Null for plain entries.
    entry_details_ptr details;

    explicit entry(V v, time_point at, time_point until = time_point::max())
        : entry_stamps{at, until, until}, value(std::move(v)) {}
    /// A template, so that `{}` for the stamps is an instant, as it is above.
    template <std::derived_from<entry_stamps> Stamps = entry_stamps>
    entry(V v, const Stamps& stamps, entry_details_ptr more = nullptr)
        : entry_stamps(stamps), value(std::move(v)), details(std::move(more)) {}

    [[nodiscard]] bool expired(time_point now) const noexcept { return expires <= now; }
};

/// What a backend can say about a key without suspending: the entry, that there is none, or that it does
/// not know here and must be asked with `get`.
template <class V>
class local_answer {
public:
    [[nodiscard]] static local_answer here(entry<V> found) {
        return local_answer{std::optional<entry<V>>{std::move(found)}, true};
    }
    [[nodiscard]] static local_answer absent() noexcept { return local_answer{std::nullopt, true}; }
    [[nodiscard]] static local_answer unknown() noexcept { return local_answer{std::nullopt, false}; }

    /// False: ask asynchronously.
    [[nodiscard]] bool known() const noexcept { return known_; }
    /// The entry, if it is here; empty both for absent and for unknown.
    [[nodiscard]] std::optional<entry<V>>& found() noexcept { return found_; }

private:
    local_answer(std::optional<entry<V>> found, bool known) : found_(std::move(found)), known_(known) {}

    std::optional<entry<V>> found_;
    bool known_;
};

} // namespace acache

#endif
