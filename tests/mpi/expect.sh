#!/bin/sh
# expect.sh CODES LINE COMMAND...: run the command; it must exit with one of CODES
# (separated by |), and when LINE is not empty its output must match it.
codes=$1
line=$2
shift 2
out=$("$@" 2>&1)
code=$?
printf '%s\n' "$out"
case "|$codes|" in
*"|$code|"*) ;;
*)
    echo "exit code $code, expected $codes"
    exit 1
    ;;
esac
[ -z "$line" ] || printf '%s\n' "$out" | grep -q "$line" || {
    echo "no line matches: $line"
    exit 1
}
