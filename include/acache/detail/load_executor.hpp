// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_LOAD_EXECUTOR_HPP
#define ACACHE_DETAIL_LOAD_EXECUTOR_HPP

#include <acache/detail/load_node.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/strand.hpp>

#include <utility>

namespace acache::detail {

namespace asio = boost::asio;

/// The executor a load runs on: another executor, with the name of the load. A coroutine that finds it under
/// its own `this_coro::executor` knows that it runs inside that load.
class load_executor {
public:
    /// Loads run on a strand of their own, so that they can be cancelled from any thread.
    using inner_type = asio::strand<asio::any_io_executor>;

    load_executor(inner_type inner, load_node_ptr node) noexcept
        : inner_(std::move(inner)), node_(std::move(node)) {}

    // Executors have to be copied without throwing, which intrusive_ptr does but does not declare.
    load_executor(const load_executor& other) noexcept : inner_(other.inner_), node_(other.node_) {}
    load_executor& operator=(const load_executor&) = delete;

    [[nodiscard]] const load_node_ptr& node() const noexcept { return node_; }

    template <class Property>
        requires asio::can_query_v<const inner_type&, Property>
    auto query(const Property& p) const noexcept
        -> decltype(asio::query(std::declval<const inner_type&>(), p)) {
        return asio::query(inner_, p);
    }

    template <class Property>
        requires asio::can_require_v<const inner_type&, Property>
    auto require(const Property& p) const { return load_executor(asio::require(inner_, p), node_); }

    template <class Property>
        requires asio::can_prefer_v<const inner_type&, Property>
    auto prefer(const Property& p) const { return load_executor(asio::prefer(inner_, p), node_); }

    template <class F>
    void execute(F&& f) const {
        inner_.execute(std::forward<F>(f));
    }

    friend bool operator==(const load_executor& a, const load_executor& b) noexcept {
        return a.inner_ == b.inner_ && a.node_ == b.node_;
    }

private:
    inner_type inner_;
    load_node_ptr node_;
};

/// The load that runs on `executor`; null where none does.
[[nodiscard]] inline load_node_ptr load_of(const asio::any_io_executor& executor) {
    const auto* found = executor.target<load_executor>();
    return found != nullptr ? found->node() : nullptr;
}

} // namespace acache::detail

#endif
