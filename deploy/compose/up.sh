#!/bin/sh
# Makes the keys that are missing in keys/, then starts everything. Needs docker
# with compose, openssl and Go (for nk, which makes keys of NATS). Run again
# after a change: what exists is left as it is.
#
#   ./up.sh          a fleet for sites of the internet
#   ./up.sh lab      a fleet that sees the test web only, and sweeps it: to try it (make setup first)
#   ./up.sh keys     the keys alone
set -eu
cd "$(dirname "$0")"
mkdir -p keys
chmod 700 keys # the files themselves are read in containers by another user
cd keys

if [ ! -f ca.crt ]; then
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=pecrawler" \
		-addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca.key -out ca.crt 2>/dev/null
fi
cert() { # cert NAME USAGE NAMES
	[ -f "$1.crt" ] && return
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2>/dev/null
	printf 'extendedKeyUsage=%s\nsubjectAltName=%s\n' "$2" "$3" >"$1.ext"
	openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
	rm "$1.csr" "$1.ext"
}
# Servers are clients of each other.
cert server serverAuth,clientAuth DNS:nats-0,DNS:nats-1,DNS:nats-2
cert client clientAuth DNS:pecrawler

for role in admin launcher worker collector reviewer exporter sys; do
	[ -f "$role.nkey" ] || go run github.com/nats-io/nkeys/nk@v0.4.16 -gen user >"$role.nkey"
	name=$(echo "$role" | tr a-z A-Z)
	echo "PECRAWLER_$name=$(go run github.com/nats-io/nkeys/nk@v0.4.16 -inkey "$role.nkey" -pubout)"
done >nats.env

# Workers sign evidence, the pages sign case files.
for name in evidence case; do
	[ -f "$name.pem" ] && continue
	openssl genpkey -algorithm ed25519 -out "$name.pem"
	openssl pkey -in "$name.pem" -pubout -out "$name.pub.pem"
done
[ -f grafana ] || openssl rand -hex 16 >grafana
[ -f store-password ] || openssl rand -hex 16 >store-password
# Where the server is says PGHOST.
[ -f store ] || echo "postgres://pecrawler:$(cat store-password)@/pecrawler?sslmode=disable" >store
chmod 644 ./*
chmod 600 ca.key

[ "${1:-}" = keys ] && exit 0
cd ..
if [ "${1:-}" != lab ]; then
	exec docker compose up --detach --build "$@"
fi
shift
export COMPOSE_FILE="compose.yaml:lab.yaml${MORE:+:$MORE}"
docker compose up --detach --wait ${BUILD---build} "$@"
docker compose exec -T lab bash -c 'exec 3<>/dev/tcp/127.0.0.1/3128 && printf "GET /sites.csv HTTP/1.0\r\n\r\n" >&3 && cat <&3' | tr -d '\r' | sed '1,/^$/d' >lists/lab.csv
exec docker compose run --rm -T launch /lists/lab.csv --name "lab-$(date -u +%Y%m%d-%H%M%S)" --agree-after 0s
