package review_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/prometheus/client_golang/prometheus"

	"pecrawler/evidence"
	"pecrawler/review"
	"pecrawler/store"
)

// member is somebody at the provider; see review/provider.
type member struct {
	ID, Name, Email string
	Unverified      bool
	Groups          []string
}

func members() []member {
	return []member{
		{"1", "ann", "ann@regulator.example", false, []string{"staff", "tracking-investigators"}},
		{"2", "lee", "lee@regulator.example", false, []string{"tracking-leads", "tracking-launch"}},
		{"3", "eve", "eve@regulator.example", false, []string{"staff"}},
		{"4", "silent", "silent@regulator.example", false, nil},
		{"5", "guess", "guess@regulator.example", true, []string{"tracking-leads"}},
		{"6", "twin", "ann@regulator.example", false, []string{"tracking-leads"}},
		{"7", "odd", hostile, false, []string{"tracking-leads"}},
	}
}

var buildProvider = sync.OnceValues(func() (string, error) {
	bin, err := filepath.Abs(filepath.Join("..", "bin", "provider"))
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", bin, ".")
	cmd.Dir = "provider"
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build review/provider: %w\n%s", err, out)
	}
	return bin, nil
})

// startProvider runs a provider that sends browsers back to the pages at base, and
// is told by the function what becomes of people.
func startProvider(t *testing.T, base string) (*review.SSO, func([]member)) {
	t.Helper()
	bin, err := buildProvider()
	if err != nil {
		t.Fatal(err)
	}
	who, err := json.Marshal(members())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-redirect", base+"/sign-in/callback", "-people", string(who))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	lines := bufio.NewReader(out)
	issuer, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("the provider did not start: %v", err)
	}
	tell := func(who []member) {
		t.Helper()
		if err := json.NewEncoder(in).Encode(who); err != nil {
			t.Fatal(err)
		}
		if said, err := lines.ReadString('\n'); err != nil || said != "noted\n" {
			t.Fatalf("the provider says %q, %v", said, err)
		}
	}
	return &review.SSO{Issuer: strings.TrimSpace(issuer), Client: "pecrawler", Secret: "a secret", Scopes: []string{"profile", "email"}, Name: "email", Groups: "groups",
		Roles: map[string][]review.Role{"tracking-investigators": {review.Investigator}, "tracking-leads": {review.Lead}, "tracking-launch": {review.Launcher}}}, tell
}

// served are pages that people sign in to at a provider.
type served struct {
	*pages
	now   time.Time
	reg   *prometheus.Registry
	tell  func([]member) // the provider, what becomes of people
	down  atomic.Bool    // the provider does not answer us
	other atomic.Bool    // the provider tells of another account than was asked for
}

// RoundTrip is how the pages ask the provider.
func (s *served) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.down.Load() {
		return nil, errors.New("the provider is away")
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || !s.other.Load() || !strings.HasSuffix(r.URL.Path, "/userinfo") {
		return resp, err
	}
	raw, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(strings.NewReader(strings.Replace(string(raw), `"sub":"`, `"sub":"another-`, 1)))
	return resp, err
}

// serveSSO asks the provider for some scopes besides those that it always asks for.
func serveSSO(t *testing.T, scopes ...string) *served {
	t.Helper()
	s := &served{pages: &pages{t: t}, now: time.Now(), reg: prometheus.NewRegistry()}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }))
	s.URL = "http://" + srv.Listener.Addr().String()
	base, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	if s.store, err = store.Open(t.Context(), filepath.Join(t.TempDir(), "s.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })
	vault, err := evidence.OpenVault(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { vault.Close() })
	var sso *review.SSO
	sso, s.tell = startProvider(t, s.URL)
	sso.Scopes, sso.HTTP = append(sso.Scopes, scopes...), &http.Client{Transport: s}
	s.handler, err = review.New(s.store, vault, slog.New(slog.DiscardHandler), review.Options{SSO: sso, Base: base, Registerer: s.reg, Now: func() time.Time { return s.now }})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(srv.Close)
	return s
}

// count is the number of tries to sign in with a result.
func (s *served) count(result string) float64 {
	s.t.Helper()
	return s.counter("pecrawler_review_sign_ins_total", result)
}

func (s *served) counter(name, result string) float64 {
	s.t.Helper()
	fs, err := s.reg.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range fs {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	s.t.Fatalf("there is no %s of %s", name, result)
	return 0
}

// somebody is a browser of nobody yet.
func (s *served) somebody() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{s.pages, http.Client{Jar: jar}}
}

// to is the login form of the provider that a page of ours leads to.
func (b *browser) to(path string) (form string, v url.Values) {
	b.t.Helper()
	resp, err := b.Get(b.URL + path)
	code, body, _ := b.read(resp, err)
	id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(body)
	if code != http.StatusOK || id == nil {
		b.t.Fatalf("no login form of the provider: %d\n%s", code, body)
	}
	return "http://" + resp.Request.URL.Host + "/login/username", url.Values{"id": {id[1]}, "password": {"verysecure"}}
}

// login signs in at the provider, and returns where that ends.
func (b *browser) login(path, name string) (code int, body string, at *url.URL) {
	b.t.Helper()
	form, v := b.to(path)
	v.Set("username", name)
	resp, err := b.PostForm(form, v)
	code, body, _ = b.read(resp, err)
	return code, body, resp.Request.URL
}

// answer signs in at the provider and keeps what it sends back from us.
func (b *browser) answer(path, name string) (callback string) {
	b.t.Helper()
	form, v := b.to(path)
	v.Set("username", name)
	host := strings.TrimPrefix(b.URL, "http://")
	b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host == host {
			callback = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	resp, err := b.PostForm(form, v)
	b.read(resp, err)
	b.CheckRedirect = nil
	if !strings.Contains(callback, "code=") {
		b.t.Fatalf("the provider sent nobody back: %q", callback)
	}
	return callback
}

func (b *browser) session() string {
	u, err := url.Parse(b.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.Jar.Cookies(u) {
		if c.Name == "pecrawler" {
			return c.Value
		}
	}
	return ""
}

// People are who the provider says, and may do what their groups may.
func TestSingleSignOn(t *testing.T) {
	s := serveSSO(t)
	ann := s.somebody()
	if code, body, _ := ann.get("/queue?rule=x&q=y"); code != http.StatusUnauthorized || !strings.Contains(body, `href="/sign-in?next=%2fqueue%3frule%3dx%26q%3dy"`) {
		t.Errorf("nobody yet: %d\n%s", code, body)
	}
	code, body, at := ann.login("/sign-in?next="+url.QueryEscape("/queue?rule=x"), "ann")
	if code != http.StatusOK || at.RequestURI() != "/queue?rule=x" || !strings.Contains(body, "<bdi>ann@regulator.example</bdi>, investigator") {
		t.Fatalf("ann: %d at %s\n%s", code, at, body)
	}
	if code, _, _ := ann.get("/audit"); code != http.StatusForbidden {
		t.Errorf("ann reads the log: %d", code)
	}
	lee := s.somebody()
	if code, body, _ := lee.login("/sign-in?next=//evil.example/", "lee"); code != http.StatusOK || !strings.Contains(body, ", lead, launcher") {
		t.Errorf("lee: %d", code)
	}
	if code, body, _ := lee.get("/audit"); code != http.StatusOK || !strings.Contains(body, "sign-in") {
		t.Errorf("lee cannot read the log: %d", code)
	}
	before := lee.session()
	if lee.login("/sign-in", "lee"); lee.session() == before || before == "" {
		t.Error("signing in again keeps the key of the session")
	}
	old := s.somebody()
	u, _ := url.Parse(s.URL)
	old.Jar.SetCookies(u, []*http.Cookie{{Name: "pecrawler", Value: before}})
	if code, _, _ := old.get("/"); code != http.StatusUnauthorized {
		t.Errorf("the key of before is still good: %d", code)
	}
	if code, body := lee.post("/", "/sign-out"); code != http.StatusOK || !strings.Contains(body, "still signed in at your provider") {
		t.Errorf("sign out: %d", code)
	}
	if code, _, _ := lee.get("/"); code != http.StatusUnauthorized {
		t.Errorf("after signing out: %d", code)
	}
	accounts, err := s.store.Accounts(t.Context())
	if err != nil || len(accounts) != 2 || accounts[1].Name != "lee@regulator.example" || accounts[1].Roles != "lead+launcher" {
		t.Errorf("accounts: %+v, %v", accounts, err)
	}
	if n := s.count("done"); n != 3 {
		t.Errorf("%v sign-ins were counted, want 3", n)
	}
}

// Who is in no group, whose groups or address are not certain, or who has the
// name of somebody else is refused.
func TestSingleSignOnRefuses(t *testing.T) {
	s := serveSSO(t)
	if code, _, _ := s.somebody().login("/sign-in", "ann"); code != http.StatusOK {
		t.Fatalf("ann: %d", code)
	}
	for name, says := range map[string]string{"eve": "in no group that has a role", "silent": "could not be accepted", "guess": "could not be accepted", "twin": "Another account has signed in by your name", "odd": "could not be accepted"} {
		b := s.somebody()
		if code, body, _ := b.login("/sign-in", name); code != http.StatusForbidden || !strings.Contains(body, says) || strings.Contains(body, "<script") || b.session() != "" {
			t.Errorf("%s: %d\n%s", name, code, body)
		}
		if code, _, _ := b.get("/"); code != http.StatusUnauthorized {
			t.Errorf("%s is in: %d", name, code)
		}
	}
	log, err := s.store.Audit(t.Context(), 0, 10)
	if err != nil || !slices.ContainsFunc(log, func(e store.Entry) bool { return e.Act == "refused" && e.Who == "eve@regulator.example" }) {
		t.Errorf("that somebody was refused is not in the log: %+v, %v", log, err)
	}
	if n := s.count("failed"); n != 5 {
		t.Errorf("%v failed tries were counted, want 5", n)
	}
}

// What the provider tells of another account is not believed, neither at the
// sign-in nor when it is asked again.
func TestSingleSignOnOfAnother(t *testing.T) {
	s := serveSSO(t)
	lee := s.somebody()
	if code, _, _ := lee.login("/sign-in", "lee"); code != http.StatusOK {
		t.Fatalf("lee: %d", code)
	}
	s.other.Store(true)
	b := s.somebody()
	if code, body, _ := b.login("/sign-in", "ann"); code != http.StatusForbidden || !strings.Contains(body, "could not be accepted") || b.session() != "" {
		t.Errorf("ann: %d\n%s", code, body)
	}
	s.now = s.now.Add(6 * time.Minute)
	lee.get("/")
	if n := s.counter("pecrawler_review_rights_asked_total", "unknown"); n != 1 {
		t.Errorf("asked again, and it was not believed %v times, want 1", n)
	}
}

// An answer of the provider is good once, in the browser that asked for it, for
// the sign-in that asked for it.
func TestSingleSignOnForged(t *testing.T) {
	s := serveSSO(t)
	refused := func(what string, b *browser, callback string) {
		t.Helper()
		resp, err := b.Get(callback)
		if code, _, _ := b.read(resp, err); code != http.StatusForbidden || b.session() != "" {
			t.Errorf("%s: %d", what, code)
		}
	}
	good := s.somebody()
	callback := good.answer("/sign-in", "lee")
	refused("in a browser that began nothing", s.somebody(), callback)
	other := s.somebody()
	other.to("/sign-in")
	refused("in a browser that began something else", other, callback)
	if resp, err := good.Get(callback); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("in its own browser: %v, %v", resp, err)
	}
	again := s.somebody()
	again.Jar = good.Jar
	if resp, err := again.Get(callback); err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("once more: %v, %v", resp, err)
	}

	// Somebody has the code of another and puts it into a sign-in of his own: the
	// provider does not trade it, because it does not belong to the challenge.
	stolen, err := url.Parse(s.somebody().answer("/sign-in", "lee"))
	if err != nil {
		t.Fatal(err)
	}
	thief := s.somebody()
	own, err := url.Parse(thief.answer("/sign-in", "eve"))
	if err != nil {
		t.Fatal(err)
	}
	q := own.Query()
	q.Set("code", stolen.Query().Get("code"))
	own.RawQuery = q.Encode()
	refused("with the code of another", thief, own.String())

	late := s.somebody()
	callback = late.answer("/sign-in", "lee")
	s.now = s.now.Add(11 * time.Minute)
	refused("too late", late, callback)

	denied := s.somebody()
	u, err := url.Parse(denied.answer("/sign-in", "lee"))
	if err != nil {
		t.Fatal(err)
	}
	q = url.Values{"state": {u.Query().Get("state")}, "error": {"access_denied"}, "error_description": {hostile}}
	u.RawQuery = q.Encode()
	refused("with an error", denied, u.String())
}

// Rights that are taken away at the provider are over after five minutes, with a
// refresh token and without; other rights are taken over. What the provider does not
// say is believed for an hour.
func TestRightsAreAskedForAgain(t *testing.T) {
	as := func(change map[string][]string) (out []member) { // nil groups: out of the organisation
		for _, m := range members() {
			groups, ok := change[m.Name]
			if ok && groups == nil {
				continue
			} else if ok {
				m.Groups = groups
			}
			out = append(out, m)
		}
		return out
	}
	for name, scopes := range map[string][]string{"by a refresh token": {"offline_access"}, "by the access token": nil} {
		t.Run(name, func(t *testing.T) {
			s := serveSSO(t, scopes...)
			ann, lee := s.somebody(), s.somebody()
			ann.login("/sign-in", "ann")
			lee.login("/sign-in", "lee")
			check := func(what string, b *browser, want int) {
				t.Helper()
				if code, _, _ := b.get("/audit"); code != want {
					t.Errorf("%s: %d, want %d", what, code, want)
				}
			}
			asked := func(want map[string]float64) {
				t.Helper()
				for result, n := range want {
					if got := s.counter("pecrawler_review_rights_asked_total", result); got != n {
						t.Errorf("asked with the result %s %v times, want %v", result, got, n)
					}
				}
			}
			s.tell(as(map[string][]string{"ann": {"tracking-leads"}, "lee": {"staff"}}))
			check("before the provider is asked again", ann, http.StatusForbidden)
			s.now = s.now.Add(6 * time.Minute)
			check("ann becomes a lead", ann, http.StatusOK)
			if _, body, _ := ann.get("/sessions"); !strings.Contains(body, "ann@regulator.example") || !strings.Contains(body, ", lead") {
				t.Error("the list of sessions has not what she is now")
			}
			check("lee is in no group any more", lee, http.StatusUnauthorized)
			check("and stays out", lee, http.StatusUnauthorized)
			asked(map[string]float64{"same": 0, "changed": 1, "ended": 1, "unknown": 0})

			s.now = s.now.Add(6 * time.Minute)
			check("nothing changed", ann, http.StatusOK)
			s.down.Store(true)
			s.now = s.now.Add(6 * time.Minute)
			check("the provider is away", ann, http.StatusOK)
			check("and is not asked each time", ann, http.StatusOK)
			asked(map[string]float64{"same": 1, "unknown": 1})
			for range 4 {
				s.now = s.now.Add(15 * time.Minute)
				ann.get("/")
			}
			check("the provider is away for an hour", ann, http.StatusUnauthorized)

			s.down.Store(false)
			ann.login("/sign-in", "ann")
			s.now = s.now.Add(4 * time.Minute)
			check("signed in again", ann, http.StatusOK)
			if len(scopes) > 0 {
				s.tell(as(map[string][]string{"ann": nil}))
				s.now = s.now.Add(2 * time.Minute)
				check("ann has left", ann, http.StatusUnauthorized)
				asked(map[string]float64{"ended": 2})
			}
			log, err := s.store.Audit(t.Context(), 0, 100)
			if err != nil || !slices.ContainsFunc(log, func(e store.Entry) bool { return e.Act == "rights" && e.Detail == "from investigator to lead" }) || !slices.ContainsFunc(log, func(e store.Entry) bool { return e.Act == "session-ended" && e.Who == "lee@regulator.example" }) {
				t.Errorf("the log does not have it: %+v, %v", log, err)
			}
		})
	}
}

// Whoever opens many pages at once costs the provider one question, and nobody is
// signed out because another request had used the refresh token up.
func TestRightsAreAskedForOnce(t *testing.T) {
	s := serveSSO(t, "offline_access")
	ann := s.somebody()
	ann.login("/sign-in", "ann")
	s.now = s.now.Add(6 * time.Minute)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if code, _, _ := ann.get("/queue"); code != http.StatusOK {
				t.Errorf("the queue: %d", code)
			}
		})
	}
	all.Wait()
	if n := s.counter("pecrawler_review_rights_asked_total", "same"); n != 1 {
		t.Errorf("the provider was asked %v times", n)
	}
}

// Somebody's sessions are ended at once, in the page or by a command; what was typed
// meanwhile can be sent after signing in again.
func TestSessionsAreEnded(t *testing.T) {
	s := serveSSO(t)
	ann, other, lee := s.somebody(), s.somebody(), s.somebody()
	ann.login("/sign-in", "ann")
	other.login("/sign-in", "ann")
	lee.login("/sign-in", "lee")
	_, page, _ := ann.get("/queue")
	form := fields(page, "/queue/next")
	s.now = s.now.Add(time.Second)
	if code, _, _ := ann.get("/sessions"); code != http.StatusForbidden {
		t.Errorf("an investigator sees who is signed in: %d", code)
	}
	if code, body := lee.post("/sessions", "/sessions/end", "name", "ann@regulator.example"); code != http.StatusOK || strings.Contains(body, "ann@regulator.example") || !strings.Contains(body, "lee@regulator.example") {
		t.Errorf("end them: %d", code)
	}
	for _, b := range []*browser{ann, other} {
		if code, _, _ := b.get("/queue"); code != http.StatusUnauthorized {
			t.Errorf("after it was ended: %d", code)
		}
	}
	resp, err := ann.PostForm(s.URL+"/queue/next", form)
	if code, body, _ := ann.read(resp, err); code != http.StatusUnauthorized || !strings.Contains(body, "what you sent was not stored") {
		t.Errorf("a form of a session that is over: %d", code)
	}
	s.now = s.now.Add(time.Second)
	ann.login("/sign-in", "ann")
	resp, err = ann.PostForm(s.URL+"/queue/next", form)
	if code, _, _ := ann.read(resp, err); code != http.StatusNotFound { // there is no case to take
		t.Errorf("the same form after signing in again: %d", code)
	}
	resp, err = lee.PostForm(s.URL+"/queue/next", form)
	if code, _, _ := lee.read(resp, err); code != http.StatusForbidden {
		t.Errorf("the form of somebody else: %d", code)
	}
	s.now = s.now.Add(time.Second)
	if err := s.store.EndSessions(t.Context(), "lee@regulator.example", "root (command line)", s.now); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := lee.get("/"); code != http.StatusUnauthorized {
		t.Errorf("after the command: %d", code)
	}
	if n, _, err := s.store.VerifyAudit(t.Context()); err != nil || n < 5 {
		t.Errorf("the log: %d, %v", n, err)
	}
}

// A session ends an hour after nothing was done, and in any case after half a day.
func TestSessionsEnd(t *testing.T) {
	s := serveSSO(t)
	b := s.somebody()
	b.login("/sign-in", "lee")
	begin := s.now
	for s.now.Sub(begin) < 12*time.Hour-time.Hour {
		s.now = s.now.Add(59 * time.Minute)
		if code, _, _ := b.get("/"); code != http.StatusOK {
			t.Fatalf("after %v: %d", s.now.Sub(begin), code)
		}
	}
	s.now = begin.Add(12*time.Hour + time.Second)
	if code, _, _ := b.get("/"); code != http.StatusUnauthorized {
		t.Errorf("after half a day: %d", code)
	}
	b.login("/sign-in", "lee")
	s.now = s.now.Add(61 * time.Minute)
	if code, _, _ := b.get("/"); code != http.StatusUnauthorized {
		t.Errorf("an hour after nothing was done: %d", code)
	}
}

// Whoever fails too often has to wait; what a page of somebody else makes a
// browser send does not count.
func TestLockout(t *testing.T) {
	s := serveSSO(t)
	for range 30 {
		if code, _, _ := s.somebody().get("/sign-in/callback?state=x&code=y"); code != http.StatusForbidden {
			t.Fatalf("without a sign-in under way: %d", code)
		}
	}
	s.now = s.now.Add(time.Minute) // so that it is not the rate that is met
	for i := range 10 {
		b := s.somebody()
		b.to("/sign-in")
		if code, _, _ := b.get("/sign-in/callback?state=x&code=y"); code != http.StatusForbidden {
			t.Errorf("try %d: %d", i, code)
		}
		s.now = s.now.Add(time.Second)
	}
	code, body, h := s.somebody().get("/sign-in")
	if code != http.StatusTooManyRequests || !strings.Contains(body, "Too many tries") || h.Get("Retry-After") == "" {
		t.Errorf("the eleventh try: %d", code)
	}
	if s.count("locked") != 1 || s.count("failed") != 40 {
		t.Errorf("counted: %v locked, %v failed", s.count("locked"), s.count("failed"))
	}
	s.now = s.now.Add(15 * time.Minute)
	if code, _, _ := s.somebody().login("/sign-in", "ann"); code != http.StatusOK {
		t.Errorf("a quarter of an hour later: %d", code)
	}
}

// Nobody can ask as often as he likes.
func TestRates(t *testing.T) {
	s := serveSSO(t)
	count := func(b *browser, most int) int {
		for i := range most {
			if code, _, h := b.get("/nothing"); code == http.StatusTooManyRequests && h.Get("Retry-After") != "" {
				return i
			}
		}
		return most
	}
	ann := s.somebody()
	ann.login("/sign-in", "ann")
	if n := count(s.somebody(), 100); n > 60 {
		t.Errorf("somebody who is not signed in may ask %d times at once", n)
	}
	if n := count(ann, 600); n != 500-1 {
		t.Errorf("somebody who is signed in may ask %d times at once", n)
	}
}

// Behind a proxy that has the certificate: cookies for https alone, no other
// name, and addresses from the proxy but from nobody else.
func TestBehindAProxy(t *testing.T) {
	t.Run("cookies", func(t *testing.T) {
		base, err := url.Parse("https://review.regulator.example")
		if err != nil {
			t.Fatal(err)
		}
		p := serve(t, review.Options{Base: base})
		ask := func(path, host string) *http.Response {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			return resp
		}
		link := strings.TrimPrefix(p.handler.Invite(p.URL, p.handler.People()[0]), p.URL)
		if resp := ask(link, "evil.example"); resp.StatusCode != http.StatusForbidden {
			t.Errorf("by another name: %d", resp.StatusCode)
		}
		resp := ask(link, base.Host)
		if len(resp.Cookies()) != 1 {
			t.Fatalf("cookies: %v", resp.Cookies())
		}
		if c := resp.Cookies()[0]; c.Name != "__Host-pecrawler" || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteStrictMode {
			t.Errorf("the cookie: %+v", c)
		}
		if resp.Header.Get("Strict-Transport-Security") == "" {
			t.Error("browsers are not told to come by https alone")
		}
	})
	for name, proxies := range map[string][]netip.Prefix{"ours": {netip.MustParsePrefix("127.0.0.0/8")}, "anybody": nil} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, review.Options{Proxies: proxies})
			try := func(from string) int {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+"/sign-in?code=x", nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("X-Forwarded-For", "192.0.2.9, "+from)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				return resp.StatusCode
			}
			for range 10 {
				try("198.51.100.1")
			}
			if code := try("198.51.100.1"); code != http.StatusTooManyRequests {
				t.Errorf("who tried too often: %d", code)
			}
			want := http.StatusForbidden // another address, and not locked
			if proxies == nil {
				want = http.StatusTooManyRequests // what anybody can write says nothing
			}
			if code := try("198.51.100.2"); code != want {
				t.Errorf("another: %d, want %d", code, want)
			}
		})
	}
}

// In a real browser: its rules for cookies, forms and the policy of the pages let
// people through, and nobody else.
func TestSingleSignOnInABrowser(t *testing.T) {
	s := serveSSO(t)
	b := openTab(t, s.pages, "")
	b.run(chromedp.Navigate(s.URL + "/queue?status=undecided"))
	b.sounds("not-signed-in")
	b.run(chromedp.Click(`main a.govuk-button`), chromedp.WaitVisible(`#username`), chromedp.SendKeys(`#username`, "lee"), chromedp.SendKeys(`#password`, "verysecure"), chromedp.Click(`button`))
	b.until(`document.querySelector("#main") !== null`)
	if at := eval[string](b, `location.pathname + location.search`); at != "/queue?status=undecided" {
		t.Errorf("at %s", at)
	}
	if body := eval[string](b, `document.body.innerText`); !strings.Contains(body, "lee@regulator.example") {
		t.Errorf("signed in:\n%s", body)
	}
	if c := eval[string](b, `document.cookie`); c != "" {
		t.Errorf("scripts see %q", c)
	}
	b.sound("signed in")
	b.run(chromedp.Click(`form[action="/sign-out"] button`))
	b.until(`document.title.startsWith("You are signed out")`)
	b.run(chromedp.Navigate(s.URL + "/"))
	if body := eval[string](b, `document.body.innerText`); !strings.Contains(body, "You sign in with the account of your organisation") {
		t.Errorf("signed out:\n%s", body)
	}
}
