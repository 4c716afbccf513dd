#!/bin/sh
# check-unit.sh [--changed] JOBS PROGRAM...: run cmocka programs, twice JOBS at a time, as
# some wait for disks, children and locks; show those that fail, and end with their sum.
# A program that dies, or that runs no test, counts as one failure.
# --changed: what passed, and has not been built anew since, counts as it did then; nor
# have docs/vectors changed, all that a unit test reads of the tree.
set -eu
changed=
[ "$1" != --changed ] || { changed=yes; shift; }
jobs=$1
shift
limit_s=120

if [ "${1:-}" = --one ]; then
    log=$2.log
    # ThreadSanitizer needs the address space that it expects.
    run=
    if ldd "$2" 2>/dev/null | grep -q libtsan && setarch -R true 2>/dev/null; then
        run='setarch -R'
    fi
    status=0
    # shellcheck disable=SC2086
    timeout -k 5 $limit_s $run "$2" >"$log" 2>&1 || status=$?
    passed=$(grep -c '^\[       OK \]' "$log" || true)
    failed=$(sed -n 's/^ *\([0-9][0-9]*\) FAILED TEST(S)$/\1/p' "$log")
    failed=${failed:-0}
    if [ $status -ne 0 ] || [ "$passed" -eq 0 ]; then
        [ "$failed" -gt 0 ] || failed=1
        { printf '\n%s: exit status %d\n' "$2" $status; cat "$log"; } >&2
    fi
    echo "$passed $failed" >"$2.count"
    exit 0
fi

# shellcheck disable=SC2012 # names of ours
newest=$(ls -t docs/vectors/* | head -n 1)
passed() {
    [ "$1.count" -nt "$1" ] && [ "$1.count" -nt "$newest" ] && grep -q '^[1-9][0-9]* 0$' "$1.count"
}

due=
for program in "$@"; do
    if [ "$changed" ] && passed "$program"; then continue; fi
    rm -f "$program.count"
    due="$due $program"
done
# shellcheck disable=SC2086
[ -z "$due" ] || printf '%s\n' $due | xargs -P $((2 * jobs)) -I{} "$0" "$jobs" --one {}
counts=
for program in "$@"; do counts="$counts $program.count"; done
# shellcheck disable=SC2086
cat $counts /dev/null | awk -v programs=$# '
    { passed += $1; failed += $2 }
    END {
        if (NR != programs || programs == 0) failed++
        printf "unit: %d passed, %d failed\n", passed, failed
        exit failed > 0
    }'
