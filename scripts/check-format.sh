#!/bin/sh
# check-format.sh STAMP FILE...: the files are laid out as .clang-format says. Only
# those are looked at that have changed since it passed, when STAMP was left.
set -eu
if ! command -v clang-format >/dev/null; then
    echo "check-format: skipped, clang-format is not installed (make deps)"
    exit 0
fi
stamp=$1
shift
case $stamp in *.ok) ;; *) echo "check-format: a STAMP ends in .ok, $stamp does not" >&2; exit 2 ;; esac
if [ -e "$stamp" ] && [ -z "$(find .clang-format scripts/check-format.sh -newer "$stamp")" ]; then
    files=$(find "$@" -newer "$stamp")
else
    files=$(printf '%s\n' "$@")
fi
[ -n "$files" ] || exit 0
mkdir -p "$(dirname "$stamp")"
touch "$stamp.new" # what is changed from now on is looked at again
wrong=$(printf '%s\n' "$files" | xargs -P 2 -n 25 clang-format --dry-run 2>&1 |
    sed -n 's/^\([^ :]*\):\([0-9]*\):[0-9]*: .*clang-format.*$/\1/p' | sort | uniq -c)
if [ -z "$wrong" ]; then
    mv "$stamp.new" "$stamp"
    exit 0
fi
echo "check-format: places that 'make format' would change:"
echo "$wrong"
exit 1
