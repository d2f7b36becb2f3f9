// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_TSAN_SUPPRESSIONS_HPP
#define ACACHE_TESTS_TSAN_SUPPRESSIONS_HPP

// Included once in a program. An exception that several callers get is freed by the last of them; the count
// that orders that is in the C++ library, which ThreadSanitizer does not see into. So is, for the last holder
// of an executor, the count in Asio: it ends with an atomic_thread_fence, which ThreadSanitizer does not
// know.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
    return "race:std::__exception_ptr::exception_ptr::_M_release\n"
           "race:boost::asio::execution::detail::any_executor_base::destroy_shared\n";
}

#endif
