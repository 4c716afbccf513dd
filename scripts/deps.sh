#!/bin/sh
# deps.sh run|test|lint|bench ...: install the Debian packages that are missing for
# building and running, for testing, for checking, for the bench. Says nothing and is quick
# when all are there. Asks sudo when not root; without either it prints the
# line to run.
set -eu

run='gcc libc6-dev pkg-config util-linux procps mosquitto sqlite3 ffmpeg ca-certificates
     libpaho-mqtt-dev libsodium-dev libcjson-dev libsqlite3-dev libcurl4-openssl-dev libssl-dev
     libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libseccomp-dev'
test='libcmocka-dev python3 python3-pytest python3-pytest-xdist python3-paho-mqtt python3-nacl
      python3-cryptography openssl'
lint='clang clang-format clang-tidy valgrind'
bench='libmosquitto-dev nginx-light libnginx-mod-rtmp iproute2 linux-perf python3'

policy=/usr/sbin/policy-rc.d
policy_mark='# put here by edge-cluster scripts/deps.sh; goes when the installation ends'

# A service is not started because its package was installed: mosquitto's would
# take port 1883. Somebody else's policy is left as it is; one that a killed
# run of ours left behind is ours.
policy_put() {
    if [ -e $policy ] && ! grep -qsF "$policy_mark" $policy; then
        return
    fi
    trap 'rm -f $policy' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >$policy
    chmod 755 $policy
}

have_lists() {
    for list in /var/lib/apt/lists/*_Packages*; do
        [ -e "$list" ] && return
    done
    return 1
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

install_as_root() {
    policy_put
    if have_lists && apt_install "$@"; then
        return
    fi
    apt-get update -q
    apt_install "$@"
}

if [ "${1:-}" = --install ]; then
    shift
    install_as_root "$@"
    exit
fi

wanted=
for group in "$@"; do
    case $group in
    run) wanted="$wanted $run" ;;
    test) wanted="$wanted $test" ;;
    lint) wanted="$wanted $lint" ;;
    bench) wanted="$wanted $bench" ;;
    *)
        echo "usage: $0 run|test|lint|bench ..." >&2
        exit 2
        ;;
    esac
done
# shellcheck disable=SC2086
wanted=$(echo $wanted)

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "this is no Debian; install what these packages hold, then call make and make unit:" >&2
    echo "  $wanted" >&2
    exit 1
fi

# shellcheck disable=SC2086
missing=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
    awk -v wanted="$wanted" '
        $1 == "installed" { have[$2] = 1 }
        END {
            n = split(wanted, name, " ")
            for (i = 1; i <= n; i++)
                if (!(name[i] in have)) printf "%s ", name[i]
        }')
[ -n "$missing" ] || exit 0

echo "installing: $missing"
if [ "$(id -u)" -eq 0 ]; then
    # shellcheck disable=SC2086
    exec "$0" --install $missing
elif command -v sudo >/dev/null; then
    # shellcheck disable=SC2086
    sudo sh "$0" --install $missing && exit 0
fi
echo "packages are missing and this user cannot install them; as root, run:" >&2
echo "  apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing" >&2
exit 1
