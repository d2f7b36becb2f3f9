// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Undoes push_warnings.hpp; included once after it each time, and so without a guard.

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
