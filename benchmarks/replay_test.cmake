# Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

# Replays a made-up trace with PROGRAM, and compares what it counts. The keys are those of a loop over few
# keys, mixed with keys that come once.
cmake_minimum_required(VERSION 3.24)
set(trace)
foreach(i RANGE 1 2000)
    math(EXPR looped "${i} % 40")
    string(APPEND trace "loop ${looped}\nonce ${i}\n")
endforeach()
file(WRITE ${TRACE} "${trace}")

# Runs it with the arguments given; its output has to match each of the patterns.
function(replay expected_status patterns)
    execute_process(COMMAND ${PROGRAM} ${ARGN} INPUT_FILE ${TRACE}
        OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE status)
    if(NOT status EQUAL expected_status)
        message(FATAL_ERROR "${ARGN}: exit status ${status}\n${output}${errors}")
    endif()
    foreach(pattern IN LISTS patterns)
        if(NOT output MATCHES "${pattern}")
            message(FATAL_ERROR "${ARGN}: no \"${pattern}\" in\n${output}")
        endif()
    endforeach()
endfunction()

replay(0 "requests +4000\n;distinct keys +2040\n;capacity +204\n")
replay(0 "loads +2040\n;miss ratio +0.5100\n" --capacity 100%)
replay(0 "hits +0\n" --capacity 0 --load-time 100)
# One at a time, nothing can be joined.
replay(0 "coalesced +0\n" --concurrency 1 --threads 1)
replay(0 "usage: replay" --help)
replay(2 "" --capacity many)
replay(2 "" --nonsense)
