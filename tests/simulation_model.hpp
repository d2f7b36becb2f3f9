// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_SIMULATION_MODEL_HPP
#define ACACHE_TESTS_SIMULATION_MODEL_HPP

#include "simulation_events.hpp"

#include <acache/clock.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <set>
#include <vector>

namespace simulation {

/// What a history knows of the cache.
struct terms {
    /// A load's value is stored in the step in which the load ends.
    bool stores_at_once = true;
    /// What is loaded and not fenced is stored, and what is stored is found.
    bool reliable = true;
    /// Entries are renewed before they expire.
    bool renews_early = false;
    /// Loads may be refused.
    bool refuses = false;
    /// The cache's own.
    windows stale{};
    /// A value is kept for so long after its freshness.
    nanoseconds retention{0};
    /// For so long a failure holds the key back at least.
    nanoseconds held_back{0};
};

/// What the callers of a cache may see, written down without flights, locks or stores: it is told what
/// happened, and says whether what a caller got agrees with it.
///
/// It knows intervals only: a write takes effect somewhere between its call and its return. Where that leaves
/// two answers, both are right.
class history {
public:
    explicit history(const terms& t) : terms_(t) {}

    // ---- What a caller may see ---------------------------------------------------------------------------

    /// Why the operation may not see `v` as the value of `key`; null where it may.
    [[nodiscard]] const char* why_not_see(const operation& c, int key, const version& v) const {
        if (v.key != key) {
            return "it belongs to another key";
        }
        if (v.is != version::status::value) {
            return "its load has not brought it";
        }
        if (c.how == access::loads && v.by != c.id) {
            return "a refresh gives what its own load brings";
        }
        if (superseded(v, c.began, could_join(c, v.landed))) {
            return "a write that was called after its load began had returned before the caller came";
        }
        if (const event fence = fenced_while_loading(v); fence != never && !could_join(c, fence)) {
            return "its load was fenced, and the caller came after that";
        }
        if (waited(c, key, v)) {
            return "the caller waited for a load, and could have had a stored value at once";
        }
        return could_join(c, v.landed) ? why_not_join(c, v) : why_not_find(c, v);
    }

    /// Why the operation may not fail for `key` with the error of that number.
    [[nodiscard]] const char* why_not_fail(const operation& c, int key, int error) const {
        const version* load = find_failed(key, error);
        if (load == nullptr) {
            return "no load of the key failed with that error";
        }
        if (c.how == access::loads && load->by != c.id) {
            return "a refresh fails as its own load does";
        }
        if (!could_join(c, std::min(load->landed, fenced_while_loading(*load)))) {
            return "the load that failed had ended or was fenced when the caller came";
        }
        if (could_be_rescued(c, *load)) {
            return "a stale value was stored that is better than the error";
        }
        return nullptr;
    }

    /// Why the operation may not find nothing.
    [[nodiscard]] const char* why_not_miss(const operation& c, int key) const {
        return known_stored(key, c.began) ? "the key had a fresh value all the time" : nullptr;
    }

    /// Why the load that has just begun may not run.
    [[nodiscard]] const char* why_not_load(const operation* c, const version& load) const {
        const bool in_any_case = c != nullptr && (c->how == access::loads || c->max_age);
        if (!in_any_case && !terms_.renews_early && known_stored(load.key, load.earliest)) {
            return "the key had a fresh value all the time";
        }
        for (const version& other : versions_) {
            if (&other != &load && other.key == load.key && other.is == version::status::loading &&
                !left_alone(other) &&
                !fenced_within(load.key, std::min(other.earliest, load.earliest),
                               std::max(other.born, load.born))) {
                return "another load of the key was under way, to be joined";
            }
        }
        return nullptr;
    }

    /// Why the load, one in the background, may not have been begun.
    [[nodiscard]] const char* why_not_renew(const version& load) const {
        const bool early = std::any_of(versions_.begin(), versions_.end(), [&](const version& failure) {
            return failure.key == load.key && failure.is == version::status::failed && failure.holds_back &&
                   failure.ended < load.earliest && !left_alone(failure) &&
                   load.begun_at - failure.ended_at < terms_.held_back && !forgotten_since(failure);
        });
        return early ? "a load of the key had failed just before, and it was to be left alone" : nullptr;
    }

    /// Why a loader may not be shown `v` as what is stored.
    [[nodiscard]] const char* why_not_compare(const version& load, const version& v) const {
        if (v.key != load.key) {
            return "it belongs to another key";
        }
        if (v.is != version::status::value) {
            return "its load has not brought it";
        }
        if (superseded(v, load.earliest) || fenced_while_loading(v) < load.earliest) {
            return "it was stored no more, or never";
        }
        return nullptr;
    }

    /// How many keys may have something stored.
    [[nodiscard]] std::size_t most_stored() const {
        std::set<int> keys;
        for (const version& v : versions_) {
            if (v.is == version::status::value && fenced_while_loading(v) == never &&
                v.fresh_until > v.created && !superseded(v, v.ended)) {
                keys.insert(v.key);
            }
        }
        return keys.size();
    }

    // ---- What happened -----------------------------------------------------------------------------------

    event tick() { return ++last_; }

    operation& began(const char* name, access how) {
        const int id = static_cast<int>(operations_.size()) + 1;
        operation& c = operations_.emplace_back(operation{id, name, how, tick(), manual_clock::now()});
        if (how == access::joins) {
            c.stale = terms_.stale;
        }
        return c;
    }
    [[nodiscard]] operation* by_id(int id) {
        return id == 0 ? nullptr : &operations_[static_cast<std::size_t>(id - 1)];
    }

    /// A load or a `set` that begins with its operation.
    version& add_version(int key, const operation& by) { return add_version(key, by.id, by.began, by.began); }
    version& add_version(int key, int by, event earliest, event born) {
        const int number = static_cast<int>(versions_.size()) + 1;
        version& v = versions_.emplace_back(version{number, key, by, earliest, born});
        v.called = tick();
        v.begun_at = manual_clock::now();
        return v;
    }
    /// A load that the operation has asked for. Whether its flight began with the operation cannot always be
    /// told: it may renew what a flight has found, or be another try after one that would not do.
    version& add_load(int key, const operation& by) {
        const bool found_first =
            !terms_.stores_at_once && (by.stale.serve() || terms_.renews_early || by.max_age);
        const bool tried_again = by.how == access::joins && (has_tag_changes(key) || by.max_age);
        const bool exact = by.how == access::loads || (!found_first && !tried_again);
        version& v = add_version(key, by.id, by.began, exact ? by.began : tick());
        v.holds_back = (by.how == access::loads ? terms_.stale : by.stale).serve() || terms_.renews_early;
        return v;
    }
    /// The value is there, and its life begins.
    void bring(version& v, nanoseconds ttl, nanoseconds retention) {
        v.ended = tick();
        v.ended_at = manual_clock::now();
        v.is = version::status::value;
        v.created = manual_clock::now();
        v.fresh_until = v.created + ttl;
        v.expires = v.fresh_until + retention;
        if (terms_.stores_at_once || !v.is_load) {
            v.landed = v.ended;
        }
    }
    void fail(version& v, int error, bool in_batch = false) {
        v.ended = tick();
        v.ended_at = manual_clock::now();
        v.is = version::status::failed;
        v.error = error;
        if (terms_.stores_at_once || !in_batch) {
            v.landed = v.ended; // else the flight ends with the batch, when its values are stored
        }
    }
    void give_up(version& v) {
        v.ended = v.landed = tick();
        v.is = version::status::given_up;
    }
    [[nodiscard]] const std::deque<version>& versions() const { return versions_; }
    /// Those whose value callers see as this number.
    [[nodiscard]] std::vector<version*> with_value(int number) {
        std::vector<version*> found;
        for (version& v : versions_) {
            if (v.value == number) {
                found.push_back(&v);
            }
        }
        return found;
    }
    /// The first load of the operation for the key, or null.
    [[nodiscard]] version* load_of(const operation& c, int key) {
        const auto it = std::find_if(versions_.begin(), versions_.end(), [&](const version& v) {
            return v.by == c.id && v.key == key && v.is_load;
        });
        return it == versions_.end() ? nullptr : &*it;
    }

    change& add_change(change::kind is, int key, event called, const version* value = nullptr) {
        change& made = changes_.emplace_back(change{is, key, called});
        made.value = value;
        return made;
    }
    void settle(change& c) {
        c.settled = tick();
        c.settled_at = manual_clock::now();
    }

    /// The operation has got `v`, which it might have waited for: where it had to, the flight is over.
    void got(const operation& c, version& v) {
        if (v.is_known || !could_join(c, v.ended)) {
            return;
        }
        const event now = tick();
        v.landed = std::min(v.landed, now);
        if (v.by != c.id) {
            return; // it may have renewed an entry that was there no more
        }
        v.is_known = true;
        if (terms_.reliable && !fenced_within(v.key, v.earliest, now)) {
            auto& stored = add_change(change::kind::load, v.key, v.earliest, &v);
            stored.settled = stored.ended = now;
        }
    }

    /// The operation has failed with that error: the flight is over.
    void got_error(int key, int error) {
        version& v = versions_[static_cast<std::size_t>(find_failed(key, error)->number - 1)];
        v.landed = std::min(v.landed, tick());
    }

    /// Nothing goes on in the background any more.
    void is_quiet() {
        for (change& c : changes_) {
            if (c.in_background && c.ended == never) {
                c.ended = tick();
            }
        }
    }

    /// Whether the version may be stale by now.
    [[nodiscard]] bool may_be_stale(const version& v) const {
        return v.fresh_until <= manual_clock::now() ||
               std::any_of(changes_.begin(), changes_.end(), [&](const change& c) {
                   return c.is == change::kind::expiry && c.touches(v.key) && v.earliest < c.ended;
               });
    }
    /// Since when the version is not fresh any more, for those who come at `at`.
    [[nodiscard]] time_point fresh_until(const version& v, event at) const {
        time_point until = v.fresh_until;
        for (const change& c : changes_) {
            if (c.is == change::kind::expiry && c.touches(v.key) && v.born < c.called && c.settled < at) {
                until = std::min(until, c.settled_at);
            }
        }
        return until;
    }

private:
    /// Why the operation, which may have waited for the load of `v`, should not have.
    [[nodiscard]] const char* why_not_join(const operation& c, const version& v) const {
        if (terms_.stores_at_once && c.max_age && v.by != c.id && c.began_at - v.begun_at > *c.max_age) {
            return "its load had begun too long before";
        }
        return nullptr;
    }

    /// Why the operation should not have taken the value from the store.
    [[nodiscard]] const char* why_not_find(const operation& c, const version& v) const {
        if (c.max_age && c.began_at - v.created > *c.max_age) {
            return "it was older than the caller would have it";
        }
        const auto until = fresh_until(v, c.began);
        if (c.began_at < until) {
            return nullptr;
        }
        if (c.how == access::reads) {
            return "it was stale when the caller came";
        }
        // What is made stale is kept as long as it would have been then.
        const auto kept = std::max(v.expires - v.fresh_until, terms_.retention);
        if (c.began_at >= v.expires || c.began_at >= until + kept) {
            return "it was dead when the caller came";
        }
        const bool late = c.soft_timeout && manual_clock::now() - c.began_at >= *c.soft_timeout;
        if (c.began_at < until + c.stale.while_revalidate ||
            (c.began_at < until + c.stale.if_error && (late || in_trouble(v.key)))) {
            return nullptr;
        }
        return "it was stale, and the caller would not have that";
    }

    /// Whether the operation has waited for `v`, although there was a value to be had at once.
    [[nodiscard]] bool waited(const operation& c, int key, const version& v) const {
        const bool waits = v.by == c.id || (terms_.stores_at_once && c.began < v.ended);
        return c.at_once && v.is_load && waits && !c.max_age &&
               known_stored(key, c.began, c.stale.while_revalidate);
    }

    /// Whether the operation may be one of those that wait for a load which could be joined until `end`.
    [[nodiscard]] static bool could_join(const operation& c, event end) {
        return (c.how == access::joins || c.how == access::loads) && c.began < end;
    }

    /// Whether there is certainly a value for the operation that is better than the error of that load. Over
    /// a remote store who joins a load does not look; what loads of single keys have found is at hand for
    /// those who take stale values.
    [[nodiscard]] bool could_be_rescued(const operation& c, const version& load) const {
        const operation* const of =
            load.by == 0 ? nullptr : &operations_[static_cast<std::size_t>(load.by - 1)];
        const bool of_one_key = of != nullptr && (of->at_once || of->how == access::loads);
        return c.at_once && !c.max_age && (terms_.stores_at_once || (c.stale.serve() && of_one_key)) &&
               known_stored(load.key, c.began, std::max(c.stale.while_revalidate, c.stale.if_error));
    }

    /// Whether a load of the key has failed, or may have been refused.
    [[nodiscard]] bool in_trouble(int key) const {
        return terms_.refuses || std::any_of(versions_.begin(), versions_.end(), [&](const version& v) {
                   return v.key == key && v.is == version::status::failed;
               });
    }

    [[nodiscard]] const version* find_failed(int key, int error) const {
        const auto it = std::find_if(versions_.begin(), versions_.end(), [&](const version& v) {
            return v.key == key && v.is == version::status::failed && v.error == error;
        });
        return it == versions_.end() ? nullptr : &*it;
    }

    /// A write, or a load that was stored, replaced or removed the version before `at`. Who has joined a load
    /// gets its value although it is not stored over one that was planted.
    [[nodiscard]] bool superseded(const version& v, event at, bool joined = false) const {
        return std::any_of(changes_.begin(), changes_.end(), [&](const change& c) {
            const bool does_not_matter = joined && c.is == change::kind::planting;
            return c.replaces(v) && c.settled < at && !does_not_matter;
        });
    }

    /// When the version, a load, was first fenced before it ended. It is stored nowhere then.
    [[nodiscard]] event fenced_while_loading(const version& v) const {
        event first = never;
        for (const change& c : changes_) {
            if (c.fences() && c.touches(v.key)) {
                for (const event fence : {c.called, c.in_background ? never : c.ended}) {
                    if (v.born < fence && fence < v.ended) {
                        first = std::min(first, fence);
                    }
                }
            }
        }
        return first;
    }

    /// Whether something may have fenced loads of the key after `from`, up to `to`.
    [[nodiscard]] bool fenced_within(int key, event from, event to) const {
        return std::any_of(changes_.begin(), changes_.end(), [&](const change& c) {
            return (c.fences() || c.is == change::kind::newer) && c.touches(key) && c.called <= to &&
                   c.ended > from;
        });
    }

    /// Whether its callers may all have left it.
    [[nodiscard]] bool left_alone(const version& load) const {
        return std::any_of(operations_.begin(), operations_.end(), [&](const operation& c) {
            return c.cancelled && (load.by == 0 ? c.began >= load.earliest : c.id == load.by);
        });
    }

    /// Whether the key has certainly had a value from `from` until now, no longer past its freshness than
    /// that.
    [[nodiscard]] bool known_stored(int key, event from, nanoseconds past = nanoseconds{0}) const {
        return terms_.reliable && std::any_of(changes_.begin(), changes_.end(), [&](const change& c) {
                   return c.touches(key) && c.value != nullptr && c.settled < from &&
                          !removed_since(key, c.called) && !expired_since(key, c.value->born, past);
               });
    }
    [[nodiscard]] bool removed_since(int key, event at) const {
        using enum change::kind;
        const tag_set tags = tags_of(key);
        return std::any_of(changes_.begin(), changes_.end(), [&](const change& c) {
            const bool touched = c.is == by_tag ? (c.tags & tags) != 0 : c.touches(key);
            return (c.is == removal || c.is == by_value || c.is == by_tag || c.is == expiry) && touched &&
                   c.ended >= at;
        });
    }
    /// Whether what was brought for the key since then, and may have been stored, is further past its
    /// freshness.
    [[nodiscard]] bool expired_since(int key, event at, nanoseconds past) const {
        return std::any_of(versions_.begin(), versions_.end(), [&](const version& v) {
            return v.key == key && v.is == version::status::value && v.ended >= at &&
                   (v.fresh_until <= v.created || // then it is not stored, and what was is gone
                    std::min(v.fresh_until + past, v.expires) <= manual_clock::now());
        });
    }

    [[nodiscard]] tag_set tags_of(int key) const {
        tag_set all = 0;
        for (const version& v : versions_) {
            all |= v.key == key ? v.tags : 0;
        }
        return all;
    }
    [[nodiscard]] bool has_tag_changes(int key) const {
        return std::any_of(changes_.begin(), changes_.end(), [&, tags = tags_of(key)](const change& c) {
            return c.is == change::kind::by_tag && (c.tags & tags) != 0;
        });
    }

    /// Whether the failure need not hold its key back any more.
    [[nodiscard]] bool forgotten_since(const version& failure) const {
        return std::any_of(changes_.begin(), changes_.end(),
                           [&](const change& c) {
                               return c.ended >= failure.ended &&
                                      (c.is == change::kind::by_tag || c.touches(failure.key));
                           }) ||
               std::any_of(versions_.begin(), versions_.end(), [&](const version& v) {
                   return v.key == failure.key && v.is == version::status::value && v.ended >= failure.ended;
               });
    }

    const terms terms_;
    event last_ = 0;
    std::deque<operation> operations_;
    std::deque<version> versions_;
    std::deque<change> changes_;
};

} // namespace simulation

#endif
