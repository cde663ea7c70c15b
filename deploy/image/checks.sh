# What the checks of the image and of Compose share; they read it in, from the root of the repository.
fail() {
	echo "FAIL: $*" >&2
	exit 1
}
ok() { echo "ok    $*"; }

# Of a file of verdicts: how many have which last word, and is no site there twice?
tally() { sed 's/.*"overall":"\([^"]*\)".*/\1/' "$1" | sort | uniq -c | tr -s ' \n' ' '; }
once_each() { [ -z "$(sed 's/.*"site":"\([^"]*\)".*/\1/' "$1" | sort | uniq -d)" ] || fail "a site has two last words"; }

# printed FILE COMMAND...: Chromium prints what the command writes.
printed() {
	pdf=$1
	shift
	"$@" >"$pdf" || fail "no page was printed"
	head -c 5 "$pdf" | grep -q %PDF- || fail "what was printed is no PDF"
}
