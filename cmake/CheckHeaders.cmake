# Compiles every header alone: run by CTest as lint.headers.
#
#   cmake -DROOT=<top of the tree> -DCC=<C compiler> -DGENERATED=<dir> -P CheckHeaders.cmake
cmake_minimum_required(VERSION 3.25)
set(problems "")
set(n_headers 0)
foreach(top common data model ps worker serve cli tests)
  file(GLOB_RECURSE headers RELATIVE "${ROOT}" "${ROOT}/${top}/*.h")
  foreach(header IN LISTS headers)
    math(EXPR n_headers "${n_headers} + 1")
    execute_process(
      COMMAND ${CC} -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -I${ROOT} -I${GENERATED}
              -fsyntax-only -x c "${ROOT}/${header}"
      RESULT_VARIABLE code ERROR_VARIABLE text OUTPUT_QUIET)
    if(NOT code EQUAL 0)
      string(APPEND problems "${header} does not compile alone:\n${text}\n")
    endif()
  endforeach()
endforeach()
if(problems)
  message(FATAL_ERROR "${problems}")
endif()
message(STATUS "${n_headers} headers compile alone")
