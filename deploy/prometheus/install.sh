#!/bin/sh
# Puts prometheus and promtool of Debian's package into bin/, without root and
# without installing the package, whose service would start. Safe to run again.
set -eu
cd "$(dirname "$0")/../.."
[ -x bin/promtool ] && [ -x bin/prometheus ] && exit 0
if command -v promtool >/dev/null 2>&1 && command -v prometheus >/dev/null 2>&1; then
	mkdir -p bin
	ln -sf "$(command -v promtool)" "$(command -v prometheus)" bin/
	exit 0
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
echo "fetching promtool and prometheus" >&2
# The lists of packages may be missing; making them needs root.
(cd "$tmp" && { apt-get download -qq prometheus 2>/dev/null || { apt-get update -qq && apt-get download -qq prometheus; }; }) >&2 || {
	echo "promtool could not be had; install the package prometheus, or put promtool and prometheus on the PATH" >&2
	exit 1
}
dpkg-deb -x "$tmp"/prometheus_*.deb "$tmp/x"
mkdir -p bin
mv "$tmp/x/usr/bin/promtool" "$tmp/x/usr/bin/prometheus" bin/
