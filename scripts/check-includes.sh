#!/bin/sh
# check-includes.sh FILE...: who may include what. The tables below are the rules.
set -eu

rules='
room lib/base/   base/
room lib/trust/  base/ trust/
room lib/wire/   base/ trust/ wire/
room lib/flow/   base/ trust/ wire/ flow/
room lib/bus/    base/ bus/
room edge/core/  base/ trust/ wire/ flow/ edge/core/
room edge/store/ base/ trust/ wire/ flow/ edge/core/ edge/store/
room edge/       base/ trust/ wire/ flow/ bus/ edge/
room auth_edge/  base/ trust/ wire/ flow/ bus/ auth_edge/
room client/     base/ trust/ wire/ flow/ bus/ client/
room thumbnail/  base/ trust/ thumbnail/
room bench/fill/ base/ trust/ wire/ flow/ edge/core/ edge/store/ bench/
room bench/      base/ trust/ wire/ flow/ bench/

pure lib/trust/ lib/wire/ lib/flow/ edge/core/
impure base/clock.h base/config.h base/file.h base/log.h base/queue.h

one sodium        lib/trust/crypto.c bench/ref/sodium_alone.c
one cJSON.h       lib/wire/json.c
one cjson/        lib/wire/json.c
one MQTTAsync.h   lib/bus/paho.c bench/ref/on_paho.h
one mosquitto.h   bench/ref/on_mosquitto.h
one sqlite3.h     edge/store/sqlite.c auth_edge/db.c bench/ref/ingest.h bench/ref/sqlite_alone.c
one curl/         auth_edge/http.c
one openssl/      auth_edge/jws.c auth_edge/pbkdf2.c
one libavformat/  client/media.c thumbnail/picture.c
one libavcodec/   client/media.c thumbnail/picture.c
one libavutil/    client/media.c thumbnail/picture.c
one libswscale/   thumbnail/picture.c
one seccomp.h     thumbnail/jail.c
one microhttpd.h  edge/http.c

purelibc assert ctype errno inttypes limits math stdalign stdarg stdatomic stdbool stddef stdint
purelibc stdio stdlib stdnoreturn string time
libc arpa/inet dirent fcntl fnmatch getopt libgen locale netdb netinet/in netinet/tcp poll pthread
libc malloc pwd sched semaphore signal spawn strings sys/epoll sys/eventfd sys/file sys/ioctl sys/mman
libc sys/pidfd sys/poll sys/syscall
libc sys/prctl sys/random sys/resource sys/select sys/signalfd sys/socket sys/stat sys/statvfs
libc sys/sysinfo sys/time sys/timerfd sys/types sys/uio sys/un sys/utsname sys/vfs sys/wait
libc termios threads ucontext unistd
'

edges=$(mktemp)
trap 'rm -f "$edges"' EXIT

status=0
printf '%s\n' "$rules" | awk -v edges="$edges" '
function starts(s, prefix) { return substr(s, 1, length(prefix)) == prefix }
function stem(path) { sub(/\.[ch]$/, "", path); return path }
function bad(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; failed = 1 }
function is_file(path,   line, got) {
    if (!(path in known)) {
        got = (getline line < path)
        close(path)
        known[path] = got >= 0
    }
    return known[path]
}

# Rules.
FILENAME == "-" {
    if ($1 == "room") { rooms[++rooms_n] = $2; may[$2] = substr($0, index($0, $3)) }
    if ($1 == "one") { owned[++owned_n] = $2; owners[$2] = " " substr($0, index($0, $3)) " " }
    for (i = 2; i <= NF; i++) {
        if ($1 == "pure") pure[$i] = 1
        if ($1 == "impure") impure[$i] = 1
        if ($1 == "purelibc") libc[$i ".h"] = purelibc[$i ".h"] = 1
        if ($1 == "libc") libc[$i ".h"] = 1
    }
    next
}

# The room of a file: the first prefix that fits.
FNR == 1 {
    room = ""
    for (i = 1; i <= rooms_n && !room; i++)
        if (starts(FILENAME, rooms[i])) room = rooms[i]
    test = starts(FILENAME, "tests/")
    dir = FILENAME
    sub(/[^\/]*$/, "", dir)
    if (!room && !test) bad("is in no room")
    first = FILENAME ~ /\.c$/ && is_file(stem(FILENAME) ".h")
}

# A header stands alone if it is the first line of its .c; make headers has the others.
/^[ \t]*#[ \t]*include/ && first {
    first = 0
    own = stem(FILENAME) ".h"
    sub(/^lib\//, "", own)
    if ($0 !~ "\"" own "\"") bad("its own header, " own ", comes first")
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    name = quoted[2]
    target = is_file("lib/" name) ? "lib/" name : name
    if (test && !is_file(target)) target = dir name
    if (!is_file(target)) bad("there is no " name)
    if (FILENAME ~ /\.h$/) print FILENAME, target > edges
    if (stem(target) != stem(FILENAME) && is_file(stem(FILENAME) ".c") && is_file(stem(target) ".c"))
        print stem(FILENAME), stem(target) > edges
    if (test) next
    n = split(may[room], allowed, " ")
    ok = 0
    for (i = 1; i <= n; i++) ok = ok || starts(name, allowed[i])
    if (!ok) bad(room " may not include " name)
    if ((room in pure) && (name in impure)) bad(room " is pure and may not include " name)
}

/^[ \t]*#[ \t]*include[ \t]*</ {
    name = $0
    sub(/^[^<]*</, "", name)
    sub(/>.*/, "", name)
    if (test) next
    for (i = 1; i <= owned_n; i++)
        if (starts(name, owned[i])) {
            if (!index(owners[owned[i]], " " FILENAME " "))
                bad("<" name "> belongs to" owners[owned[i]] "alone")
            next
        }
    if (!(name in libc)) bad("<" name "> is in no table of scripts/check-includes.sh")
    else if ((room in pure) && !(name in purelibc)) bad(room " is pure and may not include <" name ">")
}

END { exit failed }
' - "$@" || status=1

# No two modules (a .c and its .h) include each other, not even by way of other
# modules; nor do two headers. A header without a .c, which the files of one room
# share, is a header only.
loops=$(tsort "$edges" 2>&1 >/dev/null) || {
    echo "check-includes: these modules include each other:"
    echo "$loops" | sed 's/^tsort: //' | grep -v 'contains a loop'
    status=1
}
exit $status
