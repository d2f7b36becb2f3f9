// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_BATCH_LEASES_HPP
#define ACACHE_DETAIL_BATCH_LEASES_HPP

#include <cstddef>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace acache::detail {

/// The leases of a batch, one for each of its keys and in their order; nothing where the backend gives none.
template <class State, bool = State::leases>
class batch_leases {
public:
    using lease = typename State::lease_type;

    template <class Keys>
    static void keep(const Keys&, const Keys&) noexcept {}
    static void let_go() noexcept {}
    [[nodiscard]] lease& operator[](std::size_t) noexcept { return none_; }

private:
    [[no_unique_address]] lease none_;
};

template <class State>
class batch_leases<State, true> {
public:
    using lease = typename State::lease_type;
    using keys = std::vector<typename State::key_type>;

    /// To be looked with.
    [[nodiscard]] std::span<lease> make(std::size_t count) {
        leases_ = std::vector<lease>(count);
        return leases_;
    }

    /// Of those for the keys `before`, the ones for the keys `now`, which are all among those. The others are
    /// let go.
    void keep(const keys& before, const keys& now) {
        std::unordered_map<typename State::key_type, std::size_t, typename State::store_type::hasher,
                           typename State::store_type::key_equal>
            places;
        for (std::size_t i = 0; i != before.size(); ++i) {
            places.emplace(before[i], i);
        }
        std::vector<lease> kept;
        kept.reserve(now.size());
        for (const auto& key : now) {
            kept.push_back(std::move(leases_[places.at(key)]));
        }
        leases_ = std::move(kept);
    }
    void let_go() { leases_.clear(); }

    [[nodiscard]] lease& operator[](std::size_t key) noexcept { return leases_[key]; }
    [[nodiscard]] std::span<lease> all() noexcept { return leases_; }

private:
    std::vector<lease> leases_;
};

} // namespace acache::detail

#endif
