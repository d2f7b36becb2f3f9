# Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

# Replays a made-up trace with PROGRAM, and compares what it counts. The keys are those of a loop over few
# keys, mixed with keys that come once.
cmake_minimum_required(VERSION 3.24)
include(${CMAKE_CURRENT_LIST_DIR}/common/check_output.cmake)
set(trace)
foreach(i RANGE 1 2000)
    math(EXPR looped "${i} % 40")
    string(APPEND trace "loop ${looped}\nonce ${i}\n")
endforeach()
file(WRITE ${TRACE} "${trace}")
set(INPUT ${TRACE})

check(0 "requests +4000\n;distinct keys +2040\n;capacity +204\n" ${PROGRAM})
check(0 "loads +2040\n;miss ratio +0.5100\n" ${PROGRAM} --capacity 100%)
check(0 "hits +0\n" ${PROGRAM} --capacity 0 --load-time 100)
# One at a time, nothing can be joined.
check(0 "coalesced +0\n" ${PROGRAM} --concurrency 1 --threads 1)
check(0 "usage: replay" ${PROGRAM} --help)
check(2 "" ${PROGRAM} --capacity many)
check(2 "" ${PROGRAM} --nonsense)
