// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_SIMULATION_WITNESS_HPP
#define ACACHE_TESTS_SIMULATION_WITNESS_HPP

#include "simulation_world.hpp"

#include <acache/data_loader.hpp>
#include <acache/error.hpp>
#include <acache/lookup_result.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <exception>
#include <optional>
#include <string>

namespace simulation {

/// What a load throws: errors are told apart by their numbers.
struct load_failed {
    int number;
};

/// Holds what callers and loaders see against the history, and adds it to that.
class witness {
public:
    explicit witness(world& w) : world_(w) {}

    /// A value that a caller has got.
    void saw(operation& c, int key, int number) {
        world_.note("saw", c.id, key, number);
        const auto candidates = world_.history.with_value(number);
        const char* why = "nobody made that value";
        version* only = nullptr;
        int possible = 0;
        for (version* v : candidates) {
            const char* objection = world_.history.why_not_see(c, key, *v);
            if (objection == nullptr) {
                only = v;
                ++possible;
            } else if (v->number == number || candidates.size() == 1) {
                why = objection;
            }
        }
        if (possible == 0) {
            wrong(c, key, number, why);
        } else if (possible == 1) {
            world_.history.got(c, *only);
        }
        find_renewal(c, key, number);
    }

    void took(operation& c, int key, std::optional<int> found) {
        if (found) {
            saw(c, key, *found);
        } else {
            world_.note("found nothing", c.id, key);
            if (const char* why = world_.history.why_not_miss(c, key)) {
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

    /// Where the value of a look-up came from.
    void told(const operation& c, int key, const acache::lookup_result<int>& found) {
        const auto all = world_.history.with_value(found.value);
        const auto some = [&](auto is) { return std::any_of(all.begin(), all.end(), is); };
        using enum acache::lookup_source;
        const bool is_own = found.source == loaded;
        if (!some([&](const version* v) { return (v->by == c.id) == is_own; })) {
            wrong(c, key, found.value, "lookup took its own load's value for another's, or the other way");
        }
        const auto until = [&](const version* v) { return world_.history.fresh_until(*v, c.began); };
        if (found.source == hit && !some([&](const version* v) { return c.began_at < until(v); })) {
            wrong(c, key, found.value, "lookup called a stale value a hit");
        }
        if (found.source == stale &&
            !some([&](const version* v) { return world_.history.may_be_stale(*v); })) {
            wrong(c, key, found.value, "lookup called a fresh value stale");
        }
        if (!some([&](const version* v) { return found.age == manual_clock::now() - v->created; })) {
            wrong(c, key, found.value, "lookup was wrong about the age of the value");
        }
    }

    void failed(operation& c, int key, const std::exception_ptr& failure) {
        try {
            std::rethrow_exception(failure);
        } catch (const load_failed& e) {
            world_.note("failed", c.id, key, e.number);
            if (const char* why = world_.history.why_not_fail(c, key, e.number)) {
                wrong(c, key, e.number, why);
            } else {
                world_.history.got_error(key, e.number);
            }
        } catch (const boost::system::system_error& e) {
            const bool aborted = e.code() == asio::error::operation_aborted;
            world_.note(aborted ? "left" : "got an error", c.id, key);
            const bool of_backend = world_.given.backend_fails && c.how == access::writes &&
                                    e.code() == asio::error::connection_reset;
            const bool refused = world_.options.max_queued_loads != acache::unbounded &&
                                 (c.how == access::joins || c.how == access::loads) &&
                                 e.code() == acache::errc::overloaded;
            world_.refusals += refused ? 1 : 0;
            if (!of_backend && !refused && !(aborted && c.cancelled)) {
                wrong(c, key, 0, "an error that is none of its own: " + e.code().message());
            }
        } catch (...) {
            wrong(c, key, 0, "an exception that nobody threw");
        }
    }

    /// A load that has just begun, of the operation or of a batch of several.
    void load_began(const operation* c, version& load) {
        if (const char* why = world_.history.why_not_load(c, load)) {
            world_.wrong(c, load.key, load.number, why);
        }
        if (c != nullptr && c->is_over && !c->cancelled && c->at_once && !c->soft_timeout) {
            renews(*c, load);
        }
    }

    /// A loader was shown that value as the one that is stored.
    void shown(const version& load, int number) {
        const char* why = "nobody made that value";
        for (const version* v : world_.history.with_value(number)) {
            why = world_.history.why_not_compare(load, *v);
            if (why == nullptr) {
                return;
            }
        }
        world_.wrong(nullptr, load.key, number, std::string("shown to a loader: ") + why);
    }

private:
    void wrong(const operation& c, int key, int number, const std::string& why) {
        world_.wrong(&c, key, number, why);
    }

    /// Whether the operation has got another value than its own load is to bring: then that load is one in
    /// the background.
    void find_renewal(const operation& c, int key, int number) {
        version* own = c.at_once ? world_.history.load_of(c, key) : nullptr;
        if (own == nullptr || own->value == number || c.soft_timeout) {
            return;
        }
        const bool rescued = own->is == version::status::failed && c.stale.if_error > 0s;
        if (!rescued && world_.options.max_queued_loads == acache::unbounded) {
            renews(c, *own);
        }
    }
    void renews(const operation& c, version& load) {
        load.in_background = true;
        if (const char* why = world_.history.why_not_renew(load)) {
            wrong(c, load.key, load.number, why);
        }
    }

    world& world_;
};

} // namespace simulation

#endif
