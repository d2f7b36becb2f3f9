# Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

# Gives made-up measurements to REPORT and PICTURES, and looks at what they make of them. DIR is for files.
cmake_minimum_required(VERSION 3.24)
include(${CMAKE_CURRENT_LIST_DIR}/common/check_output.cmake)

# Three rounds, the last of them on a machine that did something else too: neither the medians nor the ratio, which
# is that of figures of one round, may show it.
file(WRITE ${DIR}/results.csv "round,figure,value
1,floor_flat_map/threads:1,2
1,try_get/threads:1,4
2,floor_flat_map/threads:1,3
2,try_get/threads:1,6
3,floor_flat_map/threads:1,4
3,try_get/threads:1,40
1,try_get/threads:2,12
2,try_get/threads:2,18
3,try_get/threads:2,120
1,tbb/threads:1,100
1,tbb/threads:2,2000
1,read_through,150
1,read_through.miss_ratio,0.25
1,floor_read_through_look_up,20
1,floor_spawn_and_await,400
1,data_loader,100
1,npm_dataloader,450
1,memory,40.01
")
file(WRITE ${DIR}/hit_ratio.csv "policy,trace,cache_size,miss_ratio,gap_closed
default,a,1000,0.5,0.5
default,b,2000,0.5,0.1
default,b,100,0.5,-0.3
default,c,2000,0.5,
")
file(WRITE ${DIR}/missratio.csv "trace,requests,unique,cache_size,pct,LRU,S3FIFO,ARC,Belady
a,10000,10000,1000,10%,0.6,0.5,0.55,0.2
b,10000,20000,2000,10%,0.5,0.52,0.48,0.4
b,10000,20000,200,1%,0.5,0.45,0.5,0.4
c,10000,20000,2000,10%,0.5,0.4,0.5,0.4999
")

check(0 "try_get hit, 1 thread[ |]+flat map look-up[ |]+6.00[ |]+3.00[ |]+2.00[ |]+<= 2.5 [| ]+ok "
    ${REPORT} ${DIR}/results.csv)
check(0 "try_get hit, 2 threads, each[ |]+1 thread[ |]+18.00[ |]+6.00[ |]+3.00[ |]+<= 2 [| ]+NO "
    ${REPORT} ${DIR}/results.csv)
# 20 + 0.25 * 400
check(0 "read-through[ |]+look-up, spawn a miss[ |]+150[ |]+120[ |]+1.25[ |]+<= 1.3 [| ]+ok "
    ${REPORT} ${DIR}/results.csv)
check(0 "npm dataloader[ |]+100.0*[ |]+450[ |]+4.50[ |]+>= 2 [| ]+ok " ${REPORT} ${DIR}/results.csv)
check(0 "memory, bytes over key and value[ |]+40.01[ |]+<= 40 [| ]+NO " ${REPORT} ${DIR}/results.csv)
check(0 "herd, each further waiter[ |]+wake[ |]+<= 1.3 [| ]+not measured " ${REPORT} ${DIR}/results.csv)
check(0 "2 cells of 1000 entries[ |]+0.300[ |]+> 0.262 [| ]+ok " ${REPORT} ${DIR}/results.csv ${DIR}/hit_ratio.csv)
check(0 "3 cells of 100 entries[ |]+0.100[ |]+> 0.283 [| ]+NO " ${REPORT} ${DIR}/results.csv ${DIR}/hit_ratio.csv)
check(0 "the worst of them[ |]+-0.300[ |]+>= -0.05 [| ]+NO " ${REPORT} ${DIR}/results.csv ${DIR}/hit_ratio.csv)
check(1 "" ${REPORT} ${DIR}/no_such_file.csv)
check(2 "" ${REPORT})

# The bars of acache are as long as they should be: 6 and 18 of 250, beyond which a bar is broken.
check(0 "<svg [^>]*role=\"img\";<desc [^>]*>[^<]*try_get 6.0, 18.0.*width=\"12.1\".*class=\"ours\".*width=\"36.4\".*class=\"ours second\".*2000.0</text>.*</svg>"
    ${PICTURES} hits ${DIR}/results.csv)
# S3-FIFO closes .25 and -.2 of two cells; .25, -.2 and .5 of three. Cell c, without a gap, is left out.
check(0 "S3-FIFO 2.5, 18.3;acache default 30.0, 10.0;best of all, cell by cell 22.5, 31.7"
    ${PICTURES} gaps ${DIR}/hit_ratio.csv ${DIR}/missratio.csv)
check(1 "" ${PICTURES} hits ${DIR}/no_such_file.csv)
check(2 "" ${PICTURES})
