#!/bin/sh
# Installs what pecrawler needs on Debian or Ubuntu and is not there yet:
# Chromium with fonts, certutil (to trust --ca in Chromium) and, for the test
# web and the tests of the pages, what they take from npm. Safe to run again: it installs only what
# is missing. Run as root or with sudo; otherwise it says what to install.
set -eu
cd "$(dirname "$0")/.."

packages=""
need() { # need PROGRAM PACKAGE: want the package unless the program is there
	[ -e "$1" ] || command -v "$1" >/dev/null 2>&1 || packages="$packages $2"
}
need chromium chromium
need certutil libnss3-tools
need curl curl
need unzip unzip
need /usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf fonts-liberation
need /usr/share/fonts/truetype/noto/NotoSans-Regular.ttf fonts-noto-core
need /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf fonts-noto-color-emoji
need /usr/share/fonts/truetype/wqy/wqy-microhei.ttc fonts-wqy-microhei
need /etc/ssl/certs/ca-certificates.crt ca-certificates

if [ -n "$packages" ]; then
	sudo=""
	if [ "$(id -u)" != 0 ]; then
		if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
			sudo="sudo"
		else
			echo "pecrawler needs these packages:$packages" >&2
			echo "Install them and run the same command again:" >&2
			echo "    sudo apt-get update && sudo apt-get install --no-install-recommends$packages" >&2
			exit 1
		fi
	fi
	echo "installing:$packages" >&2
	$sudo apt-get update -qq
	# One call for all: a later install can remove chromium again when it
	# pulls out a library that chromium depends on.
	# shellcheck disable=SC2086 # the list is meant to be split
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >&2
fi


for tool in go npm; do
	command -v $tool >/dev/null 2>&1 || {
		echo "pecrawler needs $tool on the PATH (Go 1.26 or newer, Node 20 or newer with npm)" >&2
		exit 1
	}
done

for what in "lab/npm:the consent managers of the test web" "lab/check:what the pages and the test web are checked with"; do
	dir=${what%%:*}
	stamp=$dir/node_modules/.package-lock.json
	# npm ci empties the folder first. One that is a link belongs to another checkout.
	[ -L "$dir/node_modules" ] && continue
	if [ ! -f "$stamp" ] || [ "$dir/package-lock.json" -nt "$stamp" ]; then
		echo "installing ${what#*:} from npm" >&2
		(cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --silent >&2 && touch node_modules/.package-lock.json)
	fi
done
