package sitelist_test

import (
	"errors"
	"strings"
	"testing"

	"pecrawler/internal/sitelist"
)

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		want string // sites
		bad  []int
	}{
		"domains":       {"example.co.uk\nwww.example.org\n", "example.co.uk www.example.org", nil},
		"urls":          {"https://www.example.co.uk/shop?a=b#c\nhttp://example.org", "www.example.co.uk example.org", nil},
		"windows":       {"\xef\xbb\xbfexample.co.uk\r\nexample.org\r\n", "example.co.uk example.org", nil},
		"csv":           {"rank,domain,sector\n1,example.co.uk,news\n2,\"example.org\",\"shops, other\"\n", "example.co.uk example.org", nil},
		"notes":         {"# a list\n\nexample.org\n", "example.org", nil},
		"spelling":      {"EXAMPLE.org.\nhttps://Example.ORG/\n", "example.org", nil},
		"international": {"bücher.example\n", "xn--bcher-kva.example", nil},
		"bad lines":     {"example.org\nnot a site\nftp://example.org/\nexample.com\nuser:pw@example.net\nlocal\n", "example.org example.com", []int{2, 3, 5, 6}},
		"bad rank":      {"domain,rank\nexample.org,first\nexample.com,2\n", "example.com", []int{2}},
		"port":          {"example.org:8443\nexample.org:99999\n", "example.org:8443", []int{2}},
	} {
		l, err := sitelist.Parse(strings.NewReader(tt.in))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var sites []string
		for _, e := range l.Entries {
			sites = append(sites, e.Site)
		}
		if got := strings.Join(sites, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		if len(l.Bad) != len(tt.bad) {
			t.Errorf("%s: bad lines %v, want %v", name, l.Bad, tt.bad)
			continue
		}
		for i, n := range tt.bad {
			if l.Bad[i].Line != n || l.Bad[i].Reason == "" {
				t.Errorf("%s: %v, want line %d", name, l.Bad[i], n)
			}
		}
	}
	for _, empty := range []string{"", "\n\n", "# nothing\n", "url\n", "not a site\n"} {
		if _, err := sitelist.Parse(strings.NewReader(empty)); !errors.Is(err, sitelist.ErrEmpty) {
			t.Errorf("Parse(%q): %v, want ErrEmpty", empty, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("domain,rank\nexample.org,1\n")
	f.Add("https://[::1]:80/\n\"")
	f.Fuzz(func(t *testing.T, in string) {
		l, _ := sitelist.Parse(strings.NewReader(in))
		for _, e := range l.Entries {
			again, err := sitelist.Parse(strings.NewReader(e.URL))
			if err != nil || again.Entries[0].Site != e.Site {
				t.Errorf("%q gives %q, which gives %v, %v", in, e.URL, again.Entries, err)
			}
		}
	})
}
