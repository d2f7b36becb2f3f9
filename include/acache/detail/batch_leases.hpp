// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_BATCH_LEASES_HPP
#define ACACHE_DETAIL_BATCH_LEASES_HPP

#include <acache/detail/load_lease.hpp>

#include <cstddef>
#include <memory>
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
        auto& all = leases_.use();
        all = std::vector<lease>(count);
        return all;
    }

    /// They have been looked with: of those for the keys `before`, the ones for the keys `now`, which are all
    /// among those. The others are let go.
    void keep(const keys& before, const keys& now) {
        std::unordered_map<typename State::key_type, std::size_t, typename State::store_type::hasher,
                           typename State::store_type::key_equal>
            places;
        for (std::size_t i = 0; i != before.size(); ++i) {
            places.emplace(before[i], i);
        }
        auto& all = leases_.use();
        std::vector<lease> kept;
        kept.reserve(now.size());
        for (const auto& key : now) {
            kept.push_back(std::move(all[places.at(key)]));
        }
        all = std::move(kept);
        leases_.rest();
    }
    void let_go() { leases_.let_go(); }

    /// To store with; as good as none where the batch was cancelled, which then stores nothing.
    [[nodiscard]] lease& operator[](std::size_t key) {
        auto& all = leases_.use();
        return key < all.size() ? all[key] : none_;
    }
    [[nodiscard]] std::span<lease> all() { return leases_.use(); }

    [[nodiscard]] const auto& shared() const noexcept { return leases_.shared(); }

private:
    load_lease<std::vector<lease>, true> leases_;
    lease none_;
};

} // namespace acache::detail

#endif
