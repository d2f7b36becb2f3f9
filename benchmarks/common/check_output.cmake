# Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

# check(<exit status> "<pattern>;..." <command>...) runs a command, with the file INPUT as its input if that is
# set; what it prints has to match each of the patterns.
function(check expected_status patterns)
    set(input)
    if(INPUT)
        set(input INPUT_FILE ${INPUT})
    endif()
    execute_process(COMMAND ${ARGN} ${input} OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE status)
    if(NOT status EQUAL expected_status)
        message(FATAL_ERROR "${ARGN}: exit status ${status}\n${output}${errors}")
    endif()
    foreach(pattern IN LISTS patterns)
        if(NOT "${output}${errors}" MATCHES "${pattern}")
            message(FATAL_ERROR "${ARGN}: no \"${pattern}\" in\n${output}${errors}")
        endif()
    endforeach()
endfunction()
