#!/bin/sh
# Serves the test web and has check.mjs visit all of its sites.
set -eu
cd "$(dirname "$0")"
[ -d node_modules/axe-core ] || npm ci --ignore-scripts --no-audit --no-fund --silent
said=$(mktemp)
../../bin/pecrawler lab --lawful "${LAWFUL:-1000}" --mutants > "$said" &
lab=$!
trap 'kill $lab; rm -f "$said"' EXIT
for _ in 1 2 3 4 5 6 7 8 9 10; do
	url=$(sed -n 's#^ *List of the sites *\(http://[^/]*\)/.*#\1#p' "$said")
	[ -n "$url" ] && break
	sleep 0.5
done
node check.mjs --lab "$url" "$@"
