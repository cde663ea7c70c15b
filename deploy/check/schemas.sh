#!/bin/sh
# Makes schemas/ and ../seccomp/chromium.json again, from the modules that define
# them. Needs the module proxy and python3; the check itself needs neither.
set -eu
cd "$(dirname "$0")"
dir() { (cd / && go mod download -json "$1") | python3 -c 'import json,sys; print(json.load(sys.stdin)["Dir"])'; }
exec python3 schemas.py "$(dir k8s.io/kubernetes@v1.36.3)" "$(dir github.com/kedacore/keda/v2@v2.21.0)" "$(dir github.com/moby/profiles/seccomp@v0.2.3)"
