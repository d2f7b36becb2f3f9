// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_SIMULATION_HPP
#define ACACHE_TESTS_SIMULATION_HPP

#include "simulation_backend.hpp"
#include "simulation_model.hpp"

#include <acache/async_cache.hpp>
#include <acache/data_loader.hpp>
#include <acache/error.hpp>
#include <acache/testing.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <iomanip>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace simulation {

using namespace std::chrono_literals;

/// What a load throws: errors are told apart by their numbers.
struct load_failed {
    int number;
};

/// The kinds of backend that a run can be over.
struct over_memory {
    static constexpr bool remote = false;
    using backend = acache::testing::manual_backend<int, int>;
};
struct over_slow_backend {
    static constexpr bool remote = true;
    using backend = slow_backend;
};

/// What the runs of one test have in common. The rest is drawn.
struct setup {
    bool callers_leave = true;
    bool backend_fails = false;
};

/// What happened, to be read when it went wrong.
class trace_log {
public:
    void note(event at, const char* what, int who, int key, int number = 0) {
        lines_.push_back({at, what, who, key, number});
    }

    [[nodiscard]] std::string text() const {
        std::ostringstream out;
        for (const line& l : lines_) {
            out << std::setw(5) << l.at << "  ";
            l.who == 0 ? out << "          " : out << "operation " << std::setw(3) << l.who << "  ";
            out << l.what;
            if (l.key != every_key) {
                out << ", key " << l.key;
            }
            if (l.number != 0) {
                out << ", number " << l.number;
            }
            out << '\n';
        }
        return std::move(out).str();
    }

private:
    struct line {
        event at;
        const char* what;
        int who;
        int key;
        int number;
    };
    std::vector<line> lines_;
};

/// One run: callers, each of which does a few operations one after the other, begin, leave and are resumed in
/// an order that is drawn, while the clock goes on. What they get is held against the `history`.
///
/// To add an operation: a row of the table, and a member function that makes the call and hands on what came
/// of it to `saw`, `missed`, `failed`, or to a `change`.
template <class Kind>
class run {
public:
    using backend = typename Kind::backend;
    using cache_type = acache::async_cache<int, int, backend>;

    run(std::uint64_t seed, setup s)
        : random_(seed), setup_(s), history_(!Kind::remote, !s.backend_fails), keys_(between(1, most_keys)),
          finish_abandoned_(chance(4)) {
        manual_clock::reset();
        acache::cache_options options{.ttl = ttl, .finish_abandoned_loads = finish_abandoned_};
        if (chance(4)) {
            options.max_concurrent_loads = between<std::size_t>(1, 2);
            if (chance(2)) {
                options.max_queued_loads = between<std::size_t>(0, 2);
                refuses_ = true;
            }
        }
        if constexpr (Kind::remote) {
            cache_.emplace(context_, slow_backend(random_, s.backend_fails), options);
        } else {
            cache_.emplace(context_, options);
        }
        loader_.emplace(*cache_, batch_function{this, 0},
                        acache::data_loader_options{.max_batch_size = between<std::size_t>(1, 3)});
    }

    /// What was wrong first; empty where nothing was.
    [[nodiscard]] const std::string& violation() const { return violation_; }
    [[nodiscard]] std::string trace() const { return trace_.text(); }

    void play() {
        for (int i = between(10, 60); i != 0 && violation_.empty(); --i) {
            act();
        }
        if (violation_.empty()) {
            finish();
        }
    }

private:
    using row_function = asio::awaitable<void> (run::*)(operation&, std::vector<int>);
    struct row {
        const char* name;
        access how;
        int weight;
        int max_keys;
        row_function function;
    };

    // ---- The operations ----------------------------------------------------------------------------------

    static const std::array<row, 14>& table() {
        static constexpr std::array<row, 14> rows{{
            {"get_or_load", access::joins, 30, 1, &run::get_or_load},
            {"lookup", access::joins, 10, 1, &run::lookup},
            {"get", access::reads, 10, 1, &run::get},
            {"try_get", access::reads, Kind::remote ? 0 : 10, 1, &run::try_get},
            {"get_many", access::reads, 3, 3, &run::get_many},
            {"get_many_or_load", access::joins, 8, 3, &run::get_many_or_load},
            {"load", access::joins, 10, 1, &run::load},
            {"load_many", access::joins, 3, 3, &run::load_many},
            {"refresh", access::loads, 8, 1, &run::refresh},
            {"set", access::writes, 7, 1, &run::set},
            {"invalidate", access::writes, 7, 1, &run::invalidate},
            {"clear", access::writes, 2, 0, &run::clear},
            {"forget", access::writes, 3, 1, &run::forget},
            {"forget_all", access::writes, 1, 0, &run::forget_all},
        }};
        return rows;
    }

    asio::awaitable<void> get_or_load(operation& c, std::vector<int> keys) {
        loader_function loader{this, c.id};
        ++lookups_;
        saw(c, keys[0], co_await cache_->get_or_load(keys[0], loader));
    }

    asio::awaitable<void> lookup(operation& c, std::vector<int> keys) {
        loader_function loader{this, c.id};
        ++lookups_;
        const auto found = co_await cache_->lookup(keys[0], loader);
        saw(c, keys[0], found.value);
        const version* v = history_.find_version(found.value);
        if (v == nullptr) {
            co_return;
        }
        using enum acache::lookup_source;
        if (found.source == loaded ? v->by != c.id : v->by == c.id) {
            wrong(c, keys[0], found.value,
                  "lookup took its own load's value for another's, or the other way");
        }
        if (found.source == hit && v->expires <= c.began_at) {
            wrong(c, keys[0], found.value, "lookup called an expired value a hit");
        }
        if (found.age != manual_clock::now() - v->created) {
            wrong(c, keys[0], found.value, "lookup was wrong about the age of the value");
        }
    }

    asio::awaitable<void> get(operation& c, std::vector<int> keys) {
        ++lookups_;
        reads_cancelled_ += 1; // until it has come back
        took(c, keys[0], co_await cache_->get(keys[0]));
        reads_cancelled_ -= 1;
    }

    asio::awaitable<void> try_get(operation& c, std::vector<int> keys) {
        if constexpr (!Kind::remote) {
            ++lookups_;
            took(c, keys[0], cache_->try_get(keys[0]));
        }
        co_return;
    }

    asio::awaitable<void> get_many(operation& c, std::vector<int> keys) {
        lookups_ += keys.size();
        reads_cancelled_ += keys.size();
        const auto found = co_await cache_->get_many(keys);
        reads_cancelled_ -= keys.size();
        for (const int key : keys) {
            const auto it = found.find(key);
            took(c, key, it == found.end() ? std::nullopt : std::optional<int>(it->second));
        }
    }

    asio::awaitable<void> get_many_or_load(operation& c, std::vector<int> keys) {
        batch_function batch{this, c.id};
        lookups_ += keys.size();
        const auto found = co_await cache_->get_many_or_load(keys, batch);
        for (const int key : keys) {
            const auto it = found.find(key);
            if (it == found.end()) {
                wrong(c, key, 0, "get_many_or_load left a key out");
            } else {
                took_result(c, key, it->second);
            }
        }
    }

    asio::awaitable<void> load(operation& c, std::vector<int> keys) {
        ++lookups_;
        const batch_wait waiting(*this, c, keys);
        saw(c, keys[0], co_await loader_->load(keys[0]));
    }

    asio::awaitable<void> load_many(operation& c, std::vector<int> keys) {
        lookups_ += keys.size();
        const batch_wait waiting(*this, c, keys);
        const auto found = co_await loader_->load_many(keys);
        for (std::size_t i = 0; i != keys.size(); ++i) {
            took_result(c, keys[i], found.at(i));
        }
    }

    asio::awaitable<void> refresh(operation& c, std::vector<int> keys) {
        loader_function loader{this, c.id};
        auto& begun = history_.add_change(change::kind::refresh, keys[0], c.began);
        begun.settled = begun.ended = c.began;
        saw(c, keys[0], co_await cache_->refresh(keys[0], loader));
    }

    asio::awaitable<void> set(operation& c, std::vector<int> keys) {
        const auto life = chance(3) ? seconds_between(0, 15) : ttl;
        version& v = history_.add_version(keys[0], c);
        v.is_load = false;
        history_.bring(v, life);
        const write w(history_, life > 0s ? change::kind::set : change::kind::removal, keys[0], c, &v);
        trace_.note(v.ended, "sets", c.id, keys[0], v.number);
        co_await cache_->set(keys[0], int(v.number), acache::entry_options{.ttl = life});
        w.settle();
    }

    asio::awaitable<void> invalidate(operation& c, std::vector<int> keys) {
        const write w(history_, change::kind::removal, keys[0], c);
        (void)co_await cache_->invalidate(keys[0]);
        w.settle();
    }

    asio::awaitable<void> clear(operation& c, std::vector<int>) {
        const write w(history_, change::kind::removal, every_key, c);
        co_await cache_->clear();
        w.settle();
    }

    /// The loader's `clear` and `clear_all` are in force when they return; a slow backend hears of it later.
    asio::awaitable<void> forget(operation& c, std::vector<int> keys) {
        const in_background erasure(*this, keys[0], c);
        loader_->clear(keys[0]);
        co_return;
    }
    asio::awaitable<void> forget_all(operation& c, std::vector<int>) {
        const in_background erasure(*this, every_key, c);
        loader_->clear_all();
        co_return;
    }

    /// A removal that nobody waits for, from its call to its return.
    class in_background {
    public:
        in_background(run& self, int key, const operation& c)
            : self_(self), change_(self.history_.add_change(change::kind::removal, key, c.began)) {
            change_.in_background = Kind::remote;
        }
        in_background(const in_background&) = delete;
        in_background& operator=(const in_background&) = delete;
        ~in_background() {
            if (!self_.setup_.backend_fails) {
                change_.settled = self_.history_.tick();
            }
            if (!Kind::remote) {
                change_.ended = self_.history_.tick();
            }
        }

    private:
        run& self_;
        change& change_;
    };

    /// A write between its call and its end.
    class write {
    public:
        write(history& h, change::kind is, int key, const operation& c, const version* v = nullptr)
            : history_(h), change_(h.add_change(is, key, c.began, is == change::kind::set ? v : nullptr)) {}
        write(const write&) = delete;
        write& operator=(const write&) = delete;
        ~write() { change_.ended = history_.tick(); }
        void settle() const { change_.settled = history_.tick(); }

    private:
        history& history_;
        change& change_;
    };

    /// Who has asked the loader for some keys, and not come back. One that has left may leave its flight
    /// behind.
    class batch_wait {
    public:
        batch_wait(run& self, const operation& c, const std::vector<int>& keys)
            : self_(self), operation_(c), keys_(keys) {
            for (const int key : keys) {
                self.waiting_since(key).insert(c.began);
            }
        }
        batch_wait(const batch_wait&) = delete;
        batch_wait& operator=(const batch_wait&) = delete;
        ~batch_wait() {
            if (!operation_.cancelled) {
                for (const int key : keys_) {
                    self_.waiting_since(key).erase(operation_.began);
                }
            }
        }

    private:
        run& self_;
        const operation& operation_;
        const std::vector<int>& keys_;
    };

    [[nodiscard]] std::set<event>& waiting_since(int key) {
        return waiting_since_[static_cast<std::size_t>(key)];
    }

    // ---- The loads ---------------------------------------------------------------------------------------

    struct loader_function {
        run* self;
        int by;
        asio::awaitable<int> operator()(acache::load_context& context, int key) const {
            return self->load_one(context, key, by);
        }
    };

    struct batch_function {
        run* self;
        int by;
        asio::awaitable<std::vector<acache::load_result<int>>> operator()(std::vector<int> keys) const {
            return self->load_batch(std::move(keys), by);
        }
    };

    asio::awaitable<int> load_one(acache::load_context& context, int key, int by) {
        const operation& c = *history_.by_id(by);
        const loading load(*this, history_.add_version(key, c));
        check_load(&c, load.of());
        co_await suspend_a_while();
        const auto state = co_await asio::this_coro::cancellation_state;
        auto life = ttl;
        if (chance(3)) {
            life = seconds_between(0, 15);
            context.ttl(life);
        }
        end(load.of(), state, life);
        co_return load.of().number;
    }

    asio::awaitable<std::vector<acache::load_result<int>>> load_batch(std::vector<int> keys, int by) {
        std::deque<loading> loads;
        for (const int key : keys) {
            for (const loading& other : loads) {
                if (other.of().key == key) {
                    wrong(nullptr, key, 0, "a batch held a key twice");
                }
            }
            if (by != 0) {
                const operation& c = *history_.by_id(by);
                check_load(&c, loads.emplace_back(*this, history_.add_version(key, c)).of());
            } else {
                const auto& since = waiting_since(key);
                const event now = history_.tick();
                version& v = history_.add_version(key, 0, since.empty() ? now : *since.begin(), now);
                check_load(nullptr, loads.emplace_back(*this, v).of());
            }
        }
        co_await suspend_a_while();
        const auto state = co_await asio::this_coro::cancellation_state;
        if (chance(10)) {
            const int number = loads.front().of().number;
            for (const loading& load : loads) {
                history_.fail(load.of(), number);
            }
            throw load_failed{number};
        }
        std::vector<acache::load_result<int>> results;
        for (const loading& load : loads) {
            try {
                end(load.of(), state, ttl, true);
                results.emplace_back(load.of().number);
            } catch (...) {
                results.emplace_back(std::current_exception());
            }
        }
        co_return results;
    }

    /// A load while it runs. One that is cancelled brings nothing.
    class loading {
    public:
        loading(run& self, version& v) : self_(self), version_(v) { self.note("load begins", v); }
        loading(const loading&) = delete;
        loading& operator=(const loading&) = delete;
        ~loading() {
            if (version_.ended == never) {
                self_.history_.give_up(version_);
            }
            self_.note(version_.is == version::status::value    ? "load brings"
                       : version_.is == version::status::failed ? "load fails"
                                                                : "load is given up",
                       version_);
        }
        [[nodiscard]] version& of() const { return version_; }

    private:
        run& self_;
        version& version_;
    };

    /// Nothing, a few steps, or until the load is cancelled; a few ignore that.
    asio::awaitable<void> suspend_a_while() {
        if (setup_.callers_leave && !finish_abandoned_ && chance(20)) {
            asio::steady_timer never_due(context_, asio::steady_timer::time_point::max());
            co_await never_due.async_wait(asio::deferred);
        }
        if (chance(5)) {
            co_await asio::this_coro::throw_if_cancelled(false);
        }
        co_await hop(between(0, 8));
    }

    /// Brings the value, or fails.
    void end(version& v, const asio::cancellation_state& state, std::chrono::nanoseconds life,
             bool in_batch = false) {
        if (chance(5)) {
            history_.fail(v, v.number, in_batch);
            throw load_failed{v.number};
        }
        if (state.cancelled() != asio::cancellation_type::none) {
            history_.give_up(v); // what it brings is for nobody
        } else {
            history_.bring(v, life);
        }
    }

    // ---- What came of it ---------------------------------------------------------------------------------

    void saw(operation& c, int key, int number) {
        trace_.note(history_.tick(), "saw", c.id, key, number);
        const version* v = history_.find_version(number);
        const char* why = v == nullptr ? "nobody made that value" : history_.why_not_see(c, key, *v);
        if (why != nullptr) {
            wrong(c, key, number, why);
        } else {
            history_.got(c, number);
        }
    }

    void took(operation& c, int key, std::optional<int> found) {
        if (found) {
            saw(c, key, *found);
        } else {
            trace_.note(history_.tick(), "found nothing", c.id, key);
            if (const char* why = history_.why_not_miss(c, key)) {
                wrong(c, key, 0, why);
            }
        }
    }

    void took_result(operation& c, int key, const acache::load_result<int>& result) {
        if (result.has_value()) {
            saw(c, key, *result);
        } else {
            failed(c, key, result.error());
        }
    }

    void failed(operation& c, int key, const std::exception_ptr& failure) {
        try {
            std::rethrow_exception(failure);
        } catch (const load_failed& e) {
            trace_.note(history_.tick(), "failed", c.id, key, e.number);
            if (const char* why = history_.why_not_fail(c, key, e.number)) {
                wrong(c, key, e.number, why);
            } else {
                history_.got_error(key, e.number);
            }
        } catch (const boost::system::system_error& e) {
            const bool aborted = e.code() == asio::error::operation_aborted;
            trace_.note(history_.tick(), aborted ? "left" : "got an error", c.id, key);
            const bool of_backend =
                setup_.backend_fails && c.how == access::writes && e.code() == asio::error::connection_reset;
            const bool refused = refuses_ && (c.how == access::joins || c.how == access::loads) &&
                                 e.code() == acache::errc::overloaded;
            refusals_ += refused ? 1 : 0;
            if (!of_backend && !refused && !(aborted && c.cancelled)) {
                wrong(c, key, 0, "an error that is none of its own: " + e.code().message());
            }
        } catch (...) {
            wrong(c, key, 0, "an exception that nobody threw");
        }
    }

    void check_load(const operation* c, const version& load) {
        if (const char* why = history_.why_not_load(c, load)) {
            wrong(c, load.key, load.number, why);
        }
    }

    void note(const char* what, const version& v) {
        trace_.note(history_.tick(), what, v.by, v.key, v.number);
    }

    void wrong(const operation* c, int key, int number, const std::string& why) {
        if (violation_.empty()) {
            violation_ = std::string(c == nullptr ? "a batch" : c->name) + " of caller's operation " +
                         std::to_string(c == nullptr ? 0 : c->id) + ", key " + std::to_string(key) +
                         ", number " + std::to_string(number) + ": " + why;
        }
    }
    void wrong(const operation& c, int key, int number, const std::string& why) {
        wrong(&c, key, number, why);
    }

    // ---- The callers, and what happens to them -----------------------------------------------------------

    struct caller {
        asio::cancellation_signal signal;
        operation* doing = nullptr;
        int completions = 0;
    };

    void begin_caller(const row* only = nullptr) {
        caller& who = callers_.emplace_back();
        asio::co_spawn(context_, live(who, only),
                       asio::bind_cancellation_slot(who.signal.slot(), [this, &who](std::exception_ptr e) {
                           ++who.completions;
                           if (e) {
                               violation_ = "an exception came out of a caller";
                           }
                       }));
    }

    /// A few operations, one right after the other; no more after one that was left.
    asio::awaitable<void> live(caller& who, const row* only) {
        for (int i = only != nullptr ? 1 : between(1, 3); i != 0 && violation_.empty(); --i) {
            const row& what = only != nullptr ? *only : draw_row();
            std::vector<int> keys = only != nullptr ? all_keys() : draw_keys(what.max_keys);
            operation& c = history_.began(what.name, what.how);
            if (what.max_keys == 0) {
                trace_.note(c.began, what.name, c.id, every_key);
            }
            for (const int key : keys) {
                trace_.note(c.began, what.name, c.id, key);
            }
            who.doing = &c;
            std::exception_ptr failure;
            try {
                co_await (this->*what.function)(c, keys);
            } catch (...) {
                failure = std::current_exception();
            }
            who.doing = nullptr;
            if (failure) {
                failed(c, keys.empty() ? every_key : keys[0], failure);
            }
            if (c.cancelled) {
                co_return;
            }
        }
    }

    void leave(caller& who) {
        trace_.note(history_.tick(), "is cancelled", who.doing->id, every_key);
        who.doing->cancelled = true;
        who.signal.emit(asio::cancellation_type::terminal);
    }

    void act() {
        const int choice = between(0, 99);
        if (choice < 45) {
            begin_caller();
        } else if (choice < 55 && setup_.callers_leave) {
            if (!callers_.empty()) {
                caller& who = callers_[between<std::size_t>(0, callers_.size() - 1)];
                if (who.doing != nullptr && !who.doing->cancelled) {
                    leave(who);
                }
            }
        } else if (choice < 63) {
            manual_clock::advance(seconds_between(1, chance(4) ? 12 : 3));
            trace_.note(history_.tick(), "the clock goes on", 0, every_key);
        } else if (choice < 66) {
            settle();
        } else {
            steps_.run_for(between<std::size_t>(1, 12));
        }
    }

    void settle() {
        steps_.run_until_idle();
        history_.is_quiet();
    }

    /// Lets everybody come to an end, and looks at what is left.
    void finish() {
        settle();
        for (caller& who : callers_) {
            if (who.doing != nullptr) {
                leave(who); // it waits for a load that waits to be cancelled
                settle();
            }
        }
        static constexpr row reads_all{"get_many", access::reads, 1, most_keys, &run::get_many};
        begin_caller(&reads_all);
        settle();
        for (const caller& who : callers_) {
            check(who.completions == 1, "a caller has not come to its end, or has twice");
        }
        check_metrics();
        try {
            steps_.run(cache_->drain());
        } catch (const std::exception& e) {
            check(false, e.what());
        }
    }

    void check_metrics() {
        const auto m = cache_->metrics();
        const auto counted = m.hits + m.stale_hits + m.misses + m.coalesced;
        check(counted <= lookups_ && counted + reads_cancelled_ >= lookups_,
              "look-ups were not counted once each");
        std::uint64_t loads = 0;
        std::uint64_t failures = 0;
        for (const version& v : history_.versions()) {
            check(v.is != version::status::loading, "a load has not ended");
            loads += v.is_load ? 1 : 0;
            failures += v.is == version::status::failed ? 1 : 0;
        }
        // A load that is cancelled before its first step counts, and its loader never ran.
        check(setup_.callers_leave ? m.loads >= loads : m.loads == loads, "loads were counted wrong");
        check(setup_.callers_leave ? m.load_failures <= failures : m.load_failures == failures,
              "failures of loads were counted wrong");
        // Who leaves a bulk load does not see which of its keys were refused.
        check(setup_.callers_leave ? m.overloaded >= refusals_ : m.overloaded == refusals_,
              "refused loads were counted wrong");
        check(m.in_flight == 0, "a flight has not ended");
    }

    void check(bool right, const char* otherwise) {
        if (!right && violation_.empty()) {
            violation_ = otherwise;
        }
    }

    // ---- What is drawn -----------------------------------------------------------------------------------

    // Not std::uniform_int_distribution, whose numbers differ from one standard library to the next.
    template <class T>
    [[nodiscard]] T between(T low, T high) {
        return low + static_cast<T>(random_() % static_cast<std::uint64_t>(high - low + 1));
    }
    [[nodiscard]] bool chance(int of) { return between(1, of) == 1; }
    [[nodiscard]] std::chrono::seconds seconds_between(int low, int high) {
        return std::chrono::seconds{between(low, high)};
    }

    [[nodiscard]] const row& draw_row() {
        int all = 0;
        for (const row& r : table()) {
            all += r.weight;
        }
        int left = between(0, all - 1);
        for (const row& r : table()) {
            if ((left -= r.weight) < 0) {
                return r;
            }
        }
        return table().front();
    }

    [[nodiscard]] std::vector<int> all_keys() const {
        std::vector<int> keys;
        for (int key = 0; key != keys_; ++key) {
            keys.push_back(key);
        }
        return keys;
    }

    /// So many different ones at most, and one at least; none for an operation on all.
    [[nodiscard]] std::vector<int> draw_keys(int most) {
        std::vector<int> keys = all_keys();
        const int count = most == 0 ? 0 : between(1, std::min(most, keys_));
        for (int i = 0; i != count; ++i) {
            std::swap(keys[static_cast<std::size_t>(i)],
                      keys[static_cast<std::size_t>(between(i, keys_ - 1))]);
        }
        keys.resize(static_cast<std::size_t>(count));
        return keys;
    }

    static constexpr std::chrono::seconds ttl = 10s;
    static constexpr int most_keys = 4;

    engine random_;
    const setup setup_;
    history history_;
    trace_log trace_;
    std::string violation_;
    const int keys_;
    const bool finish_abandoned_;
    bool refuses_ = false;
    /// Of each key, when those who wait for the loader began to.
    std::array<std::set<event>, most_keys> waiting_since_;
    std::uint64_t lookups_ = 0;
    std::uint64_t refusals_ = 0;
    /// Reads that have not come back: one that is cancelled need not have been counted.
    std::uint64_t reads_cancelled_ = 0;

    std::deque<caller> callers_;
    asio::io_context context_;
    acache::testing::stepper steps_{context_};
    std::optional<cache_type> cache_;
    std::optional<acache::DataLoader<int, int, manual_clock>> loader_;
};

} // namespace simulation

#endif
