// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_LEVEL_TRANSFER_HPP
#define ACACHE_DETAIL_LEVEL_TRANSFER_HPP

#include <acache/detail/clear_count.hpp>
#include <acache/detail/level_fills.hpp>
#include <acache/detail/tag_table.hpp>
#include <acache/entry.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace acache::detail {

/// What has to hold still when the answer of level 2 is there, lest it is not kept in level 1. To be made
/// when the fills are registered, and before the request is sent; one for all the keys of a request.
template <class State>
class read_conditions {
public:
    explicit read_conditions(State& self)
        : self_(self), coherence_(self.coherence()), invalidations_(self.tag_invalidations.now()) {
        if constexpr (State::tagged) {
            tags_.emplace(self.far.tags()); // so that no invalidation from now on is forgotten
        }
    }

    /// Puts what was found in level 1 if it may be there.
    void fill(level_fills::fill& way, const typename State::K& key, std::size_t hash,
              const entry<typename State::V>& found) {
        auto copy = self_.bounded(found);
        const auto displaced =
            way.settle([&](bool fenced) { return put(fenced, key, hash, found, std::move(copy)); });
    }
    /// The same for a way that nobody else asks.
    void fill(level_fills::fill&& way, const typename State::K& key, std::size_t hash,
              const entry<typename State::V>& found) {
        auto copy = self_.bounded(found);
        const auto displaced =
            way.settle_and_end([&](bool fenced) { return put(fenced, key, hash, found, std::move(copy)); });
    }

    /// Level 2 has nothing for who is to load the key: what level 1 has is older than a removal, even if that
    /// goes unheard. Redis does not tell of a removal that a lease of ours follows at once.
    void drop(level_fills::fill& way, const typename State::K& key, std::size_t hash) {
        if constexpr (State::notified) {
            const auto removed = way.settle([&](bool fenced) {
                std::optional<decltype(self_.near.erase(key, hash))> result;
                if (!fenced && coherence_ != 0 && coherence_ == self_.coherence()) {
                    result.emplace(self_.near.erase(key, hash));
                }
                return result;
            });
        }
    }

private:
    [[nodiscard]] auto put(bool fenced, const typename State::K& key, std::size_t hash,
                           const entry<typename State::V>& found, entry<typename State::V>&& copy) {
        std::optional<decltype(self_.near.set(key, std::move(copy), hash))> result;
        if (!fenced && hold(found)) {
            result.emplace(self_.near.set(key, std::move(copy), hash));
        } else {
            ++self_.counts.fenced;
        }
        return result;
    }
    [[nodiscard]] bool hold(const entry<typename State::V>& found) const {
        return coherence_ != 0 && coherence_ == self_.coherence() && !State::is_dead(found) &&
               (!found.details || found.details->tags.empty() || tags_hold(*found.details));
    }
    [[nodiscard]] bool tags_hold(const entry_details& details) const {
        return self_.tag_invalidations.none_since(invalidations_) &&
               (!tags_ || std::ranges::none_of(details.tags, [&](const tagging& t) {
                   return t.of->invalidated() > tags_->began();
               }));
    }

    State& self_;
    const std::uint64_t coherence_;
    const clear_count::mark invalidations_;
    std::optional<tag_table::load> tags_;
};

/// A write to level 2, from before it is sent. What is read meanwhile may be older, and what others change
/// meanwhile may be newer: neither stays in level 1. Where it is not said how the write has ended, as the
/// coroutine is destroyed, nobody knows, and level 1 has nothing.
template <class State>
class level_write {
public:
    /// The key outlives the write.
    level_write(State& self, const typename State::K& key, std::size_t hash)
        : self_(self), key_(key), hash_(hash), way_(fenced(self, hash)) {}
    level_write(const level_write&) = delete;
    level_write& operator=(const level_write&) = delete;
    ~level_write() {
        if (!over_) {
            const auto removed = way_.settle_alone([this](bool) { return self_.near.erase(key_, hash_); });
        }
    }

    /// The value is what there is, as far as this process knows.
    void keep(const entry<typename State::V>& e) {
        if (State::is_dead(e)) {
            return;
        }
        auto copy = self_.bounded(e);
        const auto displaced = way_.settle_alone([&](bool others_changed_it) {
            std::optional<decltype(self_.near.set(key_, std::move(copy), hash_))> result;
            if (!others_changed_it) {
                result.emplace(self_.near.set(key_, std::move(copy), hash_));
                over_ = true;
            }
            return result;
        });
    }
    /// Level 2 has not taken it: level 1 stays as it is.
    void leave() noexcept { over_ = true; }

private:
    [[nodiscard]] static level_fills::fill fenced(State& self, std::size_t hash) {
        (void)self.fills.fence(hash, [] { return 0; });
        return level_fills::fill(self.fills, hash);
    }

    State& self_;
    const typename State::K& key_;
    const std::size_t hash_;
    level_fills::fill way_;
    bool over_ = false;
};

/// A removal: level 1 loses the key before level 2 is asked to, and once more when that is over, with
/// whatever was read in between (contract C30).
template <class State>
class level_removal {
public:
    /// The key outlives the removal.
    level_removal(State& self, const typename State::K& key, std::size_t hash)
        : self_(self), key_(key), hash_(hash), was_(self.remove(key, hash)) {}
    level_removal(const level_removal&) = delete;
    level_removal& operator=(const level_removal&) = delete;
    ~level_removal() { self_.remove(key_, hash_); }

    /// Whether level 1 had it.
    [[nodiscard]] bool was() const noexcept { return was_; }

private:
    State& self_;
    const typename State::K& key_;
    const std::size_t hash_;
    const bool was_;
};

/// The same for all keys.
template <class State>
class level_clear {
public:
    explicit level_clear(State& self) : self_(self) { self_.remove_all(); }
    level_clear(const level_clear&) = delete;
    level_clear& operator=(const level_clear&) = delete;
    ~level_clear() { self_.remove_all(); }

private:
    State& self_;
};

} // namespace acache::detail

#endif
