# Checks what ships for the hardening of cmake/MtpsTargets.cmake: run by CTest as lint.hardening.
#
#   cmake -DPROGRAM=mtps -DLIBRARY=libmtps_infer.so "-DOBJECTS=status.c.o|mem.c.o" -DREADELF=readelf
#         -DFORTIFY=3 -DCF_PROTECTION=1 -P CheckHardening.cmake
#
# OBJECTS: files of ours as the compiler left them, of which the first is looked at: start files
# of the system may hide from a program that its own code has landing pads. FORTIFY 0: the build has no checked copies (no
# optimiser); CF_PROTECTION 0: the processor has no landing pads.
cmake_minimum_required(VERSION 3.25)
set(problems "")

function(look file out)
  execute_process(COMMAND ${READELF} -hldW --dyn-syms --notes "${file}" RESULT_VARIABLE code OUTPUT_VARIABLE text ERROR_VARIABLE err)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${READELF} ${file}: ${err}")
  endif()
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

# wants(FILE TEXT REGEX WHAT): the regex matches.
macro(wants file text regex what)
  if(NOT "${${text}}" MATCHES "${regex}")
    string(APPEND problems "${file}: ${what}\n")
  endif()
endmacro()
macro(refuses file text regex what)
  if("${${text}}" MATCHES "${regex}")
    string(APPEND problems "${file}: ${what}\n")
  endif()
endmacro()

foreach(file IN ITEMS "${PROGRAM}" "${LIBRARY}")
  look("${file}" elf)
  wants("${file}" elf "Type: +DYN" "can be loaded at one address only (-fPIE -pie)")
  wants("${file}" elf "GNU_RELRO" "no segment becomes read-only after loading (-z relro)")
  wants("${file}" elf "\\(FLAGS\\)[^\n]*BIND_NOW|\\(FLAGS_1\\)[^\n]*NOW" "symbols are bound late (-z now)")
  wants("${file}" elf "GNU_STACK[^\n]* RW +0x" "the stack is executable (-z noexecstack)")
  refuses("${file}" elf "LOAD[^\n]* RWE " "a segment is writable and executable")
  refuses("${file}" elf "TEXTREL" "code is changed while loading")
  wants("${file}" elf "__stack_chk_fail" "no function checks its stack (-fstack-protector-strong)")
  if(FORTIFY GREATER 0)
    wants("${file}" elf "__(mem|str|v?sn?printf)[a-z]*_chk" "no copy is checked (_FORTIFY_SOURCE)")
  endif()
endforeach()
look("${PROGRAM}" elf)
wants("${PROGRAM}" elf "\\(FLAGS_1\\)[^\n]*PIE" "is no position-independent program (-pie)")
if(CF_PROTECTION)
  string(REGEX MATCH "^[^|]+" object "${OBJECTS}")
  look("${object}" notes)
  wants("${object}" notes "IBT, SHSTK" "jumps have no landing pads (-fcf-protection=full)")
endif()

if(problems)
  message(FATAL_ERROR "binaries are not hardened (cmake/MtpsTargets.cmake):\n${problems}")
endif()
message(STATUS "mtps and libmtps_infer are hardened")
