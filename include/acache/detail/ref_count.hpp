// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_REF_COUNT_HPP
#define ACACHE_DETAIL_REF_COUNT_HPP

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <atomic>

namespace acache::detail {

/// A base for what `boost::intrusive_ptr` shares. Unlike `boost::intrusive_ref_counter` it is born with the
/// references that its maker will have anyway, and the last one is given up without an atomic addition: a
/// load makes three such objects, and these additions were a tenth of its time.
template <class T>
class ref_count {
public:
    ref_count(const ref_count&) = delete;
    ref_count& operator=(const ref_count&) = delete;

    friend void intrusive_ptr_add_ref(const T* object) noexcept {
        count_of(object).fetch_add(1, std::memory_order_relaxed);
    }
    friend void intrusive_ptr_release(const T* object) noexcept {
        auto& count = count_of(object);
        // Who has the only reference is alone with it: nobody can add another.
        if (count.load(std::memory_order_acquire) == 1 ||
            count.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            delete object;
        }
    }

protected:
    explicit ref_count(unsigned references) noexcept : count_(references) {}
    ~ref_count() = default;

private:
    static std::atomic<unsigned>& count_of(const T* object) noexcept {
        return static_cast<const ref_count*>(object)->count_;
    }

    mutable std::atomic<unsigned> count_;
};

/// One of the references that the object was born with.
template <class T>
[[nodiscard]] boost::intrusive_ptr<T> adopt(T* object) noexcept {
    return boost::intrusive_ptr<T>(object, false);
}

} // namespace acache::detail

#endif
