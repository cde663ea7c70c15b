#!/bin/sh
# Checks what is in deploy/, without a cluster: alerts by their tests, dashboards
# by making them again, Compose and Kubernetes by the definitions of their fields.
set -eu
cd "$(dirname "$0")"
./prometheus/check.sh
(cd grafana && go vet ./... && go run . && git diff --exit-code dashboards)
(cd check && go vet ./... && go test -count=1 ./...) # what it reads lies outside its module: go test would not see a change
