#!/bin/sh
# Makes the two images that the Dockerfile begins from, where no registry can be
# reached: Debian by debootstrap, and the Go of this machine on top of it. They
# stand in for debian:bookworm-slim and golang:1.26-bookworm under their names;
# where a registry can be reached nobody needs this. Run as root.
set -eu
go=$(go env GOROOT)
if ! buildah inspect docker.io/library/debian:bookworm-slim >/dev/null 2>&1; then
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	debootstrap --variant=minbase --include=ca-certificates bookworm "$tmp/root" >&2
	# Security updates come from the sources of this machine.
	rm -f "$tmp/root/etc/apt/sources.list"
	cp -r /etc/apt/sources.list.d "$tmp/root/etc/apt/"
	[ ! -s /etc/apt/sources.list ] || cp /etc/apt/sources.list "$tmp/root/etc/apt/"
	rm -rf "$tmp"/root/var/cache/apt/* "$tmp"/root/var/lib/apt/lists/* "$tmp"/root/usr/share/doc/* "$tmp"/root/usr/share/locale/* "$tmp"/root/usr/share/man/*
	tar -C "$tmp/root" -c . | podman import - docker.io/library/debian:bookworm-slim >&2
fi
if ! buildah inspect docker.io/library/golang:1.26-bookworm >/dev/null 2>&1; then
	c=$(buildah from --pull-never docker.io/library/debian:bookworm-slim)
	buildah copy -q "$c" "$go" /usr/local/go
	# What this machine trusts, and how it reaches modules, is needed to fetch them.
	buildah copy -q "$c" /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
	buildah config --env PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		--env GOTOOLCHAIN=local --env "GOPROXY=$(go env GOPROXY)" --env "GOSUMDB=$(go env GOSUMDB)" "$c"
	buildah commit -q --rm "$c" docker.io/library/golang:1.26-bookworm
fi
