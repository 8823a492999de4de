#!/usr/bin/env bash
# Installs what mtps needs from Debian's packages, and nothing when it is there.
#
#   launch/install.sh          what building and running need
#   launch/install.sh test     and what the tests need beside it
#
# A run that finds everything installed needs neither network nor root.
set -euo pipefail
export LC_ALL=C

build=(
    gcc libc6-dev cmake ninja-build pkg-config
    libopenmpi-dev openmpi-bin
    libopenblas-pthread-dev
    libhdf5-dev
    libfyaml-dev libjansson-dev libarchive-dev
    libxxhash-dev librandom123-dev libssl-dev libhwloc-dev libmicrohttpd-dev
    libcmocka-dev
)
test=(hdf5-tools zstd lz4 xz-utils bzip2 procps strace curl)

fail() { # what, hint
    printf 'error: install: %s\nhint: %s\n' "$1" "$2" >&2
    exit "${3:-70}"
}

installed() { # prints the wanted packages that dpkg holds
    dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null |
        awk '$1 == "ii" { print $2 }' | sort -u || true
}

wanted=("${build[@]}")
case "${1:-}" in
'') ;;
test) wanted+=("${test[@]}") ;;
*) fail "$1: unknown package group" "launch/install.sh [test]" 64 ;;
esac

command -v dpkg-query >/dev/null ||
    fail "this is not a Debian system" "install these by hand: ${wanted[*]}"

mapfile -t missing < <(comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) \
    <(installed "${wanted[@]}"))
((${#missing[@]})) || exit 0

if [ "$(id -u)" != 0 ]; then
    fail "missing packages: ${missing[*]}" "apt-get install ${missing[*]} (as root)"
fi

echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() { # runs apt-get; its output is shown when it fails
    apt-get -q -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 "$@" >"$log" 2>&1 </dev/null || {
        tail -n 20 "$log" >&2
        fail "apt-get $1 failed" "the messages above say why; the network and /etc/apt are the usual causes"
    }
}
quietly update
quietly install -y --no-install-recommends "${missing[@]}"
