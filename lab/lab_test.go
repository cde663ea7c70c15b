package lab_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pecrawler/lab"
)

func start(t *testing.T) (*lab.Lab, *http.Client) {
	t.Helper()
	l, err := lab.Start(lab.Config{Plan: lab.Plan{Written: true}})
	if errors.Is(err, lab.ErrNoModules) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(l.CA())
	tr := &http.Transport{Proxy: http.ProxyURL(l.URL()), TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(tr.CloseIdleConnections)
	return l, &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, string, error) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func TestEverySiteAnswersAsItsTruthSays(t *testing.T) {
	l, c := start(t)
	if n := len(l.Sites()); n < 12 {
		t.Fatalf("%d sites", n)
	}
	for _, s := range l.Sites() {
		t.Run(s.Host, func(t *testing.T) {
			resp, body, err := get(t, c, "https://"+s.Host+"/")
			if s.Fault != "" {
				if err == nil {
					t.Fatalf("answered %s in spite of the fault %q", resp.Status, s.Fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := s.Status
			if want == 0 {
				want = 200
			}
			if resp.StatusCode != want {
				t.Errorf("status %d, want %d", resp.StatusCode, want)
			}
			if s.Raw {
				return
			}
			if !strings.Contains(body, "<title>") {
				t.Error("no page")
			}
			// What the page asks of npm must be there.
			for rest := body; ; {
				_, after, ok := strings.Cut(rest, `"/npm/`)
				if !ok {
					break
				}
				path, tail, _ := strings.Cut(after, `"`)
				rest = tail
				if resp, _, err := get(t, c, "https://"+s.Host+"/npm/"+path); err != nil || resp.StatusCode != 200 {
					t.Errorf("/npm/%s: %v %v", path, resp, err)
				}
			}
			if resp, _, err := get(t, c, "http://"+s.Host+"/about"); err != nil || resp.Request.URL.Scheme != "https" {
				t.Errorf("http does not lead to https: %v", err)
			}
		})
	}
}

// The log of requests names who asked which site, in tunnels and out of them.
func TestRequestsAreWrittenDown(t *testing.T) {
	var log bytes.Buffer
	l, err := lab.Start(lab.Config{Plan: lab.Plan{Written: true}, Requests: &log})
	if errors.Is(err, lab.ErrNoModules) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(l.CA())
	tr := &http.Transport{Proxy: http.ProxyURL(l.URL()), TLSClientConfig: &tls.Config{RootCAs: pool}}
	c := &http.Client{Transport: tr, Timeout: 10 * time.Second}
	for _, url := range []string{"https://harbour-books.example/", "http://harbour-books.example/robots.txt"} {
		if _, _, err := get(t, c, url); err != nil {
			t.Fatal(err)
		}
	}
	tr.CloseIdleConnections()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for line := range bytes.Lines(log.Bytes()) {
		var r lab.Request
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if r.From != "127.0.0.1" || r.Host != "harbour-books.example" || time.Since(r.At) > time.Minute {
			t.Errorf("%+v", r)
		}
		paths = append(paths, r.Path)
	}
	if want := []string{"", "/", "/robots.txt", "/robots.txt"}; /* plain http is redirected */ !slices.Equal(paths, want) {
		t.Errorf("paths %q, want %q", paths, want)
	}
}

func TestUnknownNamesDoNotResolve(t *testing.T) {
	_, c := start(t)
	if _, _, err := get(t, c, "https://www.example.org/"); err == nil {
		t.Error("an unknown host answered over TLS")
	}
	resp, _, err := get(t, c, "http://www.example.org/")
	if err != nil || resp.StatusCode != http.StatusBadGateway || resp.Header.Get("Pecrawler-Egress") != "dns" {
		t.Errorf("an unknown host answered: %v %v", resp, err)
	}
}

func TestTheLabDescribesItself(t *testing.T) {
	l, _ := start(t)
	for path, want := range map[string]string{"/": "harbour-books.example", "/sites.csv": "https://harbour-books.example/", "/truth.json": `"overall": "flagged"`, "/ca.pem": "BEGIN CERTIFICATE"} {
		if _, body, err := get(t, http.DefaultClient, l.URL().String()+path); err != nil || !strings.Contains(body, want) {
			t.Errorf("%s: %v, has no %q", path, err, want)
		}
	}
}

func TestVendorsKeepTheirCookies(t *testing.T) {
	_, c := start(t)
	resp, _, err := get(t, c, "https://googleads.g.doubleclick.net/pagead/viewthroughconversion/1/")
	if err != nil || len(resp.Cookies()) != 1 || resp.Cookies()[0].Name != "IDE" {
		t.Errorf("doubleclick: %v %v", resp, err)
	}
}

func TestNamesResolve(t *testing.T) {
	l, err := lab.Start(lab.Config{Plan: lab.Plan{Hostile: true, Lawful: 300, Seed: 1}})
	if errors.Is(err, lab.ErrNoModules) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", l.DNS().String())
	}}
	look := func(host string) string {
		a, err := r.LookupNetIP(t.Context(), "ip4", host)
		if err != nil {
			return err.Error()
		}
		return a[0].String()
	}
	if got := look("connect.facebook.net"); !strings.HasPrefix(got, "198.1") {
		t.Errorf("another party resolves to %s", got)
	}
	if got := look("two-faces.example"); got != "93.184.215.14" {
		t.Errorf("first question: %s", got)
	}
	if got := look("two-faces.example"); got != "127.0.0.1" {
		t.Errorf("second question: %s", got)
	}
	if got := look("nobody.example"); !strings.Contains(got, "no such host") {
		t.Errorf("an unknown name: %s", got)
	}
	cloaked := ""
	for _, s := range l.Sites() {
		if s.Spec != nil && slices.Contains(s.Spec.Advertising, "cname-cloak") {
			cloaked = strings.TrimPrefix(s.Host, "www.")
			break
		}
	}
	name, err := r.LookupCNAME(t.Context(), "metrics."+cloaked)
	if err != nil || name != "site-42.eulerian.net." {
		t.Errorf("metrics.%s is an alias of %q (%v)", cloaked, name, err)
	}
}

func TestEveryRecipeAnswers(t *testing.T) {
	l, err := lab.Start(lab.Config{Plan: lab.Plan{Lawful: 100, Mutants: true, Hostile: true, Seed: 7}})
	if errors.Is(err, lab.ErrNoModules) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(l.CA())
	tr := &http.Transport{Proxy: http.ProxyURL(l.URL()), TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr, Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	seen := map[string]bool{}
	for _, s := range l.Sites() {
		if s.Set == "hostile" {
			continue // they answer as they like; a sweep shows what becomes of them
		}
		resp, body, err := get(t, c, "https://"+s.Host+"/")
		if err != nil || resp.StatusCode != 200 || !strings.Contains(body, "</html>") {
			t.Errorf("%s: %v %v", s.Host, resp, err)
			continue
		}
		if strings.Contains(body, "[[") || strings.Contains(body, "<no value>") {
			t.Errorf("%s: a part is not filled in", s.Host)
		}
		for _, m := range regexp.MustCompile(`/npm/[\w@./-]+`).FindAllString(body, -1) {
			if m = strings.TrimSuffix(m, "/"); seen[m] || !strings.Contains(path.Base(m), ".") || strings.HasSuffix(m, "js/") {
				continue
			}
			seen[m] = true
			if resp, _, err := get(t, c, "https://"+s.Host+m); err != nil || resp.StatusCode != 200 {
				t.Errorf("%s asks for %s: %v %v", s.Host, m, resp, err)
			}
		}
	}
	if len(seen) < 12 {
		t.Errorf("only %d files of npm are asked for", len(seen))
	}
}
