# One binary, Chromium beside it, no root.
#   docker build -t pecrawler .
#   docker run --rm -v "$PWD/data:/data" pecrawler work --nats nats://host:4222 --out /data --listen 0.0.0.0:8080
# Chromium keeps its sandbox: --security-opt seccomp=deploy/seccomp/chromium.json, see docs/security.md.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /pecrawler ./cmd/pecrawler

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends chromium libnss3-tools ca-certificates fonts-liberation fonts-noto-core tini tzdata \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --create-home pecrawler \
 && install -d -o pecrawler -g pecrawler /data
COPY --from=build /pecrawler /usr/local/bin/pecrawler
COPY LICENSE NOTICE /usr/share/doc/pecrawler/
USER pecrawler
VOLUME /data
WORKDIR /data
EXPOSE 8080
# tini reaps what Chromium leaves behind.
ENTRYPOINT ["tini", "--", "pecrawler"]
CMD ["help"]
