package review_test

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"pecrawler/review"
)

// oneOfEach is a person for each role, named by it, and one without any.
func oneOfEach() []review.Person {
	out := []review.Person{{Name: "nobody"}}
	for _, r := range review.Roles() {
		out = append(out, review.Person{Name: string(r), Roles: []review.Role{r}})
	}
	return out
}

// address fills a pattern with names of what the test has.
func (p *pages) address(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	for name, v := range map[string]string{"{sweep}": "one", "{site}": "shop.example", "{digest}": p.Digest, "{scenario}": "idle", "{kind}": "storage", "{n}": "0", "{$}": ""} {
		path = strings.ReplaceAll(path, name, v)
	}
	return method, path
}

// Every route, by everybody: who has no right to it gets nothing, and the page
// tells who has; who has one is never told that it is not for his role.
func TestRoutesByRole(t *testing.T) {
	p := serve(t, review.Options{People: oneOfEach()})
	if got, want := p.handler.Routes(), slices.Sorted(maps.Keys(review.Rights())); !slices.Equal(got, want) {
		t.Fatalf("the routes are %q,\nthe table of rights has %q", got, want)
	}
	for _, who := range p.handler.People() {
		b := p.quietly(who)
		for _, pattern := range append(slices.DeleteFunc(p.handler.Routes(), func(s string) bool { return s == "POST /sign-out" }), "POST /sign-out") {
			method, path := p.address(pattern)
			form := url.Values{"token": {b.token()}}
			req, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, strings.NewReader(form.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			resp, err := b.Do(req)
			code, body, _ := b.read(resp, err)
			may := slices.ContainsFunc(review.Rights()[pattern], func(r review.Role) bool { return who.Is(r) })
			if refused := code == http.StatusForbidden && strings.Contains(body, "This is not for your role"); refused == may {
				t.Errorf("%s, %s: %d, refused: %v", who.Name, pattern, code, refused)
			}
			if !may && (strings.Contains(body, "shop.example") || strings.Contains(body, "secret-") || strings.Contains(body, `"total"`)) {
				t.Errorf("%s, %s: something is shown all the same", who.Name, pattern)
			}
		}
	}
}

// What the table must never say, whoever changes it.
func TestRightsAreLeast(t *testing.T) {
	only := map[string][]review.Role{
		`^POST /(bundles|sweeps/\{sweep\}/sites)`:      {review.Investigator, review.Lead},
		`^GET /bundles/\{digest\}(/har|/wacz)?$`:       {review.Investigator, review.Lead},
		`^POST /queue/(next|assign)`:                   {review.Investigator, review.Lead},
		`^GET /(bundles|queue|sweeps/\{sweep\}/sites)`: {review.Reader, review.Investigator, review.Lead},
		`audit`: {review.Lead},
	}
	for pattern, roles := range review.Rights() {
		for re, most := range only {
			if !regexp.MustCompile(re).MatchString(pattern) {
				continue
			}
			for _, r := range roles {
				if !slices.Contains(most, r) {
					t.Errorf("%s is open to %s", pattern, r)
				}
			}
		}
		if strings.HasPrefix(pattern, "POST ") && pattern != "POST /sign-out" && !strings.HasPrefix(pattern, "POST /queue/views") && slices.Contains(roles, review.Reader) {
			t.Errorf("a reader may do something: %s", pattern)
		}
	}
}

var updateRights = flag.Bool("update-rights", false, "write the table of rights into docs/review.md")

// docs/review.md has the table that the program goes by.
func TestRightsAreDocumented(t *testing.T) {
	raw, err := os.ReadFile("../docs/review.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	fmt.Fprint(&want, "| route |")
	for _, r := range review.Roles() {
		fmt.Fprintf(&want, " %s |", r)
	}
	want.WriteString("\n|---|" + strings.Repeat(":-:|", len(review.Roles())) + "\n")
	for _, pattern := range slices.SortedFunc(maps.Keys(review.Rights()), func(a, b string) int {
		return strings.Compare(a[strings.IndexByte(a, ' '):]+a, b[strings.IndexByte(b, ' '):]+b)
	}) {
		fmt.Fprintf(&want, "| `%s` |", pattern)
		for _, r := range review.Roles() {
			if slices.Contains(review.Rights()[pattern], r) {
				want.WriteString(" ● |")
			} else {
				want.WriteString(" |")
			}
		}
		want.WriteString("\n")
	}
	table := regexp.MustCompile(`(?m)^\| route \|(.*\n)(\|.*\n)+`)
	if *updateRights {
		raw = table.ReplaceAllLiteral(raw, []byte(want.String()))
		if err := os.WriteFile("../docs/review.md", raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if string(table.Find(raw)) != want.String() {
		t.Error("docs/review.md does not have the table of rights as it is: go test ./review -run TestRightsAreDocumented -update-rights writes it")
	}
}

// quietly signs a person in who may see nothing.
func (p *pages) quietly(who review.Person) *browser {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	b := &browser{p, http.Client{Jar: jar}}
	b.get(strings.TrimPrefix(p.handler.Invite(p.URL, who), p.URL))
	return b
}

// token is that of the forms; every page has one to sign out with.
func (b *browser) token() string {
	_, body, _ := b.get("/nothing-here")
	return fields(body, "/sign-out").Get("token")
}

// Every answer, also a refusal and one to a program, tells browsers to be careful.
func TestSecurityHeaders(t *testing.T) {
	p := serve(t, review.Options{})
	for _, b := range []*browser{p.as("ann"), {p, http.Client{}}} {
		for _, path := range append(p.allPages(), "/sign-in?code=x", "/assets/pecrawler.css", "/api/sweeps", "/api/nothing", "/nothing", "/bundles/"+p.Digest) {
			code, _, h := b.get(path)
			for name, want := range map[string]string{"Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin"} {
				if h.Get(name) != want {
					t.Errorf("%s: %d, %s is %q", path, code, name, h.Get(name))
				}
			}
			if path != "/assets/pecrawler.css" && h.Get("Cache-Control") != "no-store" && !strings.HasPrefix(path, "/bundles/") {
				t.Errorf("%s: %d, may be kept: %q", path, code, h.Get("Cache-Control"))
			}
		}
	}
}

// What each role sees is sound, and offers nothing that is then refused.
func TestPagesByRoleInABrowser(t *testing.T) {
	p := serve(t, review.Options{People: oneOfEach()[1:], Sweeps: newCluster()})
	for role, paths := range map[string][]string{"reader": {"/", "/queue", sitePath, "/bundles/" + p.Digest + "/idle/storage/0"}, "launcher": {"/", "/sweeps/one"}, "operator": {"/", "/tokens", "/sessions"}, "investigator": {"/queue"}} {
		t.Run(role, func(t *testing.T) {
			b := openTab(t, p, role)
			for _, path := range paths {
				for _, width := range []int64{320, 1440} {
					b.run(chromedp.EmulateViewport(width, 900), chromedp.Navigate(p.URL+path))
					b.sound(fmt.Sprintf("%s, %s at %d", role, path, width))
				}
				for _, to := range eval[[]string](b, `[...document.links].filter(a => a.origin === location.origin && !a.pathname.startsWith("/sign-")).map(a => "GET " + a.pathname).concat([...document.forms].map(f => f.method.toUpperCase() + " " + new URL(f.action).pathname))`) {
					if pattern := match(p.handler.Routes(), to); pattern == "" || !(review.Person{Roles: []review.Role{review.Role(role)}}).May(pattern) {
						t.Errorf("%s: %s offers %s (%s), which is not for that role", role, path, to, pattern)
					}
				}
			}
		})
	}
}

// match finds the pattern of a request, as the server does.
func match(patterns []string, request string) string {
	mux := http.NewServeMux()
	for _, p := range patterns {
		mux.Handle(p, http.NotFoundHandler())
	}
	method, path, _ := strings.Cut(request, " ")
	r, err := http.NewRequest(method, path, nil)
	if err != nil {
		return ""
	}
	_, p := mux.Handler(r)
	return p
}
