// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_READ_SECTION_HPP
#define ACACHE_DETAIL_READ_SECTION_HPP

#include <acache/detail/compiler.hpp>
#include <acache/detail/heavy_barrier.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>

#if __has_include(<pthread.h>)
#include <pthread.h>
#endif

namespace acache::detail {

/// Where one thread says that it reads. Cells are never freed: threads come and go, cells are taken over.
struct alignas(64) reader_cell {
    /// Grows by one when a section begins and when it ends: odd inside. Only the cell's thread changes it.
    std::atomic<std::uint64_t> sections{0};
    /// The barrier that makes `sections` seen in time is the writers' business. Constant.
    bool light = false;
    /// Taken for one section only. For the cell's thread alone.
    bool lent = false;
    std::atomic<bool> taken{true};
    reader_cell* next = nullptr;
};

/// The cells of all threads that have read so far.
class reader_registry {
public:
    [[nodiscard]] static reader_cell& take() {
        reader_cell* cell = head().load(std::memory_order_acquire);
        while (cell != nullptr && cell->taken.exchange(true, std::memory_order_acquire)) {
            cell = cell->next;
        }
        if (cell == nullptr) {
            watch_forks();
            cell = new reader_cell;
            cell->light = heavy_barrier::available();
            cell->next = head().load(std::memory_order_relaxed);
            while (!head().compare_exchange_weak(cell->next, cell, std::memory_order_acq_rel)) {
            }
        }
        readers().fetch_add(1, std::memory_order_seq_cst);
        return *cell;
    }

    static void give_back(reader_cell& cell) noexcept {
        readers().fetch_sub(1, std::memory_order_seq_cst);
        cell.taken.store(false, std::memory_order_release);
    }

    [[nodiscard]] static std::atomic<reader_cell*>& head() noexcept {
        static constinit std::atomic<reader_cell*> first{nullptr};
        return first;
    }

    /// How many cells are taken.
    [[nodiscard]] static std::atomic<std::size_t>& readers() noexcept {
        static constinit std::atomic<std::size_t> count{0};
        return count;
    }

private:
    /// In a process made by fork only the thread that made it goes on, and would else wait for ever for those
    /// that were in a section just then.
    static void watch_forks() noexcept {
#if __has_include(<pthread.h>)
        static const int watched = ::pthread_atfork(nullptr, nullptr, [] { forget_others(); });
        (void)watched;
#endif
    }
    static void forget_others() noexcept;
};

/// The calling thread's cell.
class own_reader_cell {
public:
    /// Null where the thread has none (yet, or any more).
    [[nodiscard]] static reader_cell* find() noexcept { return cell_; }

    /// Where the thread is about to end, a cell that is lent for one section and already in it. Throws
    /// `std::bad_alloc`.
    [[nodiscard]] static reader_cell& get() {
        reader_cell* const cell = cell_;
        return cell != nullptr ? *cell : *out_of_line([] { return &first_use(); });
    }

    /// The section for which a cell was lent is over.
    static void return_lent(reader_cell& cell) noexcept {
        cell.sections.fetch_add(1, std::memory_order_release);
        reader_registry::give_back(cell);
    }

private:
    struct owner {
        ~owner() {
            ending_ = true;
            reader_registry::give_back(*cell_);
            cell_ = nullptr;
        }
    };

    static reader_cell& first_use() {
        auto& cell = reader_registry::take();
        cell.lent = ending_;
        if (cell.lent) {
            cell.sections.fetch_add(1, std::memory_order_seq_cst);
        } else {
            cell_ = &cell;
            static thread_local owner at_exit;
            (void)at_exit;
        }
        return cell;
    }

    // Apart from the owner, so that reading them costs no more than a trivial variable does.
    static inline constinit thread_local reader_cell* cell_ = nullptr;
    static inline constinit thread_local bool ending_ = false;
};

inline void reader_registry::forget_others() noexcept {
    const auto* own = own_reader_cell::find();
    for (auto* cell = head().load(std::memory_order_acquire); cell != nullptr; cell = cell->next) {
        if (cell != own) {
            const auto seen = cell->sections.load(std::memory_order_relaxed);
            cell->sections.store(seen + seen % 2, std::memory_order_relaxed);
            cell->taken.store(false, std::memory_order_relaxed);
        }
    }
    readers().store(own != nullptr ? 1 : 0, std::memory_order_seq_cst);
}

/// While one lives, nothing that its thread can have found is freed or used anew. Entering and leaving are a
/// store each to a line that is the thread's alone, so readers never wait, for writers or for each other.
///
/// Writers make what is to go unreachable, wait for `readers_gone()`, and then free it. This is
/// userspace read-copy update with one barrier for many readers: Desnoyers, McKenney, Stern, Dagenais and
/// Walpole, "User-Level Implementations of Read-Copy Update", IEEE TPDS 23(2), 2012. A reader's store and its
/// first look at shared data may be reordered by the processor; the writers' heavy barrier makes every
/// running thread order them at some moment after the unlinking. A reader that had not yet told by then looks
/// after that moment, and finds nothing of what was unlinked. Where there is no such barrier,
/// and under ThreadSanitizer, which does not know it, a reader's store is an exchange.
///
/// May be nested; one that is inside another stores what is there already. What it guards may be copied in
/// it, but nothing is to be waited for: memory is not reused meanwhile.
class read_section {
public:
    read_section() : cell_(own_reader_cell::get()), before_(cell_.sections.load(std::memory_order_relaxed)) {
        if (cell_.light) [[likely]] {
            cell_.sections.store(before_ | 1, std::memory_order_relaxed);
            std::atomic_signal_fence(std::memory_order_seq_cst);
        } else {
            cell_.sections.exchange(before_ | 1, std::memory_order_seq_cst);
        }
    }
    read_section(const read_section&) = delete;
    read_section& operator=(const read_section&) = delete;
    ~read_section() {
        if (before_ % 2 == 0) {
            cell_.sections.store(before_ + 2, std::memory_order_release);
        } else if (cell_.lent) [[unlikely]] {
            own_reader_cell::return_lent(cell_);
        }
    }

private:
    reader_cell& cell_;
    const std::uint64_t before_;
};

/// Whether the calling thread is in a read section.
[[nodiscard]] inline bool reading() noexcept {
    const auto* own = own_reader_cell::find();
    return own != nullptr && own->sections.load(std::memory_order_relaxed) % 2 != 0;
}

/// True if all read sections of other threads that were open when it was called are over. It waits for them,
/// but not long: false where one goes on. Costs a barrier on all cores, so it is for many retired objects at
/// once.
[[nodiscard]] inline bool other_readers_gone() noexcept {
    heavy_barrier::run();
    const auto* own = own_reader_cell::find();
    for (auto* cell = reader_registry::head().load(std::memory_order_acquire); cell != nullptr;
         cell = cell->next) {
        if (cell == own) {
            continue;
        }
        // An addition of nothing: unlike a load it is ordered after the writer's unlinking even where the
        // barrier above did nothing, and then the reader's exchange is either seen by it or sees it.
        const auto seen = cell->light ? cell->sections.load(std::memory_order_acquire)
                                      : cell->sections.fetch_add(0, std::memory_order_seq_cst);
        for (int patience = 200; seen % 2 != 0; --patience) {
            if (cell->sections.load(std::memory_order_acquire) != seen) {
                break;
            }
            if (patience == 0) {
                return false;
            }
            if (patience < 4) {
                std::this_thread::yield();
            }
        }
    }
    return true;
}

/// The same for all threads; false where the caller is in a section itself.
[[nodiscard]] inline bool readers_gone() noexcept {
    return !reading() && other_readers_gone();
}

/// True if no other thread can be in a read section. Cheap. False does not mean that there is one.
[[nodiscard]] inline bool no_other_readers() noexcept {
    const std::size_t own = own_reader_cell::find() != nullptr ? 1 : 0;
    auto& readers = reader_registry::readers();
    // The addition is ordered against the one of a thread that begins to read: it comes first, and is
    // counted, or second, and finds what was unlinked gone.
    return readers.load(std::memory_order_relaxed) <= own &&
           readers.fetch_add(0, std::memory_order_seq_cst) <= own;
}

/// The same for all threads: then what was unlinked before the call can be freed after it.
[[nodiscard]] inline bool alone() noexcept {
    return !reading() && no_other_readers();
}

/// Returns when all read sections of other threads that were open when it was called are over.
inline void wait_for_other_readers() noexcept {
    while (!no_other_readers() && !other_readers_gone()) {
        std::this_thread::yield();
    }
}

} // namespace acache::detail

#endif
