// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_TSAN_SUPPRESSIONS_HPP
#define ACACHE_TESTS_TSAN_SUPPRESSIONS_HPP

// Included once in a program. An exception that several callers get is freed by the last of them; the count
// that orders that is in the C++ library, which ThreadSanitizer does not see into. The end of a handler may
// be what frees it, and has no name that could be given here: so handlers on several threads keep it by
// std::current_exception(), which does. The count in Asio that orders the end of an executor has an
// atomic_thread_fence, which ThreadSanitizer does not know.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
    return "race:std::__exception_ptr::exception_ptr::_M_release\n"
           "race:boost::asio::execution::detail::any_executor_base::destroy_shared\n";
}

#endif
