#!/bin/sh
# check-words.sh: no note to finish something later anywhere, and no test that
# sleeps in the hope that something will have happened.
set -eu
status=0
found() {
    grep -rnE --exclude-dir=__pycache__ --exclude-dir=.git "$@" && status=1
    return 0
}
# Written so that this file does not find itself.
notes='(^|[^A-Za-z_])(T[O]DO|F[I]XME|X[X]X)($|[^A-Za-z_X])'
for place in lib edge auth_edge client thumbnail tests schema scripts mosquitto deploy docs Makefile README.md; do
    [ ! -e $place ] || found -I "$notes" $place
done
found --include='*.c' --include='*.h' --include='*.py' --include='*.sh' \
    '(^|[^A-Za-z_])(u|nano|time\.|asyncio\.)?s[l]eep *\(|^ *s[l]eep [0-9]' tests
exit $status
