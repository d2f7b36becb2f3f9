// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/async_cache.hpp>
#include <acache/shared_backend.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

// Another thread tells of changes, all the while that a cache is used, closed and destroyed.

namespace {

namespace asio = boost::asio;

/// Lets others run.
asio::awaitable<void> hop(int times) {
    for (; times != 0; --times) {
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    }
}

/// What handles of a backend have in common: entries, each with a number that no other write has, and who is
/// to be told.
struct store {
    using found = std::optional<acache::entry<int>>;
    struct slot {
        std::uint64_t id = 0;
        found value;
    };

    std::mutex mutex;
    std::map<int, slot> slots;
    std::uint64_t last_id = 0;
    std::weak_ptr<acache::change_listener<int>> listener;

    /// As another process.
    void change(int key, found value) {
        std::shared_ptr<acache::change_listener<int>> told;
        {
            const std::lock_guard lock{mutex};
            slots[key] = {++last_id, std::move(value)};
            told = listener.lock();
        }
        if (told) {
            told->changed(key);
        }
    }
    void change_all() {
        std::shared_ptr<acache::change_listener<int>> told;
        {
            const std::lock_guard lock{mutex};
            slots.clear();
            told = listener.lock();
        }
        if (told) {
            told->lost();
            told->all_changed();
        }
    }
};

/// Leases that nobody waits for.
class handle {
    template <class T>
    using awaitable = asio::awaitable<T>;
    using found = store::found;

public:
    struct lease {
        std::optional<std::uint64_t> saw;
    };

    explicit handle(std::shared_ptr<store> s) : store_(std::move(s)) {}

    awaitable<found> get(const int& key) {
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        const std::lock_guard lock{store_->mutex};
        co_return store_->slots[key].value;
    }
    awaitable<void> set(const int& key, acache::entry<int> e) {
        const std::lock_guard lock{store_->mutex};
        store_->slots[key] = {++store_->last_id, std::move(e)};
        co_return;
    }
    awaitable<bool> erase(const int& key) {
        const std::lock_guard lock{store_->mutex};
        co_return store_->slots.erase(key) != 0;
    }
    awaitable<void> clear() {
        const std::lock_guard lock{store_->mutex};
        store_->slots.clear();
        co_return;
    }
    awaitable<found> get(const int& key, lease& l, acache::lease_mode) {
        co_await hop(1);
        found result = look(key, l);
        co_await hop(4);
        co_return result;
    }
    awaitable<bool> set(const int& key, acache::entry<int> e, lease& l) {
        const std::lock_guard lock{store_->mutex};
        auto& slot = store_->slots[key];
        const bool stores = !l.saw || slot.id == *l.saw;
        if (stores) {
            slot = {++store_->last_id, std::move(e)};
        }
        co_return stores;
    }
    awaitable<std::vector<found>> get_many(std::span<const int> keys, std::span<lease> leases) {
        std::vector<found> result;
        for (std::size_t i = 0; i != keys.size(); ++i) {
            result.push_back(co_await get(keys[i], leases[i], acache::lease_mode::go_on));
        }
        co_return result;
    }

    void listen(std::weak_ptr<acache::change_listener<int>> listener) {
        const std::lock_guard lock{store_->mutex};
        store_->listener = std::move(listener);
    }
    [[nodiscard]] std::uint64_t coherence() const { return 1; }

private:
    found look(int key, lease& l) {
        const std::lock_guard lock{store_->mutex};
        l.saw = store_->slots[key].id;
        return store_->slots[key].value;
    }

    std::shared_ptr<store> store_;
};

static_assert(acache::leasing_backend<handle, int, int>);
static_assert(acache::notifying_backend<handle, int>);

TEST_CASE("C10 C11 changes may be told while the cache is used, closed and destroyed") {
    const auto shared = std::make_shared<store>();
    std::atomic<bool> over = false;
    std::thread teller([&] {
        for (int i = 0; !over; ++i) {
            shared->change(i % 4, i % 3 == 0
                                      ? std::nullopt
                                      : store::found(acache::entry<int>(i, acache::coarse_clock::now())));
            if (i % 16 == 0) {
                shared->change_all();
            }
            std::this_thread::yield();
        }
    });
    asio::thread_pool pool(2);
    for (int round = 0; round != 60; ++round) {
        acache::async_cache<int, int, handle> cache(pool, handle(shared));
        const auto load = [](const int& key) -> asio::awaitable<int> {
            co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
            co_return key;
        };
        std::vector<std::future<int>> got;
        for (int i = 0; i != 20; ++i) {
            got.push_back(asio::co_spawn(pool, cache.get_or_load(i % 4, load), asio::use_future));
        }
        if (round % 2 == 0) {
            for (auto& g : got) {
                (void)g.get();
            }
        }
        if (round % 3 == 0) {
            asio::co_spawn(pool, cache.close(), asio::use_future).get();
        }
    }
    pool.join();
    over = true;
    teller.join();
    CHECK(shared->listener.expired());
}

TEST_CASE("C14 what a get brings is never older than a change that was told before it") {
    // The source counts up, and after each step somebody else writes that or removes what is stored: who then
    // asks has to get that step or a later one, by whichever flight.
    const auto shared = std::make_shared<store>();
    asio::thread_pool pool(2);
    acache::async_cache<int, int, handle> cache(pool, handle(shared));
    std::atomic<int> truth = 0;
    const auto load = [&truth](const int&) -> asio::awaitable<int> {
        const int now = truth;
        co_await hop(8);
        co_return now;
    };
    std::atomic<bool> over = false;
    std::vector<std::thread> askers;
    std::atomic<int> older = 0;
    for (int t = 0; t != 2; ++t) {
        askers.emplace_back([&, refreshes = t == 0] {
            while (!over) {
                (void)asio::co_spawn(pool, refreshes ? cache.refresh(0, load) : cache.get_or_load(0, load),
                                     asio::use_future)
                    .get();
            }
        });
    }
    for (int i = 0; i != 2000; ++i) {
        const int now = ++truth;
        shared->change(0, i % 2 == 0 ? std::nullopt
                                     : store::found(acache::entry<int>(now, acache::coarse_clock::now())));
        older += asio::co_spawn(pool, cache.get_or_load(0, load), asio::use_future).get() < now ? 1 : 0;
    }
    over = true;
    for (auto& t : askers) {
        t.join();
    }
    CHECK(older == 0);
}

} // namespace
