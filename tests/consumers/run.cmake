# Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
# Configures, builds and runs a consumer project from nothing, as a ctest:
#   cmake -DSOURCE=<its folder> -DBUILD=<where to build it> -DGENERATOR=<generator> -DCACHE=<initial cache>
#     [-DINSTALL=<build folder of an acache to install first>] -P run.cmake

function(run)
    list(JOIN ARGV " " line)
    message(STATUS "${line}")
    execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE "${BUILD}")
set(arguments)
if(INSTALL)
    run(${CMAKE_COMMAND} --install "${INSTALL}" --prefix "${BUILD}/prefix")
    set(arguments -Dacache_ROOT=${BUILD}/prefix)
endif()
run(${CMAKE_COMMAND} -G "${GENERATOR}" -C "${CACHE}" -S "${SOURCE}" -B "${BUILD}/build" ${arguments})
run(${CMAKE_COMMAND} --build "${BUILD}/build")
run("${BUILD}/build/consumer")
