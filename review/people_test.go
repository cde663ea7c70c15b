package review_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pecrawler/review"
)

// Nobody sees or does anything without having signed in, and a link signs in once.
func TestOnlyPeopleWhoSignedIn(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	p := serve(t, review.Options{Now: func() time.Time { return now }})
	stranger := &browser{p, http.Client{}}
	for _, path := range append(p.allPages(), "/bundles/"+p.Digest, "/bundles/"+p.Digest+"/har", "/api/sweeps/one/verdicts", "/revisits.txt") {
		if code, body, _ := stranger.get(path); code != http.StatusUnauthorized || strings.Contains(body, "shop.example") {
			t.Errorf("a stranger got %s: %d", path, code)
		}
	}
	link := strings.TrimPrefix(p.handler.Invite(p.URL, p.handler.People()[0]), p.URL)
	first := p.as("ann")
	if code, _, _ := first.get(link); code != http.StatusOK {
		t.Errorf("the link: %d", code)
	}
	if code, _, _ := stranger.get(link); code != http.StatusForbidden {
		t.Errorf("the link, used again: %d", code)
	}
	if code, _, _ := stranger.get("/sign-in?code="); code != http.StatusForbidden {
		t.Errorf("no code: %d", code)
	}
	now = now.Add(13 * time.Hour)
	if code, _, _ := first.get("/"); code != http.StatusUnauthorized {
		t.Errorf("a session of yesterday: %d", code)
	}
	b := p.as("ann")
	if code, body := b.post("/", "/sign-out"); code != http.StatusOK || !strings.Contains(body, "signed out") {
		t.Errorf("sign out: %d", code)
	}
	if code, _, _ := b.get("/"); code != http.StatusUnauthorized {
		t.Errorf("after signing out: %d", code)
	}
}

// A form of another site, or one without the token, does nothing.
func TestForgedForms(t *testing.T) {
	p := serve(t, review.Options{})
	b := p.as("ann")
	_, body, _ := b.get(sitePath)
	good := fields(body, sitePath+"/take")
	for name, c := range map[string]struct {
		token  string
		header [2]string
	}{
		"no token":             {"", [2]string{}},
		"another's token":      {"AAAAAAAAAAAAAAAAAAAAAAAAAA", [2]string{}},
		"from another site":    {good.Get("token"), [2]string{"Sec-Fetch-Site", "cross-site"}},
		"from another origin":  {good.Get("token"), [2]string{"Origin", "https://evil.example"}},
		"by a name of its own": {good.Get("token"), [2]string{"Host", "evil.example"}},
	} {
		for _, path := range []string{sitePath + "/take", sitePath + "/release", sitePath + "/decisions", "/queue/next", "/sign-out", "/bundles/" + p.Digest + "/idle/storage/0"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+path, strings.NewReader(url.Values{"token": {c.token}, "act": {"uphold"}}.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if c.header[0] == "Host" {
				req.Host = c.header[1]
			} else if c.header[0] != "" {
				req.Header.Set(c.header[0], c.header[1])
			}
			resp, err := b.Do(req)
			if code, body, _ := b.read(resp, err); code != http.StatusForbidden || strings.Contains(body, "secret-") {
				t.Errorf("%s, %s: %d", name, path, code)
			}
		}
	}
	if cs, err := p.store.Case(t.Context(), "one", "shop.example"); err != nil || cs.Assignee != "" {
		t.Errorf("a forged form took the case: %+v, %v", cs, err)
	}
	if code, _ := b.post(sitePath, sitePath+"/take"); code != http.StatusOK {
		t.Errorf("our own form: %d", code)
	}
}
