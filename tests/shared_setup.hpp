// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_SHARED_SETUP_HPP
#define ACACHE_TESTS_SHARED_SETUP_HPP

#include "cache_setup.hpp"
#include "shared_store.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace setup {

/// A cache on a shared store, with what only it has: as one process.
template <bool has_near = false>
struct process {
    using client = store_client<std::string, int, has_near>;
    using cache_type = acache::async_cache<std::string, int, client>;

    process(asio::io_context& context, const std::shared_ptr<shared_server<std::string, int>>& server,
            acache::cache_options options)
        : store(server), cache(std::in_place, context, store, options) {}

    auto load(std::string key, acache::load_options options = {}) {
        return cache->get_or_load(std::move(key), src, options);
    }

    client store;
    acache::testing::script script = store.script();
    source src;
    std::optional<cache_type> cache;
};

/// Two processes that share a store. Each has a source of its own.
template <bool has_near = false>
struct cluster {
    explicit cluster(acache::cache_options options = {})
        : first(context, server, options), second(context, server, options) {
        first.src.start_at(100);
        second.src.start_at(200);
    }

    template <class T>
    caller<T> call(asio::awaitable<T> work) {
        caller<T> result(context.get_executor(), std::move(work));
        settle();
        return result;
    }
    void settle() { steps.run_until_idle(); }
    /// What is served by both.
    [[nodiscard]] std::optional<int> stored(const std::string& key) const { return server->value(key); }

    struct reset_clock {
        reset_clock() { manual_clock::reset(); }
    } at_first;
    asio::io_context context;
    stepper steps{context};
    std::shared_ptr<shared_server<std::string, int>> server =
        std::make_shared<shared_server<std::string, int>>();
    process<has_near> first;
    process<has_near> second;
};

} // namespace setup

#endif
