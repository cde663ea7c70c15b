package webhook

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

var secret = []byte(strings.Repeat("s", 24))

// The example that Standard Webhooks itself is tested with.
func TestSignature(t *testing.T) {
	var got http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	defer srv.Close()
	secrets, err := Secrets([]byte("\nwhsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\r\nwhsec_" + base64.StdEncoding.EncodeToString(secret) + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(srv.URL, secrets, nil, "pecrawler/1")
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return time.Unix(1614265330, 0) }
	if err := s.Send(t.Context(), "msg_p5jXN8AQM9LWM0D4loKWxJek", []byte(`{"test": 2432232314}`)); err != nil {
		t.Fatal(err)
	}
	signatures := strings.Fields(got.Get("webhook-signature"))
	if len(signatures) != 2 || signatures[0] != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" || got.Get("webhook-timestamp") != "1614265330" || got.Get("User-Agent") != "pecrawler/1" || got.Get("Content-Type") != "application/json" {
		t.Errorf("sent: %v", got)
	}
}

func TestAddresses(t *testing.T) {
	for to, good := range map[string]bool{
		"https://case.regulator.example/hooks?key=1": true, "http://127.0.0.1:1/x": true, "http://localhost/": true, "http://[::1]:1/": true,
		"http://case.regulator.example/": false, "https://user:pass@case.regulator.example/": false, "https://": false, "case.regulator.example": false, "file:///etc/passwd": false, "http://127.0.0.1.evil.example/": false, "": false, "https://a.example/#x": false,
	} {
		if _, err := New(to, [][]byte{secret}, nil, ""); (err == nil) != good || err != nil && len(to) > len("https://") && strings.Contains(err.Error(), to) {
			t.Errorf("%s: %v", to, err)
		}
	}
	if _, err := New("https://a.example/", nil, nil, ""); err == nil {
		t.Error("nothing to sign with")
	}
}

func TestSecrets(t *testing.T) {
	long := "whsec_" + base64.StdEncoding.EncodeToString(secret)
	for file, n := range map[string]int{"": 0, long: 1, long + "\n" + long: 2, long + "\n" + long + "\n" + long: -1, "whsec_c2hvcnQ=": -1, strings.TrimPrefix(long, "whsec_"): -1, "whsec_" + strings.Repeat("!", 40): -1} {
		got, err := Secrets([]byte(file))
		if n < 0 && err == nil || n >= 0 && (err != nil || len(got) != n) {
			t.Errorf("%q: %d, %v", file, len(got), err)
		}
		if err != nil && file != "" && strings.Contains(err.Error(), file) {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}

// What a receiver answers: only a status of success is one; nothing leads elsewhere.
func TestAnswers(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		case "/busy":
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/taken":
			w.WriteHeader(http.StatusAccepted)
		}
	}))
	defer srv.Close()
	send := func(to string) error {
		t.Helper()
		s, err := New(to, [][]byte{secret}, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		return s.Send(t.Context(), "flag_1", []byte("{}"))
	}
	if err := send(srv.URL + "/taken"); err != nil {
		t.Errorf("taken: %v", err)
	}
	refused, ok := errors.AsType[*RefusedError](send(srv.URL + "/moved"))
	if !ok || refused.Status != http.StatusTemporaryRedirect {
		t.Errorf("moved: %v", refused)
	}
	if refused, ok = errors.AsType[*RefusedError](send(srv.URL + "/busy")); !ok || refused.After != 90*time.Second {
		t.Errorf("busy: %v", refused)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	if err := send(gone.URL + "/secret-path"); err == nil || strings.Contains(err.Error(), "secret-path") || strings.Contains(err.Error(), gone.URL) {
		t.Errorf("nobody is there: %v", err)
	}
}

// A receiver whose certificate nobody vouches for gets nothing.
func TestCertificates(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	for _, c := range []struct {
		roots *x509.CertPool
		good  bool
	}{{roots, true}, {x509.NewCertPool(), false}} {
		s, err := New(srv.URL, [][]byte{secret}, c.roots, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(context.Background(), "flag_1", nil); (err == nil) != c.good {
			t.Errorf("trusted %v: %v", c.good, err)
		}
	}
}
