// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_PARKED_HANDLER_HPP
#define ACACHE_DETAIL_PARKED_HANDLER_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/execution/allocator.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/system/error_code.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace acache::detail {

namespace asio = boost::asio;
using boost::system::error_code;

/// The handler by which a suspended coroutine goes on, kept without allocating: it owns the coroutine's
/// frames, and mostly stands in one of them. Each of `post`, `call` and `drop` ends what `keep` began, and
/// may end the life of this object.
class parked_handler {
public:
    parked_handler() = default;
    parked_handler(const parked_handler&) = delete;
    parked_handler& operator=(const parked_handler&) = delete;

    /// `handler` is called with an `error_code`.
    template <class Handler>
    void keep(Handler&& handler) {
        using type = std::decay_t<Handler>;
        if constexpr (fits<type>) {
            ::new (static_cast<void*>(place_)) type(std::forward<Handler>(handler));
        } else {
            ::new (static_cast<void*>(place_)) type*(new type(std::forward<Handler>(handler)));
        }
        act_ = [](parked_handler& self, ending how, error_code ec) {
            end(self, take<type>(self.place_), how, ec);
        };
    }

    /// Runs the coroutine on by a post to its own executor.
    void post(error_code ec) { act_(*this, ending::post, ec); }
    /// Runs the coroutine on from here. For who runs on its executor.
    void call(error_code ec) { act_(*this, ending::call, ec); }
    /// Destroys the coroutine where it stands.
    void drop() { act_(*this, ending::drop, {}); }

private:
    enum class ending : std::uint8_t { post, call, drop };

    /// The size of the queue's operation that resumes a coroutine.
    static constexpr std::size_t size = 9 * sizeof(void*);
    static constexpr std::size_t alignment = alignof(void*);
    template <class T>
    static constexpr bool fits = sizeof(T) <= size && alignof(T) <= alignment;

    /// Gives an operation in a context's queue the place where its handler stood: a post allocates nothing.
    /// That holds since Asio frees an operation's memory before it calls the handler, and the handler owns
    /// the frame that the place is in.
    template <class T>
    struct in_place {
        using value_type = T;

        explicit in_place(std::byte* p) noexcept : place(p) {}
        template <class U>
        in_place(const in_place<U>& other) noexcept : place(other.place) {} // NOLINT: allocators convert

        [[nodiscard]] T* allocate(std::size_t n) const {
            if constexpr (fits<T>) {
                if (n == 1) {
                    return reinterpret_cast<T*>(place);
                }
            }
            return std::allocator<T>().allocate(n);
        }
        void deallocate(T* p, std::size_t n) const noexcept {
            if (static_cast<void*>(p) != place) {
                std::allocator<T>().deallocate(p, n);
            }
        }

        template <class U>
        friend bool operator==(const in_place& a, const in_place<U>& b) noexcept {
            return a.place == b.place;
        }

        std::byte* place;
    };

    template <class Handler>
    [[nodiscard]] static Handler take(std::byte* place) {
        if constexpr (fits<Handler>) {
            Handler& kept = *std::launder(reinterpret_cast<Handler*>(place));
            const std::unique_ptr<Handler, void (*)(Handler*)> end(&kept, [](Handler* h) { h->~Handler(); });
            return std::move(kept);
        } else {
            const std::unique_ptr<Handler> kept(*std::launder(reinterpret_cast<Handler**>(place)));
            return std::move(*kept);
        }
    }

    template <class Handler>
    static void end(parked_handler& self, Handler handler, ending how, error_code ec) {
        if (how == ending::post) {
            post(self, std::move(handler), ec);
        } else if (how == ending::call) {
            std::move(handler)(ec);
        }
    }

    // Asio's own `post` goes through the type-erased executor several times and allocates twice; the
    // executors of the two common contexts are called as what they are, which takes half of the time.
    template <class Handler>
    static void post(parked_handler& self, Handler handler, error_code ec) {
        if constexpr (std::same_as<asio::associated_executor_t<Handler>, asio::any_io_executor>) {
            const asio::any_io_executor executor = asio::get_associated_executor(handler);
            if (const auto* io = executor.target<asio::io_context::executor_type>()) {
                return execute(*io, self, std::move(handler), ec);
            }
            if (const auto* pool = executor.target<asio::thread_pool::executor_type>()) {
                return execute(*pool, self, std::move(handler), ec);
            }
        }
        asio::post(asio::append(std::move(handler), ec));
    }

    template <class Executor, class Handler>
    static void execute(const Executor& executor, parked_handler& self, Handler handler, error_code ec) {
        asio::require(executor, asio::execution::blocking.never,
                      asio::execution::allocator(in_place<void>(self.place_)))
            .execute([handler = std::move(handler), ec]() mutable { std::move(handler)(ec); });
    }

    alignas(alignment) std::byte place_[size];
    void (*act_)(parked_handler&, ending, error_code) = nullptr;
};

} // namespace acache::detail

#endif
