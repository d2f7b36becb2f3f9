// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_SIDE_RECORD_HPP
#define ACACHE_DETAIL_SIDE_RECORD_HPP

#include <acache/entry.hpp>

namespace acache::detail {

/// What few entries have and plain ones do not pay for. An entry's life owns its record; readers read it as
/// they read the entry. Aligned so that four bits of its address are not needed to find it.
struct alignas(16) side_record {
    entry_stamps stamps;
    entry_details_ptr details;
};

} // namespace acache::detail

#endif
