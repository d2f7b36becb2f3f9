// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_VERSION_HPP
#define ACACHE_VERSION_HPP

/// The version as one number: major * 10000 + minor * 100 + patch.
#define ACACHE_VERSION 100 // 0.1.0

#endif
