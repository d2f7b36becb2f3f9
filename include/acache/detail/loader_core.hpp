// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_LOADER_CORE_HPP
#define ACACHE_DETAIL_LOADER_CORE_HPP

#include <acache/detail/context_watch.hpp>
#include <acache/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <vector>

namespace acache::detail {

/// What a `DataLoader<K, V>` is a handle to, whatever it stands on.
template <class K, class V>
class loader_core : public context_watcher {
public:
    virtual asio::any_io_executor executor() const = 0;
    virtual asio::awaitable<V> load(K key) = 0;
    virtual asio::awaitable<std::vector<load_result<V>>> load_many(std::vector<K> keys) = 0;
    virtual void prime(K key, V value) = 0;
    virtual void clear(K key) = 0;
    virtual void clear_all() = 0;
    virtual void flush() = 0;
    virtual void shut() = 0;
    virtual asio::awaitable<void> close() = 0;
    virtual asio::awaitable<void> drain() = 0;
};

} // namespace acache::detail

#endif
