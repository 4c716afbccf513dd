#!/bin/sh
# check-pure.sh BUILD: the release objects of the pure rooms import nothing but
# each other, lib/base's pure objects, and what scripts/pure-symbols.txt lists.
set -eu
obj=$1/obj

# Objects whose work is to reach the world, or to stop the process.
worldly='base/(clock|config|file|log|queue)|trust/crypto'
# They may be used all the same: they end a process whose invariants are broken.
enders='base/(check|mem)'

{
    cat scripts/pure-symbols.txt
    echo "=== objects"
    printf '%s\n' lib/base/*.c lib/trust/*.c lib/wire/*.c lib/flow/*.c edge/core/*.c |
        sed "s|\(.*\)c\$|$obj/\1o|" | xargs nm -A -P
} | awk -v prefix="$obj/" -v worldly="^lib/($worldly)\$" -v enders="^lib/($enders)\$" '
function pattern(glob) { gsub(/\*/, ".*", glob); return "^" glob "$" }
/^=== objects/ { objects = 1; next }
!objects {
    if ($0 ~ /^#/ || NF == 0) next
    if ($1 == "not") impure[$2] = 1
    else if (NF == 2) { own[++own_n] = $1; own_allowed[own_n] = pattern($2) }
    else allowed[++allowed_n] = pattern($1)
    next
}
{
    object = $1
    sub(/:$/, "", object)
    sub(/\.o$/, "", object)
    object = substr(object, length(prefix) + 1)
}
($3 == "U" || $3 == "w") {
    if (object !~ worldly && object !~ enders) { users[++n] = object; used[n] = $2 }
    next
}
object !~ worldly || (object == "lib/trust/crypto" && !($2 in impure)) { defined[$2] = 1 }
END {
    for (i = 1; i <= n; i++) {
        ok = used[i] in defined
        for (j = 1; j <= allowed_n && !ok; j++) ok = used[i] ~ allowed[j]
        for (j = 1; j <= own_n && !ok; j++) ok = users[i] == own[j] && used[i] ~ own_allowed[j]
        if (!ok) { printf "%s.c: is pure and may not use %s\n", users[i], used[i]; failed = 1 }
    }
    exit failed
}'
