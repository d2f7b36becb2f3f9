// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_SIMULATION_MODEL_HPP
#define ACACHE_TESTS_SIMULATION_MODEL_HPP

#include <acache/clock.hpp>
#include <acache/testing/manual_clock.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <limits>

/// What the callers of a cache may see, written down without flights, locks or stores: `history` is told what
/// happened, each thing with the number of its event, and says whether what a caller got agrees with it.
///
/// It knows intervals only: a write takes effect somewhere between its call and its return. Where that leaves
/// two answers, both are right.
namespace simulation {

using acache::time_point;
using acache::testing::manual_clock;

/// The place of something in a run: each thing that happens has a number of its own.
using event = std::uint64_t;
inline constexpr event never = std::numeric_limits<event>::max();

inline constexpr int every_key = -1;

/// How an operation comes by values.
enum class access {
    reads, ///< from the store alone
    joins, ///< from the store, a load under way or its own load
    loads, ///< from its own load alone: a refresh
    writes
};

/// One call of a caller.
struct operation {
    int id;
    const char* name;
    access how;
    event began;
    time_point began_at;
    bool cancelled = false;
};

/// A value, or a load that is to bring one.
struct version {
    enum class status { loading, value, failed, given_up };

    int number;
    int key;
    /// Whose load or `set` it is; 0 for a batch of several callers.
    int by;
    /// When the flight began (or `set` was called). Of a shared batch that is known within bounds only:
    /// not before `earliest`, not after `born`.
    event earliest;
    event born;
    event ended = never;
    /// When its flight was over, as far as that can be told: no later than when one of those who waited for
    /// it had its value or error.
    event landed = never;
    /// One of those has it.
    bool is_known = false;
    status is = status::loading;
    bool is_load = true;
    time_point created{};
    time_point expires = time_point::max();
    /// The number of the error it failed with.
    int error = 0;
};

/// What makes older versions of a key disappear, or keeps loads of it from being stored.
struct change {
    enum class kind {
        set,     ///< puts its value in the place of what there was; fences
        removal, ///< invalidate, clear; fences
        refresh, ///< the beginning of one: fences, and leaves what is stored
        load     ///< one that is known to have been stored
    };

    kind is;
    int key;
    event called;
    /// When it had taken effect for certain.
    event settled = never;
    /// When it was over, with success or without.
    event ended = never;
    const version* value = nullptr;
    /// Nobody waits for it: it is over some time before `ended`.
    bool in_background = false;

    [[nodiscard]] bool touches(int k) const { return key == k || key == every_key; }
    [[nodiscard]] bool fences() const { return is != kind::load; }
};

class history {
public:
    /// `stores_at_once`: a load's value is stored in the step in which the load ends. `reliable`: what is
    /// loaded and not fenced is stored, and what is stored is found.
    history(bool stores_at_once, bool reliable) : stores_at_once_(stores_at_once), reliable_(reliable) {}

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
        if (superseded(v, c.began)) {
            return "a write that was called after its load began had returned before the caller came";
        }
        if (const event fence = fenced_while_loading(v); fence != never && !could_join(c, fence)) {
            return "its load was fenced, and the caller came after that";
        }
        if (v.expires <= c.began_at && !could_join(c, v.landed)) {
            return "it had expired when the caller came";
        }
        return nullptr;
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
        return nullptr;
    }

    /// Why the operation may not find nothing.
    [[nodiscard]] const char* why_not_miss(const operation& c, int key) const {
        return known_stored(key, c.began) ? "the key had a fresh value all the time" : nullptr;
    }

    /// Why the load that has just begun may not run.
    [[nodiscard]] const char* why_not_load(const operation* c, const version& load) const {
        if ((c == nullptr || c->how != access::loads) && known_stored(load.key, load.earliest)) {
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

    // ---- What happened -----------------------------------------------------------------------------------

    event tick() { return ++last_; }

    operation& began(const char* name, access how) {
        const int id = static_cast<int>(operations_.size()) + 1;
        return operations_.emplace_back(operation{id, name, how, tick(), manual_clock::now()});
    }
    [[nodiscard]] operation* by_id(int id) {
        return id == 0 ? nullptr : &operations_[static_cast<std::size_t>(id - 1)];
    }

    version& add_version(int key, const operation& by) { return add_version(key, by.id, by.began, by.began); }
    version& add_version(int key, int by, event earliest, event born) {
        const int number = static_cast<int>(versions_.size()) + 1;
        return versions_.emplace_back(version{number, key, by, earliest, born});
    }
    /// The value is there, and its life begins.
    void bring(version& v, std::chrono::nanoseconds ttl) {
        v.ended = tick();
        v.is = version::status::value;
        v.created = manual_clock::now();
        v.expires = v.created + ttl;
        if (stores_at_once_ || !v.is_load) {
            v.landed = v.ended;
        }
    }
    void fail(version& v, int error, bool in_batch = false) {
        v.ended = tick();
        v.is = version::status::failed;
        v.error = error;
        if (stores_at_once_ || !in_batch) {
            v.landed = v.ended; // else the flight ends with the batch, when its values are stored
        }
    }
    void give_up(version& v) {
        v.ended = v.landed = tick();
        v.is = version::status::given_up;
    }
    [[nodiscard]] const version* find_version(int number) const {
        const auto i = static_cast<std::size_t>(number - 1);
        return number > 0 && i < versions_.size() ? &versions_[i] : nullptr;
    }
    [[nodiscard]] const std::deque<version>& versions() const { return versions_; }

    change& add_change(change::kind is, int key, event called, const version* value = nullptr) {
        return changes_.emplace_back(change{is, key, called, never, never, value, false});
    }

    /// The operation has got `v`, which it might have waited for: where it had to, the flight is over.
    void got(const operation& c, int number) {
        version& v = versions_[static_cast<std::size_t>(number - 1)];
        if (v.is_known || !could_join(c, v.ended)) {
            return;
        }
        v.is_known = true;
        const event now = tick();
        v.landed = std::min(v.landed, now);
        if (reliable_ && v.by != 0 && !fenced_within(v.key, v.earliest, now)) {
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

private:
    /// Whether the operation may be one of those that wait for a load which could be joined until `end`.
    [[nodiscard]] static bool could_join(const operation& c, event end) {
        return (c.how == access::joins || c.how == access::loads) && c.began < end;
    }

    [[nodiscard]] const version* find_failed(int key, int error) const {
        const auto it = std::find_if(versions_.begin(), versions_.end(), [&](const version& v) {
            return v.key == key && v.is == version::status::failed && v.error == error;
        });
        return it == versions_.end() ? nullptr : &*it;
    }

    /// A write, or a load that was stored, replaced or removed the version before `at`.
    [[nodiscard]] bool superseded(const version& v, event at) const {
        return std::any_of(changes_.begin(), changes_.end(), [&](const change& c) {
            return c.is != change::kind::refresh && c.touches(v.key) && v.born < c.called && c.settled < at;
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
            return c.fences() && c.touches(key) && c.called <= to && c.ended > from;
        });
    }

    /// Whether its callers may all have left it.
    [[nodiscard]] bool left_alone(const version& load) const {
        return std::any_of(operations_.begin(), operations_.end(), [&](const operation& c) {
            return c.cancelled && (load.by == 0 ? c.began >= load.earliest : c.id == load.by);
        });
    }

    /// Whether the key has certainly had a fresh value from `from` until now.
    [[nodiscard]] bool known_stored(int key, event from) const {
        return reliable_ && std::any_of(changes_.begin(), changes_.end(), [&](const change& c) {
                   return c.touches(key) && c.value != nullptr && c.settled < from &&
                          !removed_since(key, c.called) && !expired_since(key, c.value->born);
               });
    }
    [[nodiscard]] bool removed_since(int key, event at) const {
        return std::any_of(changes_.begin(), changes_.end(), [&](const change& c) {
            return c.is == change::kind::removal && c.touches(key) && c.ended >= at;
        });
    }
    /// Whether what was brought for the key since then, and may have been stored, has expired.
    [[nodiscard]] bool expired_since(int key, event at) const {
        return std::any_of(versions_.begin(), versions_.end(), [&](const version& v) {
            return v.key == key && v.is == version::status::value && v.ended >= at &&
                   v.expires <= manual_clock::now();
        });
    }

    const bool stores_at_once_;
    const bool reliable_;
    event last_ = 0;
    std::deque<operation> operations_;
    std::deque<version> versions_;
    std::deque<change> changes_;
};

} // namespace simulation

#endif
