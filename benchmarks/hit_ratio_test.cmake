# Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

# Replays a loop with PROGRAM, in FOLDER: LRU never hits, the optimum keeps all but one of what fits.
cmake_minimum_required(VERSION 3.24)
include(${CMAKE_CURRENT_LIST_DIR}/common/check_output.cmake)
set(trace)
foreach(i RANGE 1 20000)
    math(EXPR key "${i} % 2000")
    string(APPEND trace "${key}\n")
endforeach()
file(REMOVE_RECURSE ${FOLDER})
file(WRITE "${FOLDER}/loop.txt" "${trace}")
file(WRITE "${FOLDER}/ratios.csv" "trace,cache_size,pct,FIFO,LRU,Belady
loop,1000,50%,1.0000,1.0000,0.5505
loop,200,10%,1.0000,1.0000,0.9104
loop,2000,100%,0.1000,0.1000,0.1000
none,10,10%,1.0000,1.0000,0.9000
")

check(0 "loop +1000 +0\\.[0-9]+ \\( +0\\.[89][0-9]+\\) +1\\.0000 \\( +0\\.000\\);loop +2000 +0\\.1000 +0\\.1000;none +10 +no such trace;default +0\\.[89][0-9]+ +0\\.[89];lru +0\\.000 +0\\.000;FIFO +0\\.000 +0\\.000" ${PROGRAM}
    --missratio "${FOLDER}/ratios.csv" "${FOLDER}" --policy default --policy lru --no-zipf --csv "${FOLDER}/out.csv")
file(READ "${FOLDER}/out.csv" csv)
if(NOT csv MATCHES "loop,1000,lru,1,0\n")
    message(FATAL_ERROR "no line for lru in\n${csv}")
endif()
check(0 "usage: hit_ratio" ${PROGRAM} --help)
check(2 "missratio are needed" ${PROGRAM} "${FOLDER}")
check(2 "unknown: mru" ${PROGRAM} --missratio "${FOLDER}/ratios.csv" "${FOLDER}" --policy mru)
check(2 "cannot be read" ${PROGRAM} --missratio "${FOLDER}/none.csv" "${FOLDER}")
check(2 "--shards: not a number: x" ${PROGRAM} --missratio "${FOLDER}/ratios.csv" "${FOLDER}" --shards x)
file(WRITE "${FOLDER}/bare.csv" "trace,cache_size,Belady,LRU\n")
check(2 "no policies between" ${PROGRAM} --missratio "${FOLDER}/bare.csv" "${FOLDER}")
