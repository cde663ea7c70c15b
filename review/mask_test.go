package review

import (
	"strings"
	"testing"
)

func TestVeiled(t *testing.T) {
	for in, want := range map[string]string{
		"": "",
		"https://ads.example/tr?id=123&ev=PageView":                                  "https://ads.example/tr?id=⟨3 masked⟩&ev=⟨8 masked⟩",
		"https://ads.example/tr?flag&cb=#top":                                        "https://ads.example/tr?⟨4 masked⟩&cb=#⟨3 masked⟩",
		"https://u:p@ads.example?q=a=b":                                              "https://⟨3 masked⟩@ads.example?q=⟨3 masked⟩",
		"GET https://a.example/collect/018f1c2a-1111-7abc-8def-0123456789ab/main.js": "GET https://a.example/collect/⟨36 masked⟩/main.js",
		"https://a.example/u/9f86d081884c7d65/x":                                     "https://a.example/u/⟨16 masked⟩/x",
		"https://a.example/u/1234567890":                                             "https://a.example/u/⟨10 masked⟩",
		"at load (https://a.example/a.js?v=9f86:10:25)":                              "at load (https://a.example/a.js?v=⟨11 masked⟩",
		"/relative?uid=4":                                                            "/relative?uid=⟨1 masked⟩",
		"</page?x=1>; rel=preload, <https://b.example/?y=2>":                         "</page?x=⟨1 masked⟩>; rel=preload, <https://b.example/?y=⟨1 masked⟩>",
		"ann@shop.example":                                                           "⟨16 masked⟩",
		"to=ann%40shop.example/":                                                     "to=⟨19 masked⟩",
		"Aa1Bb2Cc3D":                                                                 "⟨10 masked⟩",
		strings.Repeat("W", 500):                                                     "⟨500 masked⟩",
		"a\xff1234567890\xff":                                                        "⟨13 masked⟩",
		"https://a.example/x?uid=123456:789":                                         "https://a.example/x?uid=⟨10 masked⟩",
		"https://a.example/x#uid:42":                                                 "https://a.example/x#⟨6 masked⟩",
		"https://a.example/shop;jsessionid=4f2a;v=1/basket":                          "https://a.example/shop;jsessionid=⟨4 masked⟩;v=⟨1 masked⟩/basket",
		"/p;s=ab":                   "/p;s=⟨2 masked⟩",
		"https://a.example/id=42/x": "https://a.example/id=⟨2 masked⟩/x",
		"https://a.example/go/https%3A%2F%2Fads.example%2Ft%3Fuid%3D42/x":     "https://a.example/go/https%3A%2F%2Fads.example%2Ft%3F⟨8 masked⟩/x",
		"https://a.example/go/https%253A%252F%252Fads.example%253fuid%253d42": "https://a.example/go/https%253A%252F%252Fads.example%253f⟨10 masked⟩",
		"https://a.example/go/https://ads.example/t?uid=42":                   "https://a.example/go/https://ads.example/t?uid=⟨2 masked⟩",
		"https://a.example/?name=O'Brien42 and":                               "https://a.example/?name=⟨9 masked⟩ and",
		"loaded 'https://a.example/?x=1', then":                               "loaded 'https://a.example/?x=⟨1 masked⟩', then",
		"the page's https://a.example/it's/fine 'quoted'":                     "the page's https://a.example/it's/fine 'quoted'",
		"sent uid=42 and a;id=x;b, (k=v)":                                     "sent uid=⟨2 masked⟩ and a;id=⟨1 masked⟩;b, (k=⟨1 masked⟩)",
		"uid=a/b+c==&x=1":                                                     "uid=⟨7 masked⟩&x=⟨1 masked⟩",
		// What people need to read stays.
		"text/html;charset=utf-8 max-age=3600, Path=/;SameSite=Lax":                       "text/html;charset=utf-8 max-age=3600, Path=/;SameSite=Lax",
		"https://www.shop.example/10-best-recipes-for-christmas-2026/jquery-3.7.1.min.js": "https://www.shop.example/10-best-recipes-for-christmas-2026/jquery-3.7.1.min.js",
		"https://d1a2b3c4d5e6f7.cdn.example/gtm/GTM-ABC1234":                              "https://d1a2b3c4d5e6f7.cdn.example/gtm/GTM-ABC1234",
		"_hjSessionUser_2847163 by script 12:4, 20261125 Really? yes":                     "_hjSessionUser_2847163 by script 12:4, 20261125 Really? yes",
		"Wed, 25 Nov 2026 09:00:00 GMT":                                                   "Wed, 25 Nov 2026 09:00:00 GMT",
	} {
		if got := veiled(in); got != want {
			t.Errorf("veiled(%q)\n got %q\nwant %q", in, got, want)
		}
	}
}

// The line and column of a call are Chrome's, and what stands before them is masked
// as everywhere.
func TestVeiledFrame(t *testing.T) {
	for in, want := range map[string]string{
		"load https://a.example/a.js?v=9f86:10:25": "load https://a.example/a.js?v=⟨4 masked⟩:10:25",
		"https://a.example/a.js?v=1:2:3:10:25":     "https://a.example/a.js?v=⟨5 masked⟩:10:25",
		"f https://a.example/a.js:7:1":             "f https://a.example/a.js:7:1",
		"native":                                   "native",
	} {
		if got := veiledFrame(in); got != want {
			t.Errorf("veiledFrame(%q)\n got %q\nwant %q", in, got, want)
		}
	}
}

// Whatever the address: no value of a query is in what is shown, and it is never
// masked twice to something else.
func FuzzVeiled(f *testing.F) {
	f.Add("https://a.example/p", "k", "value")
	f.Add("//a.example", "\xff", "a=b#c?d&e")
	f.Fuzz(func(t *testing.T, page, name, value string) {
		veiled(page + name + value) // does not panic, whatever it is
		if len(value) < 4 || strings.ContainsFunc(value, edge) || strings.ContainsAny(value, "&#?=⟨⟩: )") || strings.Contains("masked", value) {
			return
		}
		for _, before := range []string{"https://a.example/p?k=", "https://a.example/p#k=", "/p?a'b=", "https://a.example/p;k=", "https://a.example/go/https%3A%2F%2Fb.example%3Fk%3D", "k="} {
			if strings.ContainsAny(value, "/;,{}[](") && !strings.ContainsAny(before, "?#") || strings.Contains(before, value) {
				continue // where a part of a path or a word ends
			}
			if got := veiled(before + value); strings.Contains(got, value) {
				t.Errorf("veiled(%q) = %q", before+value, got)
			}
		}
	})
}
