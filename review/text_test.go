package review

import (
	"strings"
	"testing"
	"unicode/utf8"

	pc "pecrawler"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                                  "plain",
		"two\nlines\tand more":                   "two lines and more",
		"rtl \u202Egnp.exe":                      "rtl ⟨U+202E⟩gnp.exe",
		"isolate \u2066x\u2069":                  "isolate ⟨U+2066⟩x⟨U+2069⟩",
		"zero\u200bwidth":                        "zero⟨U+200B⟩width",
		"nul\x00 esc\x1b[31m":                    "nul⟨U+0000⟩ esc⟨U+001B⟩[31m",
		"family 👩\u200d👧":                        "family 👩\u200d👧",
		"é \u0065\u0301":                         "é \u0065\u0301",
		"climbs e\u0301\u0302\u0303\u0304\u0305": "climbs e\u0301\u0302",
		"broken \xff":                            "broken ⟨U+FFFD⟩",
		"private \ue000":                         "private ⟨U+E000⟩",
		"line\u2028end":                          "line⟨U+2028⟩end",
	} {
		if got := clean(in, 300); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	long := clean(strings.Repeat("a", 1000), 300)
	if !strings.HasSuffix(long, "… (1000 characters in all)") || utf8.RuneCountInString(long) > 340 {
		t.Errorf("a long text: %q", long)
	}
	if got := string(shown(`<b>"'&`)); got != "<bdi>&lt;b&gt;&#34;&#39;&amp;</bdi>" {
		t.Errorf("shown: %s", got)
	}
	if got := string(raw("<i>\n\u202e")); got != "&lt;i&gt;\n⟨U+202E⟩" {
		t.Errorf("raw: %q", got)
	}
}

func TestAnchors(t *testing.T) {
	for ref, want := range map[string]string{"idle/storage/3": "ref-idle-storage-3", "idle/pages/0#12": "ref-idle-pages-0-12", "": "", "idle/storage/3\"onclick": "", "idle/storage/99999999999": "", "../x/1": "", "look/texts/0": "ref-look-texts-0"} {
		if got := anchor(pc.Ref(ref)); got != want {
			t.Errorf("%q: %q, want %q", ref, got, want)
		}
	}
}
