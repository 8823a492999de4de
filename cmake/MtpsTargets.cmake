# Targets of this project. One library per folder; PUBLIC and PRIVATE links are
# the dependency table of docs/architecture.md.

add_library(mtps_options INTERFACE)
target_include_directories(mtps_options INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
target_compile_definitions(mtps_options INTERFACE _GNU_SOURCE)
target_compile_options(mtps_options INTERFACE
  -ffp-contract=off -fno-math-errno -fno-trapping-math
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes
  -Wmissing-prototypes -Wvla -Wformat=2 $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation> -Werror=format-security
  -ffunction-sections -fdata-sections
  $<$<CONFIG:Release>:-O3>
  $<$<BOOL:${MTPS_WERROR}>:-Werror>)

# Hardening, in every binary (docs/adr/0038-hardened-builds.md; lint.hardening checks those that ship). What the
# compiler does not know is left out.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C) # links programs with -pie; all code is compiled for it
target_compile_options(mtps_options INTERFACE -fstack-protector-strong)
target_link_options(mtps_options INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
check_c_compiler_flag(-fstack-clash-protection MTPS_HAS_STACK_CLASH)
check_c_compiler_flag(-fcf-protection=full MTPS_HAS_CF_PROTECTION) # x86 alone
if(MTPS_HAS_STACK_CLASH)
  target_compile_options(mtps_options INTERFACE -fstack-clash-protection)
endif()
if(MTPS_HAS_CF_PROTECTION)
  target_compile_options(mtps_options INTERFACE -fcf-protection=full)
endif()
# Checked copies need an optimiser, and hide accesses from sanitizers. Headers of the C
# library warn of a level that they or the compiler do not have.
set(CMAKE_REQUIRED_FLAGS "-O2 -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
check_c_source_compiles("#include <string.h>\nint main(void) { return 0; }" MTPS_HAS_FORTIFY_3)
unset(CMAKE_REQUIRED_FLAGS)
set(MTPS_FORTIFY 2)
if(MTPS_HAS_FORTIFY_3)
  set(MTPS_FORTIFY 3)
endif()
if(MTPS_SANITIZE OR CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(MTPS_FORTIFY 0)
else()
  target_compile_options(mtps_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${MTPS_FORTIFY})
endif()

if(MTPS_SANITIZE)
  target_compile_options(mtps_options INTERFACE -fsanitize=${MTPS_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(mtps_options INTERFACE -fsanitize=${MTPS_SANITIZE})
  # Function multiversioning resolves before a sanitizer runtime is set up.
  target_compile_definitions(mtps_options INTERFACE MTPS_NO_CLONES)
endif()

# mtps_library(NAME SOURCES a.c ... [PUBLIC targets] [PRIVATE targets])
function(mtps_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(mtps_${name} STATIC ${ARG_SOURCES})
  add_library(mtps::${name} ALIAS mtps_${name})
  target_link_libraries(mtps_${name} PUBLIC mtps_options ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()

# mtps_vector_file(FILE flags...): for files with `#pragma GCC target`, which clang ignores.
function(mtps_vector_file file)
  if(CMAKE_C_COMPILER_ID MATCHES Clang AND CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
    set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "${ARGN}")
  endif()
endfunction()

# mtps_test(KIND NAME LINK targets [SOURCES more.c]): tests/KIND/test_NAME.c,
# CTest name KIND.NAME, label KIND.
function(mtps_test kind name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LINK;SOURCES" ${ARGN})
  set(target test_${kind}_${name})
  add_executable(${target} test_${name}.c ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE mtps_options ${ARG_LINK} mtps::testlib cmocka::cmocka)
  add_test(NAME ${kind}.${name} COMMAND ${target} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  set_tests_properties(${kind}.${name} PROPERTIES LABELS ${kind} TIMEOUT ${ARG_TIMEOUT})
endfunction()
