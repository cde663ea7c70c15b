#!/bin/sh
# Builds the image pecrawler:local without a registry: by buildah, from stand-ins
# of the base images that base.sh makes. Needs buildah, podman, debootstrap and
# root. The same commit gives the same binary; packages of Debian are those of the day.
set -eu
cd "$(dirname "$0")/../.."
export CONTAINERS_CONF="$PWD/deploy/image/containers.conf"
./deploy/image/base.sh
when=$(git log -1 --format=%ct 2>/dev/null || date +%s)
exec buildah bud --isolation chroot --pull-never --layers --format docker --timestamp "$when" \
	--build-arg "VERSION=$(git describe --tags --always --dirty 2>/dev/null || echo unknown)" \
	--build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
	--build-arg "CREATED=$(date -u -d "@$when" +%Y-%m-%dT%H:%M:%SZ)" \
	-t localhost/pecrawler:local .
