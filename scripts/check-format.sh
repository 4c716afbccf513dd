#!/bin/sh
# check-format.sh FILE...: the files are laid out as .clang-format says.
set -eu
if ! command -v clang-format >/dev/null; then
    echo "check-format: skipped, clang-format is not installed (make deps)"
    exit 0
fi
wrong=$(printf '%s\n' "$@" | xargs -P 2 -n 25 clang-format --dry-run 2>&1 |
    sed -n 's/^\([^ :]*\):\([0-9]*\):[0-9]*: .*clang-format.*$/\1/p' | sort | uniq -c)
[ -n "$wrong" ] || exit 0
echo "check-format: places that 'make format' would change:"
echo "$wrong"
exit 1
