// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_FLIGHT_CALLER_HPP
#define ACACHE_DETAIL_FLIGHT_CALLER_HPP

#include <acache/detail/load_executor.hpp>
#include <acache/detail/load_node.hpp>
#include <acache/detail/soft_deadline.hpp>
#include <acache/detail/waiter.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>

#include <optional>
#include <thread>
#include <utility>

namespace acache::detail {

/// A caller's share in a flight: leaves it when it goes out of scope, however that comes.
template <class Group>
class flight_share {
public:
    flight_share(Group& group, typename Group::flight_ptr flight) noexcept
        : group_(&group), flight_(std::move(flight)) {}
    flight_share(flight_share&& other) noexcept = default;
    flight_share& operator=(flight_share&&) = delete;
    ~flight_share() {
        if (flight_) {
            group_->leave(*flight_);
        }
    }

    /// Its interest stays with the flight, which so goes on whoever leaves it.
    void stay() noexcept { flight_ = nullptr; }

    [[nodiscard]] const typename Group::flight_ptr& flight() const noexcept { return flight_; }
    [[nodiscard]] typename Group::flight_type& operator*() const noexcept { return *flight_; }
    [[nodiscard]] typename Group::flight_type* operator->() const noexcept { return flight_.get(); }

private:
    Group* group_;
    typename Group::flight_ptr flight_;
};

/// Gives a caller a share in the flight of the request's key, which is joined or `started`, and none where
/// the request found an answer of its own. `inside` is the load that the caller runs in, or null; that it
/// waits for the flight is told by `edge`. Throws `errc::recursive_load`.
template <class Group, class Request>
void take_share(Group& group, Request& request, const load_node_ptr& inside,
                std::optional<flight_share<Group>>& share, std::optional<wait_edge>& edge, bool& started) {
    while (auto flight = group.join_or_add(request, started)) {
        share.emplace(group, std::move(flight));
        if (started) {
            request.added();
        } else {
            request.joined();
        }
        if (!inside) {
            break;
        }
        auto& job = *(*share)->job;
        edge.emplace(inside, job.node());
        if (job.board().exempt(job)) {
            break;
        }
        // Another thread is about to end that flight, since it was refused before this load joined it.
        edge.reset();
        share.reset();
        std::this_thread::yield();
    }
}

/// One caller on its way: enters the group with a request, waits for the flight that it was given, and leaves
/// it when it goes out of scope. Lives in the caller's coroutine frame, so that the way costs no frame of its
/// own.
template <class Group>
class flight_caller {
public:
    /// Throws `errc::closed` where the coroutine on `executor` may not begin work.
    /// `owner` is whose callers it is one of, for `flight_table::dismiss`.
    flight_caller(Group& group, const asio::any_io_executor& executor, const void* owner = nullptr)
        : group_(group), load_(group.admit(executor)) {
        waiter_.owner = owner;
    }

    /// Joins the flight of the request's key or starts one. Throws `errc::recursive_load`.
    template <class Request>
    void enter(Request& request) {
        take_share(group_, request, load_, share_, edge_, started_);
        if (!share_) {
            request.answered();
            request.launch_renewal();
        } else if (started_) {
            request.launch(**share_);
        }
    }

    /// False where the request found an answer of its own, and where its load has ended in this very call, as
    /// one that never suspends may. But a loop of such loads would starve the others, so each few of them are
    /// waited for all the same.
    [[nodiscard]] bool has_to_wait() const noexcept {
        return share_ && !(started_ && group_.ended(**share_) && may_go_on());
    }

    /// An operation to be `co_await`ed until the flight has ended, or a `deadline` has come.
    [[nodiscard]] auto wait() { return group_.wait(waiter_, **share_); }

    /// The same with an end at this time, if the flight's does not come before: to be held meanwhile.
    [[nodiscard]] soft_deadline<Group> deadline(std::chrono::nanoseconds length) {
        return soft_deadline<Group>(group_, waiter_, share_->flight(), length);
    }
    [[nodiscard]] bool over() const noexcept { return group_.ended(**share_); }
    /// The flight that is waited for.
    [[nodiscard]] typename Group::flight_type& waits_for() const noexcept { return **share_; }
    /// Waits no more, but the flight goes on.
    void let_go_on() noexcept { share_->stay(); }

    /// The flight, which has ended; null where the request found an answer of its own.
    [[nodiscard]] typename Group::flight_type* flight() const noexcept {
        return share_ ? &**share_ : nullptr;
    }
    [[nodiscard]] bool started() const noexcept { return started_; }
    /// The flight was somebody else's, who has taken it back: the caller may enter anew.
    [[nodiscard]] bool withdrawn() const noexcept {
        return share_ && !started_ && (*share_)->outcome.withdrawn;
    }

private:
    [[nodiscard]] static bool may_go_on() noexcept {
        static constinit thread_local unsigned loads = 0;
        return ++loads % 8 != 0;
    }

    Group& group_;
    const load_node_ptr load_;
    std::optional<flight_share<Group>> share_;
    std::optional<wait_edge> edge_;
    waiter waiter_;
    bool started_ = false;
};

} // namespace acache::detail

#endif
