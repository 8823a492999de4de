#!/usr/bin/env bash
# libmtps_infer as its users get it: installed, found by pkg-config and by CMake, in a
# program of its own; what it shows and what it needs.
. "${TOP:?}/tests/e2e/lib.sh"
: "${BUILD:?the build folder}"
for tool in cc cmake pkg-config nm readelf; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
done
small_data
"$MTPS" train -c small.yaml >/dev/null 2>&1
"$MTPS" export --ckpt runs/small -o bundles >/dev/null 2>&1
"$MTPS" predict --ckpt runs/small -o want.csv >/dev/null 2>&1

expect_exit 0 "the library installs" cmake --install "$BUILD" --component infer --prefix "$work/usr"
lib=$(find usr -name 'libmtps_infer.so')
same "one header" "mtps.h" "$(ls usr/include)"
check "all that it shows begins with mtps_" bash -c \
    "! nm -D --defined-only '$lib' | awk '{ print \$3 }' | grep -v '^mtps_' | grep -v '^MTPS_0$'"
same "every function of the header is there" \
    "$(grep -oE '\bmtps_[a-z_]+\(' usr/include/mtps.h | grep -oE '[a-z_]+' | sort -u | grep -vE '^mtps_(open_flags)$' | xargs)" \
    "$(nm -D --defined-only "$lib" | awk '{ print $3 }' | grep '^mtps_' | sed 's/@.*//' | sort -u | xargs)"
undocumented=$(grep -oE '\bmtps_[a-z_]+\(' usr/include/mtps.h | sort -u |
    while read -r f; do grep -qF "$f" usr/share/man/man3/mtps_infer.3 || echo "$f"; done)
same "and in the man page" none "${undocumented:-none}"
page=$TOP/docs/deployment.md
same "with the example of the guide" "$(sed -n '/^#include <mtps.h>/,/^```/p' "$page" | grep -v '^```')" \
    "$(sed -n '/^#include <mtps.h>/,/^\.fi/p' usr/share/man/man3/mtps_infer.3 | grep -v '^\.fi')"
# A sanitizer's runtime is none of the library's own needs.
check "it needs the C library alone" bash -c \
    "! readelf -d '$lib' | grep NEEDED | grep -vE 'lib(c|m|pthread)\.so|lib[a-z]*san\.so|ld-linux'"
# An embedding program is not to be ended, written over, or changed: not by a path that is never
# taken, either. (A build with assertions has __assert_fail; a release has none.)
forbidden='(printf|puts|putchar|fputs|fputc|putc|fwrite|fprintf|vprintf|vfprintf|dprintf|perror|syslog|stdout|stderr|exit|_exit|_Exit|quick_exit|abort|raise|kill|signal|sigaction|pthread_create|fork|vfork|execve|system|setlocale|setenv|putenv|atexit)'
run bash -c "nm -D --undefined-only '$lib' | awk '{ print \$2 }' | sed -E 's/@.*//; s/^__(.*)_chk$/\1/' | grep -xE '$forbidden'"
same "it prints nothing, starts no thread, ends no process, changes nothing of its process" "1:" "$code:$(xargs <"$out")"

sanitize=()
if nm -D "$lib" | grep -q __asan_init; then sanitize=(-fsanitize=address); fi
if nm -D "$lib" | grep -q __tsan_init; then sanitize=(-fsanitize=thread); fi
mv usr moved
lib=moved/${lib#usr/}
export PKG_CONFIG_PATH=$(dirname "$(find "$work/moved" -name mtps-infer.pc)")
example=$(find "$work/moved" -name score.c)
# shellcheck disable=SC2046
expect_exit 0 "the example builds with pkg-config, from a folder that was moved" \
    cc -Wall -Wextra -Werror "${sanitize[@]}" "$example" $(pkg-config --cflags --libs mtps-infer) -o score
# shellcheck disable=SC2046
expect_exit 0 "as plain C99, too" \
    cc -std=c99 -Wall -Wextra -Werror "${sanitize[@]}" "$example" $(pkg-config --cflags --libs mtps-infer) -o score99
export LD_LIBRARY_PATH=$(dirname "$(realpath "$lib")"):${LD_LIBRARY_PATH:-}
run bash -c './score bundles <eval.csv >got.csv'
same "and runs" 0 "$code"
check "with the scores of predict, bit for bit" cmp want.csv got.csv
run bash -c './score nowhere <eval.csv'
check "it says what is wrong" grep -q '^open: nowhere: ' "$err"
run bash -c './score bundles </dev/null'
check "also that there are no rows" grep -q 'no line with names' "$err"
run bash -c "{ echo user; head -c 70000 /dev/zero | tr '\\0' x; echo; } | ./score bundles"
check "and that a line is too long" grep -q 'a line has more than' "$err"

mkdir with-cmake
cp "$example" with-cmake/
cat >with-cmake/CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 3.16)
project(example C)
find_package(MtpsInfer 0 REQUIRED)
add_executable(score score.c)
target_link_libraries(score PRIVATE Mtps::infer)
CMAKE
expect_exit 0 "CMake finds the package" cmake -S with-cmake -B with-cmake/build -DCMAKE_PREFIX_PATH="$work/moved" \
    "-DCMAKE_C_FLAGS=${sanitize[*]}"
expect_exit 0 "and builds with it" cmake --build with-cmake/build
run bash -c './with-cmake/build/score bundles <eval.csv >again.csv'
check "with the same scores" cmp want.csv again.csv
if command -v c++ >/dev/null; then
    echo '#include <mtps.h>
int main() { return mtps_version() == nullptr; }' >plus.cc
    # shellcheck disable=SC2046
    expect_exit 0 "a C++ program builds" c++ -Wall -Werror "${sanitize[@]}" plus.cc $(pkg-config --cflags --libs mtps-infer) -o plus
fi
finish
