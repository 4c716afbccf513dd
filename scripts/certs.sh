#!/usr/bin/env bash
# A certificate authority and a broker's certificate for development: `make certs`.
#
#   CERTS=run/certs   where they go
#   HOSTS=            further names and addresses of the broker, separated by spaces
#
# What is there is kept: the CA for ten years, the broker's certificate until the
# hosts are others or less than 30 days are left of its year.
# ca.key signs whatever it is given: it stays on this machine. Not for production,
# where a public or a company's CA knows who runs the broker.
set -euo pipefail
umask 077
cd "$(dirname "$0")/.."

CERTS=${CERTS:-run/certs}
HOSTS="localhost 127.0.0.1 ::1 $(uname -n) ${HOSTS:-}"
die() { printf 'make certs: %s\n' "$*" >&2; exit 1; }
command -v openssl >/dev/null || die "openssl is missing: apt-get install openssl"
mkdir -p "$CERTS"
cd "$CERTS"

quietly() { # COMMAND…: its words only if it fails
    local out
    out=$("$@" 2>&1) || die "$1 $2 failed: $out"
}

names() { # every host as a subject alternative name
    local host list=
    for host in $HOSTS; do
        case $host in
        *[!0-9.]*) case $host in *:*) host=IP:$host ;; *) host=DNS:$host ;; esac ;;
        *) host=IP:$host ;;
        esac
        list=$list${list:+,}$host
    done
    printf '%s' "$list"
}

if [ ! -s ca.key ] || [ ! -s ca.pem ]; then
    rm -f broker.pem # before there is another CA than the one that signed it
    quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
        -subj "/CN=Edge Cluster development CA" \
        -addext basicConstraints=critical,CA:TRUE,pathlen:0 \
        -addext keyUsage=critical,keyCertSign,cRLSign -keyout ca.key -out ca.pem
fi

if [ "$(cat broker.names 2>/dev/null)" != "$(names)" ] ||
    ! openssl x509 -in broker.pem -noout -checkend $((30 * 24 * 3600)) >/dev/null 2>&1; then
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$(names)" >broker.ext
    quietly openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -subj "/CN=Edge Cluster broker" -keyout broker.key -out broker.csr
    quietly openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 \
        -extfile broker.ext -out broker.pem
    rm -f broker.csr broker.ext
    names >broker.names
fi
chmod 644 ca.pem broker.pem
printf 'ca.pem      %s/ca.pem (give it to everybody: --mqtt-ca-file)\n' "$CERTS"
printf 'broker.pem  %s/broker.pem, broker.key (for the broker: %s)\n' "$CERTS" "$(names)"
