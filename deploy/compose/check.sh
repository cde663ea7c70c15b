#!/bin/sh
# Starts what `./up.sh lab` starts, without a registry, looks at every part, and
# writes docs/dashboards.md:
# with docker's own compose, made from its Go module, and podman in place of the
# docker daemon. The images of others are stand-ins under their names: NATS made
# from its Go module, Prometheus and PostgreSQL of Debian. Grafana is not to be had
# and left out. Needs root, what deploy/image/build.sh needs, netavark,
# aardvark-dns, curl and openssl.
#
#   deploy/compose/check.sh [built] [postgres]     built: the image pecrawler:local is there; postgres: with postgres.yaml
set -eu
cd "$(dirname "$0")/../.."
. deploy/image/checks.sh
for program in podman buildah /usr/lib/podman/netavark /usr/lib/podman/aardvark-dns curl openssl; do
	command -v "$program" >/dev/null || fail "there is no $program: apt-get install podman buildah netavark aardvark-dns curl openssl"
done
[ ! -e deploy/compose/keys ] || fail "deploy/compose/keys is there; this is for a clone in which nobody runs a fleet"
if [ "${1:-}" = built ]; then
	shift
else
	./deploy/image/build.sh
fi
processes=4 # that Prometheus is to see
work=$(mktemp -d)
export CONTAINERS_CONF="$work/containers.conf" DOCKER_HOST="unix://$work/podman.sock" MORE="$work/podman.yaml"
# docker sends the text of a profile of calls, podman of Debian 12 reads files: it
# gets the one of Chromium as the usual one.
sed "s#^\[containers\]#&\nseccomp_profile = \"$PWD/deploy/seccomp/chromium.json\"#" deploy/image/containers.conf >"$CONTAINERS_CONF"
printf '[network]\nnetwork_backend = "netavark"\n' >>"$CONTAINERS_CONF"
# Nor does podman know whose a tmpfs is: what is not for everybody is a volume.
tmp='tmpfs: !override ["/tmp:mode=1777,size=2g"]'
cat >"$MORE" <<END
services:
  worker: { security_opt: !override ["no-new-privileges:true"], $tmp, volumes: [/data, /home/pecrawler] }
  review: { security_opt: !override ["no-new-privileges:true"], $tmp, volumes: [/home/pecrawler] }
END

# docker, as far as up.sh needs it.
version=v2.40.3
if [ ! -x bin/docker-compose ]; then
	cp -r "$(go mod download -json "github.com/docker/compose/v2@$version" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')" "$work/compose"
	chmod -R u+w "$work/compose" # it is built in its own folder only
	(cd "$work/compose" && CGO_ENABLED=0 go build -o "$work/docker-compose" ./cmd)
	mkdir -p bin && mv "$work/docker-compose" bin/
fi
mkdir "$work/bin" "$work/image"
printf '#!/bin/sh\nshift\nexec "%s/bin/docker-compose" "$@"\n' "$PWD" >"$work/bin/docker"
chmod +x "$work/bin/docker"
PATH="$work/bin:$PATH"
podman() { command podman --log-level=fatal "$@"; } # it complains at each container where there is no systemd
if [ "${1:-}" = postgres ]; then
	echo "  collect: { $tmp, volumes: [/data] }" >>"$MORE"
	MORE="postgres.yaml:$MORE" processes=5
fi
compose() { (cd deploy/compose && COMPOSE_FILE="compose.yaml:lab.yaml:$MORE" docker compose "$@"); }

# The images of others. Each Dockerfile is on standard input.
image() { buildah bud -q --isolation chroot --pull-never --layers --format docker -t "docker.io/$1" -f - "$work/image" >/dev/null; }
./deploy/prometheus/install.sh
CGO_ENABLED=0 go build -o "$work/image/nats-server" github.com/nats-io/nats-server/v2
cp bin/prometheus "$work/image/"
image library/nats:2.15.2-alpine <<'END'
FROM docker.io/library/debian:bookworm-slim
COPY nats-server /usr/local/bin/
ENTRYPOINT ["nats-server"]
END
image prom/prometheus:v3.5.0 <<'END'
FROM docker.io/library/debian:bookworm-slim
COPY prometheus /bin/
RUN install -d -o 65534 -g 65534 /prometheus
USER 65534
VOLUME /prometheus
ENTRYPOINT ["/bin/prometheus"]
END
cat >"$work/image/postgres" <<'END'
#!/bin/sh
# What the entry of the real image does, as far as it is needed here.
set -eu
bin=/usr/lib/postgresql/15/bin
chown postgres "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	install -o postgres -m 600 "$POSTGRES_PASSWORD_FILE" /tmp/password
	# shellcheck disable=SC2086 # one word each
	setpriv --reuid postgres --regid postgres --clear-groups $bin/initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile /tmp/password -A scram-sha-256 $POSTGRES_INITDB_ARGS
	echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
	echo "CREATE DATABASE $POSTGRES_USER" | setpriv --reuid postgres --regid postgres --clear-groups $bin/postgres --single -D "$PGDATA" postgres
fi
exec setpriv --reuid postgres --regid postgres --clear-groups $bin/postgres -D "$PGDATA" -c listen_addresses='*'
END
chmod +x "$work/image/postgres"
[ "${1:-}" != postgres ] || image library/postgres:17-bookworm <<'END'
FROM docker.io/library/debian:bookworm-slim
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql-15 && rm -rf /var/lib/apt/lists/*
COPY postgres /usr/local/bin/postgres-entry
ENV PGDATA=/var/lib/postgresql/data PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN install -d -o postgres /var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["postgres-entry"]
END
podman tag localhost/pecrawler:local docker.io/library/pecrawler:local
# It is never started, but compose wants the name.
podman tag docker.io/library/debian:bookworm-slim docker.io/grafana/grafana:12.2.0

cleanup() {
	compose down --volumes --timeout 20 >/dev/null 2>&1 || true
	kill "$service" "$clock" 2>/dev/null || true
	podman untag docker.io/grafana/grafana:12.2.0 docker.io/grafana/grafana:12.2.0 || true
	rm -rf "$work" deploy/compose/keys deploy/compose/lists/lab.csv
}
command podman --log-level=fatal system service --time=0 "$DOCKER_HOST" >"$work/podman.log" 2>&1 &
service=$!
# Where there is no systemd, nobody else tells podman when to look how a container is.
(while sleep 3; do for c in $(podman ps -q --filter name=pecrawler-); do podman healthcheck run "$c" >/dev/null 2>&1 || true; done; done) &
clock=$!
trap cleanup EXIT
trap 'exit 1' INT TERM

# The one command.
begin=$(date +%s)
BUILD="" ./deploy/compose/up.sh lab --no-build --scale grafana=0 >"$work/up" 2>&1 || {
	compose ps -a >&2
	compose logs --tail 5 >&2
	fail "the fleet does not begin: $(tail -3 "$work/up" | cut -c1-500)"
}
sweep=$(sed -n 's/.*pecrawler status \(lab-[0-9-]*\).*/\1/p' "$work/up")
ok "up after $(($(date +%s) - begin)) s: $(compose ps --format '{{.Service}}' | sort | uniq -c | tr -s ' \n' ' ')"

# The pages: from this machine, by a link, and by nobody else.
link=$(compose logs --no-log-prefix review 2>&1 | sed -n 's/^Sign in as reviewer, once: //p' | tail -1)
page() { curl -sS -L --max-time 60 -b "$work/cookies" -c "$work/cookies" "$@"; }
page "$link" | grep 'Sign out' >/dev/null || fail "nobody is signed in by $link"
inside() { compose exec -T worker bash -c "exec 3<>/dev/tcp/$1 && printf 'GET $2 HTTP/1.0\r\nHost: 127.0.0.1:8080\r\n\r\n' >&3 && cat <&3" 2>/dev/null; }
inside review/8080 / | grep '403 Forbidden' >/dev/null || fail "a worker reaches the pages"
ok "the pages let in this machine, and no worker"

# A sweep that is launched in the pages, by the launcher's role.
field() { sed -n "s/.*name=\"$1\" value=\"\([^\"]*\)\".*/\1/p" "$work/page" | head -1; }
page http://127.0.0.1:8080/launch >"$work/page"
token=$(field token)
sed -n '1,4p' deploy/compose/lists/lab.csv >"$work/few.csv"
page -F "token=$token" -F "name=by-hand" -F "agree=1" -F "after=0s" -F "priority=5" -F "deadline=" -F "sites=<$work/few.csv" http://127.0.0.1:8080/launch >"$work/page"
page --data-urlencode "token=$token" --data-urlencode "draft=$(field draft)" http://127.0.0.1:8080/launch/go >"$work/page"
grep -q 'by-hand' "$work/page" || fail "no sweep is launched in the pages: $(sed 's/<[^>]*>/ /g' "$work/page" | tr -s ' \n' ' ' | cut -c1-500)"

# Both end, and the large one has found what is there.
# The pages' own API has the last words, wherever the store is.
collected() { # collected SWEEP SITES
	page "http://127.0.0.1:8080/api/sweeps/$1/verdicts?limit=500" | sed 's/{"schema":/\n&/g' | sed -n '/^{"schema"/s/\(,\|\]}\)$//p' >"$work/verdicts.jsonl"
	[ "$(wc -l <"$work/verdicts.jsonl")" = "$2" ]
}
for name in by-hand "$sweep"; do
	left=900 sites=3
	[ "$name" = by-hand ] || sites=$(($(wc -l <deploy/compose/lists/lab.csv) - 1))
	until collected "$name" "$sites"; do
		left=$((left - 5))
		[ "$left" -gt 0 ] || fail "the sweep $name does not end: $(compose logs --tail 3 worker collect)"
		sleep 5
	done
	ok "swept $name by $(($(date +%s) - begin)) s: $(tally "$work/verdicts.jsonl")"
done
once_each "$work/verdicts.jsonl"
go run ./cmd/pecrawler lab score "$work/verdicts.jsonl" >"$work/score"
sed -n '/^|/p' "$work/score" | head -12

# Chromium prints in the container of the pages.
printed "$work/report.pdf" compose exec -T review pecrawler report "$sweep" --out /data --format pdf --to -
ok "$(wc -c <"$work/report.pdf") bytes of PDF were printed beside the pages"

# Prometheus sees all of them, and every panel has data.
at=http://$(podman inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' pecrawler-prometheus-1):9090
down=$(curl -sS --max-time 30 "$at/api/v1/query" --data-urlencode 'query=up' | tr '{' '\n' | sed -n 's/.*"instance":"\([^"]*\)".*"value":\[[^,]*,"\(.\)".*/\1 \2/p')
[ "$(echo "$down" | grep -c ' 1$')" = "$processes" ] || fail "Prometheus does not see all processes: $down"
(cd deploy/grafana && go run . "$at") >"$work/dashboards.md" || fail "panels without data"
[ "$processes" = 5 ] || cp "$work/dashboards.md" docs/dashboards.md
curl -sS --max-time 30 "$at/api/v1/alerts" | tr '{' '\n' | sed -n 's/.*"alertname":"\([^"]*\)".*/fires: \1/p'
ok "Prometheus sees $processes processes, and every panel shows something"

# From a number to a visit.
bundle=$(curl -sS --max-time 30 "$at/api/v1/query_exemplars" --data-urlencode 'query=pecrawler_findings_total{outcome="fail"}' --data-urlencode "start=$begin" --data-urlencode "end=$(date +%s)" |
	sed -n 's/.*"bundle":"sha256:\([0-9a-f]*\)".*/\1/p')
[ -n "$bundle" ] || fail "Prometheus has no exemplars"
compose exec -T worker pecrawler bundle show "/evidence/sha256/$(echo "$bundle" | cut -c1-2)/$bundle.zip" >"$work/shown" || fail "the exemplar $bundle leads to no bundle"
ok "a failed finding leads to the bundle $(echo "$bundle" | cut -c1-12): $(head -1 "$work/shown")"
