// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_LOADER_CONTEXT_HPP
#define ACACHE_DETAIL_LOADER_CONTEXT_HPP

#include <acache/detail/loader.hpp>
#include <acache/detail/tag_table.hpp>
#include <acache/entry.hpp>
#include <acache/load_context.hpp>

#include <optional>
#include <typeinfo>
#include <utility>

namespace acache::detail {

/// The entry that a load is to replace, as its loader may look at it.
template <class V>
class stale_value {
public:
    void keep(std::optional<entry<V>> of) { entry_ = std::move(of); }

    void show_to(load_context& context) const noexcept {
        if (entry_) {
            context.stale_ = &entry_->value;
            context.stale_type_ = &typeid(V);
            if (entry_->details) {
                context.stale_validator_ = entry_->details->validator;
            }
        }
    }

    [[nodiscard]] V& value() noexcept { return entry_->value; }
    /// Null where there is nothing to be told.
    [[nodiscard]] const entry_details* details() const noexcept {
        return entry_ ? entry_->details.get() : nullptr;
    }

private:
    std::optional<entry<V>> entry_;
};

/// What passes between a load and its loader beside key and value. Nothing, for loaders that take no
/// `load_context`: then neither is an older entry looked for, nor the load known to the tags.
template <class V, bool wanted>
class loader_context {
public:
    template <class Load, class K>
    [[nodiscard]] auto call(Load& load, const K& key) {
        return call_function(load, key);
    }
    static void begin(const tag_table&) noexcept {}
    template <class Outcome>
    static void amend(const Outcome&) noexcept {}
    [[nodiscard]] static const load_context& said() noexcept { return nothing; }
    [[nodiscard]] static const entry_details* older() noexcept { return nullptr; }
    [[nodiscard]] static tag_stamp began() noexcept { return 0; }

private:
    static inline const load_context nothing{};
};

template <class V>
class loader_context<V, true> {
public:
    /// The load begins, in the order of invalidations. Before anything else.
    void begin(tag_table& tags) { tagging_.emplace(tags); }
    /// What is stored under the key, if it is not dead.
    void keep(std::optional<entry<V>> older) { older_.keep(std::move(older)); }

    template <class Load, class K>
    [[nodiscard]] auto call(Load& load, const K& key) {
        older_.show_to(said_);
        if constexpr (std::invocable<Load&, load_context&, const K&>) {
            return std::invoke(load, said_, key);
        } else {
            return std::invoke(load, said_);
        }
    }

    /// The old value in place of what the loader returned, where that has said so.
    template <class Outcome>
    void amend(Outcome& outcome) {
        if (said_.is_not_modified() && !outcome.error) {
            outcome.value.emplace(std::move(older_.value()));
        }
    }
    [[nodiscard]] const load_context& said() const noexcept { return said_; }
    [[nodiscard]] const entry_details* older() const noexcept { return older_.details(); }
    /// When the load began.
    [[nodiscard]] tag_stamp began() const noexcept { return tagging_->began(); }

private:
    load_context said_;
    stale_value<V> older_;
    std::optional<tag_table::load> tagging_;
};

} // namespace acache::detail

#endif
