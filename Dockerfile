# One binary with Chromium beside it, for every role; never root.
#   docker build -t pecrawler .
#   docker run --rm --read-only --tmpfs /tmp --security-opt seccomp=deploy/seccomp/chromium.json pecrawler doctor --out /tmp/data
# Chromium keeps its sandbox, hence the profile: docs/security.md. deploy/image/check.sh builds this and tries it.
FROM docker.io/library/golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /pecrawler ./cmd/pecrawler \
 && go version -m /pecrawler >/pecrawler.modules

FROM docker.io/library/debian:bookworm-slim
# Fonts: Liberation stands in for what sites ask for; Noto has Latin with Welsh and most other scripts; WenQuanYi has
# Chinese, Japanese and Korean in a twentieth of the room that Noto needs; and emoji.
RUN printf 'path-exclude=/usr/share/%s/*\n' doc man locale >/etc/dpkg/dpkg.cfg.d/small \
 && echo 'path-include=/usr/share/doc/*/copyright' >>/etc/dpkg/dpkg.cfg.d/small \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium libnss3-tools ca-certificates tini tzdata \
      fontconfig fonts-liberation fonts-noto-core fonts-noto-color-emoji fonts-wqy-microhei \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* \
 && useradd --system --uid 10001 --create-home pecrawler \
 && install -d -o pecrawler -g pecrawler /data /evidence
COPY --from=build /pecrawler /usr/local/bin/pecrawler
COPY LICENSE NOTICE /usr/share/doc/pecrawler/
# What is in the image, by module and package: CycloneDX.
RUN --mount=type=bind,from=build,target=/build sh /build/src/deploy/image/sbom.sh /build/pecrawler.modules >/usr/share/doc/pecrawler/sbom.cdx.json
USER 10001
VOLUME /data
WORKDIR /data
EXPOSE 8080
# Workers, the collector and the review pages answer alike. Commands that end need no check.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q ok <&3"]
# Last, so that another commit changes no layer above.
ARG VERSION=
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="pecrawler" \
      org.opencontainers.image.description="Finds websites whose cookie banners break UK law" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"
# tini reaps what Chromium leaves behind.
ENTRYPOINT ["tini", "--", "pecrawler"]
CMD ["help"]
