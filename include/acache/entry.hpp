// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_ENTRY_HPP
#define ACACHE_ENTRY_HPP

#include <acache/clock.hpp>

#include <optional>
#include <utility>

namespace acache {

/// A value with its stamps, as backends keep it. A backend stores what it is given and gives it back
/// unchanged; whether an entry may still be served is the cache's decision.
template <class V>
struct entry {
    V value;
    /// The end of the load (or the `set`) that made the value.
    time_point created;
    /// From here on the entry is dead: never served, and the backend may drop it.
    time_point expires;

    explicit entry(V v, time_point at, time_point until = time_point::max())
        : value(std::move(v)), created(at), expires(until) {}

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
