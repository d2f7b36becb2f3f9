// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_SIDE_RECORD_HPP
#define ACACHE_DETAIL_SIDE_RECORD_HPP

#include <acache/clock.hpp>

namespace acache::detail {

/// What few entries have and plain ones do not pay for: here is the place for more of that kind. An entry's
/// life owns its record; readers read it as they read the entry.
struct side_record {
    time_point created;
    time_point expires;
};

} // namespace acache::detail

#endif
