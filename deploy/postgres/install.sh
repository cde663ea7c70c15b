#!/bin/sh
# Installs PostgreSQL of Debian's package for the tests of the store, which start
# a server of their own. No server is made or started here. Safe to run again.
set -eu
for program in /usr/lib/postgresql/*/bin/postgres; do
	[ -x "$program" ] && exit 0
done
sudo=""
if [ "$(id -u)" != 0 ]; then
	if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
		sudo="sudo"
	else
		echo "the tests need PostgreSQL: sudo apt-get install --no-install-recommends postgresql" >&2
		exit 1
	fi
fi
echo "installing postgresql" >&2
install="$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends"
$sudo apt-get update -qq >&2
$install postgresql-common >&2
# The package makes a server and starts it, unless this says no.
conf=/etc/postgresql-common/createcluster.conf
if ! grep -qs '^create_main_cluster' $conf; then
	echo "create_main_cluster = false" | $sudo tee -a $conf >/dev/null
fi
$install postgresql >&2
