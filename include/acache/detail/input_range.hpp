// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_INPUT_RANGE_HPP
#define ACACHE_DETAIL_INPUT_RANGE_HPP

#include <iterator>
#include <utility>

namespace acache::detail {

// What the header <ranges> calls so too. That header alone takes as long to compile as a third of this
// library.

namespace range_access {
using std::begin;
using std::end;

template <class R>
using iterator_t = decltype(begin(std::declval<R&>()));
template <class R>
using sentinel_t = decltype(end(std::declval<R&>()));
} // namespace range_access

template <class R>
concept input_range = std::input_iterator<range_access::iterator_t<R>> &&
                      std::sentinel_for<range_access::sentinel_t<R>, range_access::iterator_t<R>>;

template <input_range R>
using range_reference_t = std::iter_reference_t<range_access::iterator_t<R>>;

} // namespace acache::detail

#endif
