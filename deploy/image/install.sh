#!/bin/sh
# Installs what builds and runs the image without a registry, of Debian's packages.
# Safe to run again. It fails where they cannot be had, and says why.
set -eu
if ! unshare --mount --pid --ipc --uts --net --fork true 2>/dev/null; then
	echo "no container runs on this machine: it lets nobody here make namespaces" >&2
	exit 1
fi
missing=""
for program in podman buildah runc debootstrap; do
	command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "building the image needs root, and$missing" >&2
	exit 1
fi
echo "installing$missing" >&2
apt-get update -qq >&2
# shellcheck disable=SC2086 # one word each
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
