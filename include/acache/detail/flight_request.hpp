// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_FLIGHT_REQUEST_HPP
#define ACACHE_DETAIL_FLIGHT_REQUEST_HPP

namespace acache::detail {

/// What somebody asks of a `flight_table`: the flight of a key. Besides what is here, where requests are
/// alike as a rule, one has
/// - `hash()`, and `query()`, the key as it is looked up;
/// - `found(flight)`: looks for an answer that needs no flight, under the lock of the key's flights, so that
///   there is no gap before a flight that is made for it is known to all; `flight` is the joinable one, or
///   null;
/// - `add(make)`: chooses the job of a new flight and returns `make(job)`, under that lock;
/// - and for whoever enters it `joined()`, and `launch(flight)`, which submits the job of that new flight.
struct flight_request {
    /// `found` is asked although the key has a flight.
    [[nodiscard]] static bool may_answer() noexcept { return false; }
    /// The flight there is will not do: it is fenced, and a new one made.
    template <class Flight>
    [[nodiscard]] static bool replaces(const Flight&) noexcept {
        return false;
    }
    /// What `found` found is to be renewed by a flight that nobody waits for, unless the key has one. It is
    /// kept, and launched when the lock is free.
    [[nodiscard]] static bool renews() noexcept { return false; }
    template <class FlightPtr>
    static void keep_renewal(FlightPtr) noexcept {}
    static void launch_renewal() noexcept {}
    /// What has become of it, besides `joined()`, told with no lock held: `found` found an answer, or a
    /// flight was added. The latter may be told before that flight is launched.
    static void answered() noexcept {}
    static void added() noexcept {}
};

} // namespace acache::detail

#endif
