#!/usr/bin/env bash
# The whole system on this machine, with a real video through it: `make run`.
#
#   VIDEO=path      what to upload; default: a 20 s clip that ffmpeg makes once
#   DURATION=n      end by itself after n seconds of live; default: until Ctrl-C
#   B=build         where the programs are
#
# Nothing that is started here outlives it: this script dies with make, and what
# it starts dies with this script, SIGKILL included (PR_SET_PDEATHSIG). What may take
# long is not waited for in the foreground, where bash would hold up a signal.
set -euo pipefail
umask 077 # keys and a password are written
cd "$(dirname "$0")/.."

if [ -z "${RUN_PARENT:-}" ]; then
    RUN_PARENT=$PPID exec setpriv --pdeathsig TERM -- "$0" "$@"
fi
[ "$PPID" = "$RUN_PARENT" ] || exit 1 # make died before the line above took effect
unset RUN_PARENT

B=${B:-build}
VIDEO=${VIDEO:-}
DURATION=${DURATION:-}
export -n B VIDEO DURATION # ours, not options of the programs
READY_S_MAX=20
COPY_S_MAX=60
FIRST_LOOK_S=5
LIVE_ID=live-demo
edge=$B/edge auth=$B/auth_edge ctl=$B/edgectl

say() { printf '%s\n' "$*"; }
die() { printf 'make run: %s\n' "$*" >&2; exit 1; }

case ${DURATION:-1} in
*[!0-9]* | 0) die "DURATION is '$DURATION'; give whole seconds, at least 1" ;;
esac

# ---- a folder and ports of our own ----

mkdir -p run
exec 9>run/.lock
if flock -n 9; then
    dir=run
else
    dir=run/other-$$
    say "run/ is in use by another make run; this one keeps its data in $dir"
fi
mkdir -p "$dir/log"

port_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# pick NAME DEFAULT: the default port, or the next free one above 20000 + default.
pick() {
    local port=$2
    if ! port_free "$port"; then
        port=$((20000 + $2))
        until port_free "$port"; do port=$((port + 1)); done
        say "port $2 ($1) is busy; using $port"
    fi
    picked=$port
}
pick mqtt 1883 && mqtt_port=$picked
pick websockets 9001 && ws_port=$picked
sed -e "s/^listener 1883 /listener $mqtt_port /" -e "s/^listener 9001 /listener $ws_port /" \
    mosquitto/development.conf >"$dir/mosquitto.conf"

export MQTT_BROKER=mqtt://127.0.0.1:$mqtt_port
export EDGECTL_HOME=$PWD/$dir/edgectl
unset TOPIC_PREFIX ZONE_SECRET EDGE_ID 2>/dev/null || true

# ---- processes ----

children=()
start() { # COMMAND…: in the background
    setpriv --pdeathsig KILL -- "$@" 9>&- &
    children+=($!)
}

spawn() { # NAME COMMAND…: in the background, its output in log/NAME.log
    local name=$1
    shift
    start "$@" >"$dir/log/$name.log" 2>&1
}

in_turn() { # COMMAND…: to its end
    local status=0
    start "$@"
    wait $! || status=$?
    unset 'children[-1]'
    return "$status"
}

finish() {
    local status=$?
    trap - EXIT INT TERM
    if [ ${#children[@]} -gt 0 ]; then
        kill -TERM "${children[@]}" 2>/dev/null || true
        for _ in $(seq 30); do
            kill -0 "${children[@]}" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "${children[@]}" 2>/dev/null || true
        wait 2>/dev/null || true
    fi
    case $status in
    0 | 130 | 143) [ "$dir" = run ] || rm -rf "$dir" ;; # else the logs tell why
    esac
    exit "$status"
}
trap finish EXIT
trap 'say ""; exit ${interrupted:-130}' INT
trap 'exit 143' TERM

alive() { # every child still runs, or say which log tells why not
    local pid
    for pid in "${children[@]}"; do
        kill -0 "$pid" 2>/dev/null || die "a program ended early; see $dir/log/:
$(tail -n 3 "$dir"/log/*.log)"
    done
}

wait_for() { # SECONDS WHAT COMMAND…
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        alive
        [ "$SECONDS" -lt "$until" ] || die "$what did not happen in time; see $dir/log/"
        sleep 0.1
    done
}

field() { # NAME FILE: a field of a flat JSON object
    local value
    value=$(sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" "$2" | tail -n 1)
    printf '%s' "${value:--}"
}

# ---- the clip ----

if [ -z "$VIDEO" ]; then
    VIDEO=run/clip.mp4
    if [ ! -s "$VIDEO" ]; then
        say "making a 20 s clip (H.264, AAC) once…"
        in_turn ffmpeg -v error -y -f lavfi -i testsrc2=size=1280x720:rate=25 \
            -f lavfi -i sine=frequency=440:beep_factor=4 -t 20 \
            -c:v libx264 -preset veryfast -g 50 -pix_fmt yuv420p -b:v 2M \
            -c:a aac -b:a 128k -movflags +faststart "run/clip.tmp.mp4" ||
            die "ffmpeg could not make the demo clip; give one: make run VIDEO=path"
        mv run/clip.tmp.mp4 "$VIDEO"
    fi
fi
[ -r "$VIDEO" ] || die "cannot read VIDEO=$VIDEO"

# ---- broker, auth_edge, two edges ----

if [ "$(id -u)" = 0 ]; then echo "user root" >>"$dir/mosquitto.conf"; fi
mosquitto=$(command -v mosquitto || echo /usr/sbin/mosquitto)
spawn broker "$mosquitto" -c "$dir/mosquitto.conf"

printf 'demo-%s' "$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')" >"$dir/password"
in_turn "$auth" init --auth-data "$dir/auth" >"$dir/log/auth_init.log" 2>&1 || true
in_turn "$auth" user add demo --auth-data "$dir/auth" --password-file "$dir/password" >>"$dir/log/auth_init.log" 2>&1 ||
    in_turn "$auth" user passwd demo --auth-data "$dir/auth" --password-file "$dir/password" >>"$dir/log/auth_init.log" 2>&1 ||
    die "auth_edge could not make the demo user: $(tail -n 1 "$dir/log/auth_init.log")"
spawn auth_edge "$auth" --auth-data "$dir/auth"
for id in edge1 edge2; do
    spawn "$id" "$edge" --data "$dir/$id" --edge-id "$id" --zone-secret-file "$dir/auth/zone.secret"
done

both_answer() {
    in_turn "$ctl" ping --json --timeout 3 >"$dir/log/ping.json" 2>/dev/null &&
        grep -q '"edge1"' "$dir/log/ping.json" && grep -q '"edge2"' "$dir/log/ping.json"
}
wait_for "$READY_S_MAX" "the answer of both edges" both_answer
in_turn "$auth" show --auth-data "$dir/auth" >"$dir/log/auth_show.log"
zone_key=$(sed -n 's|^zone-key *||p' "$dir/log/auth_show.log")
[ -z "$zone_key" ] || export ZONE_KEY=$zone_key
say "broker on 127.0.0.1:$mqtt_port (websockets $ws_port), auth_edge, edge1 and edge2 are up"

# ---- in at one edge, out of the other ----

in_turn "$ctl" login --user demo --password-file "$dir/password" >"$dir/log/login.txt" 2>&1 || die "login failed: $(cat "$dir/log/login.txt")"
id=clip-$(date +%s)-$$
say "uploading $VIDEO to edge1 as $id"
in_turn "$ctl" upload "$VIDEO" --id "$id" --title "$(basename "$VIDEO")" --category demo --edge edge1 --json >"$dir/log/upload.json"
say "watching it back from edge2"
in_turn "$ctl" watch "$id" --edge edge2 -o "$dir/out.mp4" --proof "$dir/out.proof" --json >"$dir/log/watch.json"
in_turn "$ctl" verify "$dir/out.mp4" --proof "$dir/out.proof" >"$dir/log/verify.txt" 2>&1 && verified=yes || verified=NO
sha_in=$(field sha256 "$dir/log/upload.json")
in_turn sha256sum "$dir/out.mp4" >"$dir/log/sha256.txt"
sha_out=$(cut -d' ' -f1 "$dir/log/sha256.txt")

# ---- live, with two viewers ----

spawn live "$ctl" live "$VIDEO" --id "$LIVE_ID" --title "Demo, looping" --edge edge1 --loop --json
listed() {
    in_turn "$ctl" list --edge edge1 --json >"$dir/log/list.json" 2>/dev/null &&
        grep -q "\"$LIVE_ID\"" "$dir/log/list.json"
}
wait_for "$READY_S_MAX" "the live's appearance in edge1's list" listed
viewers=()
for n in 1 2; do
    start "$ctl" watch "$LIVE_ID" --edge edge1 --duration "${DURATION:-$FIRST_LOOK_S}" --json \
        >"$dir/log/viewer$n.json" 2>"$dir/log/viewer$n.err"
    viewers+=($!)
done
viewers_ok=yes
for pid in "${viewers[@]}"; do wait "$pid" || viewers_ok=NO; done
children=("${children[@]:0:${#children[@]}-2}")
alive

# ---- two copies, and one video fewer ----

row_of() { # ID EDGE: the part of the edge's list that is about it, empty if it is not there
    in_turn "$ctl" list --edge "$2" --json >"$dir/log/list.json" 2>/dev/null || return 1
    grep -o "{\"id\": \"$1\"[^}]*}" "$dir/log/list.json" || true
}
at_both() { row_of "$id" edge2 | grep -Eq '"edges": "(edge1,edge2|edge2,edge1)"'; }
gone() { [ -z "$(row_of "$gone_id" edge1)" ] && [ -z "$(row_of "$gone_id" edge2)" ]; }
wait_for "$COPY_S_MAX" "the second copy, at edge2," at_both
pictured=no # nothing can be made of a VIDEO without pictures
if row_of "$id" edge1 | grep -q '"thumbnail": "data:image/jpeg'; then pictured=yes; fi
gone_id=gone-$(date +%s)-$$
in_turn "$ctl" upload "$0" --id "$gone_id" --edge edge1 --json >"$dir/log/gone.json"
in_turn "$ctl" delete "$gone_id" --json >"$dir/log/delete.json"
wait_for "$READY_S_MAX" "the deletion at both edges" gone

# ---- what was verified ----

row() { printf '%-22s %10s %14s %9s %14s\n' "$@"; }
say ""
row "" parts bytes rejected "first part"
row "upload → edge1" "$(field parts "$dir/log/upload.json")" "$(field bytes "$dir/log/upload.json")" - -
row "edge2 → watch" "$(field parts "$dir/log/watch.json")" "$(field bytes "$dir/log/watch.json")" \
    "$(field rejected "$dir/log/watch.json")" "$(field first_part_ms "$dir/log/watch.json") ms"
for n in 1 2; do
    row "live → viewer $n" "$(field parts "$dir/log/viewer$n.json")" "$(field bytes "$dir/log/viewer$n.json")" \
        "$(field rejected "$dir/log/viewer$n.json")" "$(field first_part_ms "$dir/log/viewer$n.json") ms"
done
say ""
say "SHA-256 in   $sha_in"
say "SHA-256 out  $sha_out"
say "proof checked offline: $verified; both live viewers verified every part: $viewers_ok"
say "thumbnail made and signed by edge1, as the streamer allowed: $pictured"
say "$id is held by both edges; $gone_id was deleted, and neither lists it"
say ""

ok=0
[ -n "$sha_in" ] && [ "$sha_in" = "$sha_out" ] && [ "$verified" = yes ] && [ "$viewers_ok" = yes ] || ok=1
for n in 1 2; do [ "$(field parts "$dir/log/viewer$n.json")" -gt 0 ] 2>/dev/null || ok=1; done
[ "$ok" = 0 ] && say "everything matched" || say "SOMETHING DID NOT MATCH; see $dir/log/"
[ -z "$DURATION" ] || exit "$ok"

say "still running; Ctrl-C ends it. In another terminal:"
say "  export MQTT_BROKER=$MQTT_BROKER EDGECTL_HOME=$EDGECTL_HOME"
say "  $ctl watch $LIVE_ID --edge edge1 -o - | ffplay -     # live"
say "  $ctl watch $id -o - | ffplay -                       # recorded"
say "  $ctl list; $ctl ping"
interrupted=$ok
while :; do
    wait -n || true
    alive
done
