// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Included once before the code of each header with coroutine templates, and so without a guard;
// pop_warnings.hpp undoes it.

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
// g++ 12 reports the frames of coroutine templates that are instantiated with a user's local closure type.
#pragma GCC diagnostic ignored "-Wsubobject-linkage"
// At -O1 it inlines the operator new of some frames, and not its operator delete, and takes them for a
// mismatch.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
