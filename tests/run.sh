#!/usr/bin/env bash
# Installs what is missing, builds with warnings as errors in build/tests and
# runs every test of the default set. Arguments go to ctest (-R name, -L label).
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."
launch/install.sh test
# Assertions are part of the tests: no NDEBUG.
launch/build.sh build/tests -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_C_FLAGS_RELWITHDEBINFO=-O2 -g" -DMTPS_TESTS=ON -DMTPS_WERROR=ON
exec ctest --test-dir build/tests -j2 -LE thorough --output-on-failure --no-tests=error "$@" </dev/null
