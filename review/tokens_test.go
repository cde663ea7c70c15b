package review_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"pecrawler/review"
)

// program is one that asks by a token.
type program struct {
	*pages
	token string
}

func (g program) ask(method, path, body string) (int, string, http.Header) {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, g.URL+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+g.token)
	resp, err := http.DefaultClient.Do(req)
	return (&browser{g.pages, http.Client{}}).read(resp, err)
}

// program makes a token on the page.
func (b *browser) program(role string) program {
	b.t.Helper()
	code, body := b.post("/tokens", "/tokens", "name", "case system", "role", role, "age", "2160h")
	m := regexp.MustCompile(`pec_[A-Z2-7]{12}_[A-Z2-7]{52}`).FindString(body)
	if code != http.StatusCreated || m == "" {
		b.t.Fatalf("make a token: %d\n%s", code, body)
	}
	return program{b.pages, m}
}

// A token is shown once, does what its role may and no more, is logged with each
// use, and ends when it is revoked or has expired.
func TestTokens(t *testing.T) {
	now := time.Now()
	c := newCluster()
	p := serve(t, review.Options{Sweeps: c, Now: func() time.Time { return now }, People: []review.Person{{Name: "op", Roles: []review.Role{review.Operator}}, {Name: "lee", Roles: []review.Role{review.Lead}}}})
	op := p.as("op")
	reader, launcher := op.program("reader"), op.program("launcher")
	secret := reader.token[strings.LastIndexByte(reader.token, '_')+1:]
	if _, body, _ := op.get("/tokens"); strings.Contains(body, secret) || !strings.Contains(body, reader.token[:16]) {
		t.Error("the page of tokens shows a secret, or not which token is which")
	}
	if raw, err := os.ReadFile(p.path); err != nil || bytes.Contains(raw, []byte(secret)) {
		t.Errorf("the store has the secret itself, or cannot be read: %v", err)
	}
	for _, x := range []struct {
		who          program
		method, path string
		code         int
	}{
		{reader, "GET", "/api/sweeps", 200}, {reader, "GET", "/api/cases", 200}, {reader, "GET", "/api/sweeps/one/verdicts", 200}, {reader, "GET", "/api/sweeps/one/sites/shop.example", 200}, {reader, "GET", "/api/openapi.json", 200},
		{reader, "POST", "/api/sweeps?name=x", 403}, {reader, "GET", "/api/nothing", 404}, {reader, "GET", "/api/sweeps/two/verdicts", 404},
		{launcher, "GET", "/api/cases", 403}, {launcher, "GET", "/api/sweeps/one/verdicts", 403},
		{reader, "GET", "/queue", 401}, {reader, "GET", sitePath, 401}, {launcher, "GET", "/launch", 401}, {reader, "GET", "/tokens", 401}, // the pages are for people
		{program{p, reader.token[:len(reader.token)-1]}, "GET", "/api/sweeps", 401}, {program{p, ""}, "GET", "/api/sweeps", 401}, {program{p, secret}, "GET", "/api/sweeps", 401},
	} {
		code, body, h := x.who.ask(x.method, x.path, "a.example\n")
		if code != x.code {
			t.Errorf("%.20s… %s %s: %d, want %d", x.who.token, x.method, x.path, code, x.code)
		}
		if code >= 400 && strings.HasPrefix(x.path, "/api/") && (h.Get("Content-Type") != "application/problem+json" || !json.Valid([]byte(body))) {
			t.Errorf("%s: a program gets %s", x.path, h.Get("Content-Type"))
		}
	}
	if code, body, _ := launcher.ask("POST", "/api/sweeps?name=by-program&agree=3", "a.example\nnot a site\na.example\n"); code != http.StatusCreated || !strings.Contains(body, `"sites":1,"merged":1,"bad":1`) || c.launched["by-program"].Agree != 3 {
		t.Errorf("launch: %d %s", code, body)
	}
	for query, code := range map[string]int{"?name=by-program": 409, "?name=one": 409, "": 422, "?name=x&agree=0": 422, "?name=x&agree=": 422} {
		if got, body, _ := launcher.ask("POST", "/api/sweeps"+query, "a.example\n"); got != code {
			t.Errorf("launch %s: %d, want %d: %s", query, got, code, body)
		}
	}
	if code, body, _ := launcher.ask("GET", "/api/launches/by-program", ""); code != http.StatusOK || !strings.Contains(body, `"left_s":5400`) {
		t.Errorf("progress: %d %s", code, body)
	}
	log, err := p.store.Audit(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	uses := map[string]int{}
	for _, e := range log {
		if e.Act == "api" && e.Who == "token:case system" {
			uses[e.Subject]++
		}
		if strings.Contains(e.Detail+e.Subject, secret) {
			t.Error("the log has the secret")
		}
	}
	if uses["GET /api/sweeps"] != 1 || uses["GET /api/cases"] != 2 || uses["POST /api/sweeps"] != 7 {
		t.Errorf("uses in the log: %v", uses)
	}
	lee := p.as("lee")
	if code, _ := lee.post("/tokens", "/tokens/revoke", "id", reader.token[4:16]); code != http.StatusOK {
		t.Errorf("revoke: %d", code)
	}
	if code, _, _ := reader.ask("GET", "/api/sweeps", ""); code != http.StatusUnauthorized {
		t.Errorf("revoked: %d", code)
	}
	now = now.Add(91 * 24 * time.Hour)
	if code, _, _ := launcher.ask("GET", "/api/sweeps", ""); code != http.StatusUnauthorized {
		t.Errorf("expired: %d", code)
	}
	for range 10 {
		program{p, "pec_AAAAAAAAAAAA_B"}.ask("GET", "/api/sweeps", "")
	}
	if code, _, _ := (program{p, "pec_AAAAAAAAAAAA_B"}).ask("GET", "/api/sweeps", ""); code != http.StatusTooManyRequests {
		t.Errorf("after too many guesses: %d", code)
	}
}

// What the API answers is what its document says.
func TestAnswersAreAsDocumented(t *testing.T) {
	p := serve(t, review.Options{Sweeps: newCluster()})
	b := p.as("ann")
	reader, launcher := b.program("reader"), b.program("launcher")
	_, body, _ := reader.ask("GET", "/api/openapi.json", "")
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	comp := jsonschema.NewCompiler()
	comp.AssertFormat()
	if err := comp.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		schema, method, path, body string
		who                        program
	}{
		{"Sweeps", "GET", "/api/sweeps", "", reader}, {"Cases", "GET", "/api/cases", "", reader}, {"Verdicts", "GET", "/api/sweeps/one/verdicts", "", reader}, {"Verdict", "GET", "/api/sweeps/one/sites/shop.example", "", reader},
		{"Launched", "POST", "/api/sweeps?name=x", "a.example\nno site\n", launcher}, {"State", "GET", "/api/launches/x", "", launcher}, {"Problem", "GET", "/api/sweeps/two/verdicts", "", reader}, {"Problem", "GET", "/api/cases", "", launcher},
	} {
		s, err := comp.Compile("openapi.json#/components/schemas/" + x.schema)
		if err != nil {
			t.Errorf("%s: %v", x.schema, err)
			continue
		}
		_, body, _ := x.who.ask(x.method, x.path, x.body)
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		if err == nil {
			err = s.Validate(v)
		}
		if err != nil {
			t.Errorf("%s %s: %v\n%s", x.method, x.path, err, body)
		}
	}
}

// The page of tokens, empty, with a fault and with a new one.
func TestTokensInABrowser(t *testing.T) {
	p := serve(t, review.Options{})
	b := openTab(t, p, "ann")
	b.run(chromedp.Navigate(p.URL + "/tokens"))
	b.sounds("tokens-none")
	await := func(selector string) { t.Helper(); b.until(`document.querySelector("` + selector + `") !== null`) }
	b.press(`main form button`, "\r")
	await(".govuk-error-summary")
	b.sounds("tokens-refused")
	b.press(`#name`, "c")
	b.press(`form[action="/tokens"] button`, "\r")
	await(".app-secret")
	b.sounds("tokens-new")
}
