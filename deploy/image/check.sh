#!/bin/sh
# Builds the image and tries it as a fleet runs it: every role, nobody is root, a
# read-only root, no capability, Chromium in its sandbox, no network but
# loopback. Needs what build.sh needs. Containers share one network and find each other on loopback.
set -eu
cd "$(dirname "$0")/../.."
. deploy/image/checks.sh
export CONTAINERS_CONF="$PWD/deploy/image/containers.conf"
[ "${1:-}" = built ] || ./deploy/image/build.sh
image=localhost/pecrawler:local
tmp=$(mktemp -d)
base=pecrawler-check-$$
cleanup() {
	# shellcheck disable=SC2046 # one word each
	podman rm -f -t 1 $(podman ps -aq --filter "name=$base") >/dev/null 2>&1 || podman rm -f -t 1 "$base-lab" >/dev/null 2>&1 || true
	podman volume rm -f "$base-data" "$base-evidence" "$base-nats" >/dev/null 2>&1 || true
	rm -rf "$tmp"
}
trap cleanup EXIT
# It complains at each container where there is no systemd to run its checks by the clock.
podman() { command podman --log-level=fatal "$@"; }
safe="--read-only --cap-drop=ALL --security-opt=no-new-privileges --security-opt=seccomp=deploy/seccomp/chromium.json --tmpfs=/tmp:mode=1777,size=3g --tmpfs=/home/pecrawler:mode=0700 --shm-size=1g"
start() { # start NAME ARGUMENTS of podman, image and pecrawler
	name=$1
	shift
	# shellcheck disable=SC2086 # the flags are meant to be split
	podman run -d --name "$base-$name" $safe "$@" >/dev/null
}
packages=$(readlink -f lab/npm/node_modules)
within="--network=container:$base-lab"
wait_for() { # wait_for SECONDS COMMAND...
	left=$1
	shift
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		sleep 1
	done
}

# What it is made of.
podman run --rm --network=none --entrypoint cat $image /usr/share/doc/pecrawler/sbom.cdx.json >"$tmp/sbom.json"
for want in pkg:deb/debian/chromium@ pkg:golang/github.com/nats-io/nats.go@ pkg:golang/stdlib@; do
	grep -q "$want" "$tmp/sbom.json" || fail "the list of contents lacks $want"
done
[ "$(podman inspect -f '{{index .Config.Labels "org.opencontainers.image.revision"}}' $image)" != "" ] || fail "the image does not say which commit it is of"
[ "$(podman inspect -f '{{.Config.User}}' $image)" = 10001 ] || fail "the image begins as root"
for lang in cy zh ja ko und-zsye; do
	[ -n "$(podman run --rm --network=none --entrypoint fc-list $image ":lang=$lang" family)" ] || fail "no font for $lang"
done
ok "$(podman image inspect -f '{{.Size}}' $image | awk '{printf "%.0f MB", $1 / 1e6}'), $(grep -c purl "$tmp/sbom.json") parts listed, fonts for Welsh, Chinese, Japanese, Korean and emoji"

podman volume create "$base-data" >/dev/null
podman volume create "$base-evidence" >/dev/null

# Doctor, with the flags of a container.
# shellcheck disable=SC2086
podman run --rm --network=none $safe -v "$base-data:/data" -v "$packages:/lab/npm/node_modules:ro" $image doctor --slots 2 --out /data >"$tmp/doctor" 2>&1 || { cat "$tmp/doctor"; fail "doctor finds faults"; }
grep '^ok    browser' "$tmp/doctor"

# A fleet of containers.
go build -o "$tmp/nats-server" github.com/nats-io/nats-server/v2
start lab --network=none -v "$packages:/lab/npm/node_modules:ro" $image lab --listen 127.0.0.1:3128
start nats $within -v "$tmp/nats-server:/nats-server:ro" --tmpfs=/js:mode=1777 --entrypoint /nats-server $image -a 127.0.0.1 -js -sd /js
wait_for 30 sh -c "podman logs $base-lab | grep -q 'Names resolve'" || fail "the test web does not begin: $(podman logs $base-lab 2>&1 | tail -1)"
podman logs "$base-lab" >"$tmp/lab"
ca=$(sed -n 's/.*--ca \([^ ]*\) lab.csv.*/\1/p' "$tmp/lab")
dns=$(sed -n 's/.*Names resolve at *\([^ ]*\) .*/\1/p' "$tmp/lab")
podman exec "$base-lab" cat "$ca" >"$tmp/ca.pem"
podman exec "$base-lab" bash -c "exec 3<>/dev/tcp/127.0.0.1/3128 && printf 'GET /sites.csv HTTP/1.0\r\n\r\n' >&3 && cat <&3" | tr -d '\r' | sed '1,/^$/d' >"$tmp/all.csv"
sed -n '1,7p' "$tmp/all.csv" >"$tmp/sites.csv"
chmod 644 "$tmp"/*.pem "$tmp"/*.csv
chmod 755 "$tmp"
nats="--nats nats://127.0.0.1:4222"
# shellcheck disable=SC2086
once() { podman run --rm $within $safe "$@"; }
wait_for 30 once $image queue check --fix $nats || fail "the streams cannot be made"
start collect $within -v "$base-data:/data" $image collect $nats --out /data --listen 127.0.0.1:8081
start_worker() {
	start "$1" $within -v "$base-evidence:/evidence" -v "$tmp/ca.pem:/ca.pem:ro" --stop-timeout=90 $image \
		work $nats --out /tmp/work --evidence /evidence --proxy http://127.0.0.1:3128 --ca /ca.pem --dns "$dns" --slots 2 --gap 0s --settle 500ms --verbose --listen 127.0.0.1:"$2"
}
start_worker worker 8080
once -v "$tmp/sites.csv:/sites.csv:ro" $image launch $nats --name image --agree-after 0s /sites.csv >/dev/null
wait_for 30 podman healthcheck run "$base-worker" || fail "the worker is not healthy: $(podman healthcheck run "$base-worker" 2>&1) $(podman logs "$base-worker" 2>&1 | tail -3)"
ok "the worker is healthy by the image's own check"

# While Chromium shows pages: who are its processes, and how are they held?
renderer() { podman exec "$base-worker" bash -c 'for p in /proc/[0-9]*; do tr "\0" " " <$p/cmdline 2>/dev/null | grep -q -- --type=renderer && cat $p/status && exit 0; done; exit 1'; }
wait_for 60 renderer || fail "no page was opened: $(podman logs "$base-worker" 2>&1 | tail -2)"
renderer >"$tmp/status"
grep -q '^Seccomp:.2' "$tmp/status" || fail "a page without a filter of calls"
[ "$(sed -n 's/^Seccomp_filters:.//p' "$tmp/status")" -ge 2 ] || fail "a page with no filter but the container's"
[ "$(sed -n 's/^NSpid:.//p' "$tmp/status" | wc -w)" -ge 2 ] || fail "a page without a namespace of its own"
[ "$(sed -n 's/^Uid:.\([0-9]*\).*/\1/p' "$tmp/status")" = 10001 ] || fail "a page of another user"
! podman exec "$base-worker" bash -c 'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\0" "\n" | grep -qx -- "--no-sandbo[x]"' || fail "--no-sandbox"
! podman exec "$base-worker" touch /usr/x 2>/dev/null || fail "the root can be written"
[ "$(podman exec "$base-worker" sed -n 's/^CapEff:.//p' /proc/1/status)" = 0000000000000000 ] || fail "capabilities"
ok "pages: user 10001, $(sed -n 's/^NSpid:.//p' "$tmp/status" | wc -w) namespaces of processes, seccomp mode 2 with $(sed -n 's/^Seccomp_filters:.//p' "$tmp/status") filters; root read-only, no capability"

# Stopped in the middle of visits, then another takes over: nothing lost or doubled.
begin=$(date +%s)
podman stop -t 90 "$base-worker" >/dev/null
code=$(podman inspect -f '{{.State.ExitCode}}' "$base-worker")
[ "$code" = 0 ] || fail "the worker ended with $code after SIGTERM: $(podman logs "$base-worker" 2>&1 | tail -2)"
podman logs "$base-worker" 2>&1 | grep -q 'given back\|visited' || fail "the worker gave nothing back"
ok "SIGTERM: the worker ended after $(($(date +%s) - begin)) s with status 0, $(podman logs "$base-worker" 2>&1 | grep -c 'given back') visits given back"
start_worker worker2 8082
podman stop -t 60 "$base-collect" >/dev/null
[ "$(podman inspect -f '{{.State.ExitCode}}' "$base-collect")" = 0 ] || fail "the collector ended badly"
podman rm "$base-collect" >/dev/null
start collect $within -v "$base-data:/data" $image collect $nats --out /data --listen 127.0.0.1:8080
wait_for 60 podman healthcheck run "$base-collect" || fail "the collector is not healthy"
ok "the collector ended with status 0 after SIGTERM, goes on in another container, and is healthy"
wait_for 240 podman exec "$base-collect" test -s /data/verdicts/image.jsonl || fail "the sweep does not end: $(podman logs "$base-worker2" 2>&1 | tail -2)"
podman exec "$base-collect" cat /data/verdicts/image.jsonl >"$tmp/verdicts.jsonl"
[ "$(wc -l <"$tmp/verdicts.jsonl")" = "$(($(wc -l <"$tmp/sites.csv") - 1))" ] || fail "$(wc -l <"$tmp/verdicts.jsonl") verdicts"
once_each "$tmp/verdicts.jsonl"
ok "swept: $(tally "$tmp/verdicts.jsonl")"

# The pages, as in Compose: on the queue, and Chromium prints.
podman stop -t 60 "$base-collect" >/dev/null
start review $within -v "$base-data:/data" -v "$base-evidence:/evidence:ro" $image review $nats --out /data --evidence /evidence
wait_for 60 podman healthcheck run "$base-review" || fail "the review pages are not healthy: $(podman logs "$base-review" 2>&1 | tail -1)"
printed "$tmp/report.pdf" podman exec "$base-review" pecrawler report image --out /data --format pdf --to -
ok "the review pages are healthy, on the queue and read-only beside the evidence; $(wc -c <"$tmp/report.pdf") bytes of PDF were printed there"
