// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_STRIPED_REF_COUNT_HPP
#define ACACHE_DETAIL_STRIPED_REF_COUNT_HPP

#include <acache/detail/compiler.hpp>
#include <acache/detail/read_section.hpp>
#include <acache/detail/thread_cells.hpp>

#include <atomic>
#include <cstdint>
#include <utility>

namespace acache::detail {

/// A base for an object with a few owners (`boost::intrusive_ptr`s, counted in one place) and very many short
/// uses of it on all threads (`counted_use`s, counted by each thread in a cell of its own). A use begins
/// while there is an owner, and may outlive all of them; the object goes with the last of both. It is the
/// percpu_ref of Linux (Overstreet, 2013) in user space.
///
/// Why the object goes exactly once, and after all uses. The uses there are: `left_` and the cells together,
/// less `held_by_owners`; a use may begin in one of them and end in the other.
/// - While there are owners, a use that ends in `left_` cannot bring it to zero.
/// - When the last owner goes, no use begins any more, and all that began have been counted, since that
///   owner's thread has heard of those of the others. It hides the cells, and waits for the read sections
///   that may have found them. A use ends in a cell only in such a section; so from then on the cells
///   stand still, and all uses end in `left_`. To that their sum is added, in the one step that takes the
///   owners' share off: what is left then are the uses, and who brings it to zero is the last.
///
/// The wait is dear, and few calls would not pay for it: so the first ones are counted in `left_`.
template <class T>
class striped_ref_count {
public:
    striped_ref_count(const striped_ref_count&) = delete;
    striped_ref_count& operator=(const striped_ref_count&) = delete;

    friend void intrusive_ptr_add_ref(const T* object) noexcept {
        count_of(object).owners_.fetch_add(1, std::memory_order_relaxed);
    }
    friend void intrusive_ptr_release(const T* object) noexcept {
        const striped_ref_count& count = count_of(object);
        // Who has the only owner is alone with it: nobody can add another.
        if (count.owners_.load(std::memory_order_acquire) == 1 ||
            count.owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            count.owners_gone();
        }
    }

    /// By the holder of an owner.
    void begin_use() const noexcept {
        if (auto* cells = cells_.load(std::memory_order_acquire)) [[likely]] {
            cells->add(0, 1);
        } else {
            out_of_line([this] { begin_early_use(); });
        }
    }
    /// Unless it is false, the use is over, and the object may be gone when the section is.
    [[nodiscard]] bool try_end_use(const read_section&) const noexcept {
        auto* const cells = cells_.load(std::memory_order_acquire);
        if (cells == nullptr) [[unlikely]] {
            return false;
        }
        cells->add(0, std::uint64_t{0} - 1);
        return true;
    }
    void end_use() const noexcept { take(1); }

protected:
    /// With one owner.
    striped_ref_count() = default;
    ~striped_ref_count() = default;

private:
    static constexpr std::uint64_t held_by_owners = std::uint64_t{1} << 63;
    static constexpr std::uint32_t early_uses = 64;

    static const striped_ref_count& count_of(const T* object) noexcept { return *object; }

    void begin_early_use() const noexcept {
        left_.fetch_add(1, std::memory_order_relaxed);
        if (early_.fetch_add(1, std::memory_order_relaxed) + 1 == early_uses) {
            cells_.store(&all_cells_, std::memory_order_release);
        }
    }

    void owners_gone() const noexcept {
        std::uint64_t in_cells = 0;
        if (cells_.load(std::memory_order_relaxed) != nullptr) {
            cells_.exchange(nullptr, std::memory_order_seq_cst);
            wait_for_other_readers();
            in_cells = all_cells_.sum(0);
        }
        take(held_by_owners - in_cells);
    }

    void take(std::uint64_t count) const noexcept {
        if (left_.fetch_sub(count, std::memory_order_acq_rel) == count) {
            delete static_cast<const T*>(this);
        }
    }

    mutable std::atomic<thread_cells<1>*> cells_{nullptr};
    mutable thread_cells<1> all_cells_;
    mutable std::atomic<std::uint32_t> owners_{1};
    mutable std::atomic<std::uint32_t> early_{0};
    mutable std::atomic<std::uint64_t> left_{held_by_owners};
};

/// A use of such an object, from its making on.
template <class T>
class counted_use {
public:
    /// By the holder of an owner.
    explicit counted_use(T& object) noexcept : object_(&object) { object.begin_use(); }
    counted_use(counted_use&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    counted_use& operator=(counted_use&&) = delete;
    ~counted_use() {
        if (object_ != nullptr) {
            object_->end_use();
        }
    }

    [[nodiscard]] T& operator*() const noexcept { return *object_; }
    [[nodiscard]] T* operator->() const noexcept { return object_; }

    /// Ends the use if that can be done without waiting for other threads; else its destructor will.
    void try_end(const read_section& reading) noexcept {
        if (object_->try_end_use(reading)) {
            object_ = nullptr;
        }
    }

private:
    T* object_;
};

} // namespace acache::detail

#endif
