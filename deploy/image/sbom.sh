#!/bin/sh
# Prints what an image consists of, as CycloneDX 1.6: the Debian packages of this
# system, and the Go modules of a file that `go version -m` wrote.
set -eu
{
	dpkg-query -W -f '{"type":"library","name":"${Package}","version":"${Version}","purl":"pkg:deb/debian/${Package}@${Version}?arch=${Architecture}"}\n'
	awk '$1 == "dep" { printf "{\"type\":\"library\",\"name\":\"%s\",\"version\":\"%s\",\"purl\":\"pkg:golang/%s@%s\"}\n", $2, $3, $2, $3 }
		NR == 1 { printf "{\"type\":\"library\",\"name\":\"stdlib\",\"version\":\"%s\",\"purl\":\"pkg:golang/stdlib@%s\"}\n", $2, substr($2, 3) }' "$1"
} | LC_ALL=C sort | awk '
	BEGIN { print "{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\",\"version\":1,\"components\":[" }
	NR > 1 { print last "," }
	{ last = $0 }
	END { print last "]}" }'
