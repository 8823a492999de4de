# Checks who includes whom (docs/architecture.md): run by CTest as lint.includes.
#
#   cmake -DROOT=<top of the tree> -P CheckIncludes.cmake
#
# An include points to a folder of a lower level or stays in its own folder, is
# written from the top of the tree, and a library that we wrap is named in one
# file only.
cmake_minimum_required(VERSION 3.25)
if(NOT ROOT)
  get_filename_component(ROOT "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
endif()

# folder -> folders that its files may include besides their own
set(may_common_base "")
set(may_common_config "common/base")
set(may_common_math "common/base;common/config/settings.h")
set(may_common_net "common/base")
set(may_common_store "common/base")
set(may_data "common/base;common/config;common/math;common/store")
set(may_model "common/base;common/config;common/math;data/batch.h;data/dataset.h")
set(may_ps "common/base;common/config;common/math;common/net;common/store")
set(may_worker "common/base;common/config;common/math;common/net;common/store;data;model")
set(may_serve "common/base;common/config;common/math;common/store;data;model")
set(may_cli "common;data;model;ps;worker;serve")
set(may_tests "common;data;model;ps;worker;serve;cli")

# Made by the build, included by bare name.
set(generated build_id.h)

# Headers of wrapped libraries -> the file that may include them (and tests that must).
set(home_mpi.h common/net/transport_mpi.c)
set(home_hdf5.h common/store/h5.c tests/unit/test_h5_hostile.c) # a test writes what h5.c never would
set(home_cblas.h common/math/blas.c)
set(home_libfyaml.h common/config/yaml.c)
set(home_archive.h data/source_archive.c tests/unit/test_raw_compressed.c) # a test writes them
set(home_xxhash.h common/base/hash.c)
set(home_microhttpd.h serve/http/http.c)
set(home_Random123/philox.h common/base/rng.c)

set(problems "")
function(complain text)
  set(problems "${problems}${text}\n" PARENT_SCOPE)
endfunction()

function(folder_of path out)
  if(path MATCHES "^(common/[a-z0-9_]+)/")
    set(${out} "${CMAKE_MATCH_1}" PARENT_SCOPE)
  elseif(path MATCHES "^([a-z0-9_]+)/")
    set(${out} "${CMAKE_MATCH_1}" PARENT_SCOPE)
  else()
    set(${out} "" PARENT_SCOPE)
  endif()
endfunction()

function(allowed from target out)
  string(REPLACE "/" "_" key "${from}")
  set(${out} FALSE PARENT_SCOPE)
  foreach(prefix IN LISTS may_${key} ITEMS ${from})
    string(FIND "${target}/" "${prefix}/" at)
    if(at EQUAL 0)
      set(${out} TRUE PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

set(n_files 0)
foreach(top common data model ps worker serve cli tests)
  file(GLOB_RECURSE files RELATIVE "${ROOT}" "${ROOT}/${top}/*.c" "${ROOT}/${top}/*.h")
  foreach(path IN LISTS files)
    math(EXPR n_files "${n_files} + 1")
    folder_of("${path}" from)
    file(STRINGS "${ROOT}/${path}" lines REGEX "^[ \t]*#[ \t]*include")
    foreach(line IN LISTS lines)
      if(line MATCHES "\"([^\"]+)\"")
        set(target "${CMAKE_MATCH_1}")
        if(target IN_LIST generated)
          continue()
        endif()
        if(NOT EXISTS "${ROOT}/${target}")
          complain("${path}: \"${target}\" is not written from the top of the tree")
          continue()
        endif()
        allowed("${from}" "${target}" ok)
        if(NOT ok)
          complain("${path}: ${from} must not include \"${target}\"")
        endif()
      elseif(line MATCHES "<([^>]+)>")
        set(target "${CMAKE_MATCH_1}")
        if(DEFINED home_${target} AND NOT path IN_LIST home_${target})
          complain("${path}: <${target}> belongs to ${home_${target}} alone")
        endif()
        if(target STREQUAL "cmocka.h" AND NOT from STREQUAL "tests")
          complain("${path}: <${target}> belongs to tests")
        endif()
      endif()
    endforeach()
  endforeach()
endforeach()

if(problems)
  message(FATAL_ERROR "include rules are broken (cmake/CheckIncludes.cmake):\n${problems}")
endif()
message(STATUS "include rules hold in ${n_files} files")
