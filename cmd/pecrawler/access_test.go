package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// With a certificate the pages are served by TLS alone, without metrics beside
// them, and a renewed certificate is taken without a restart.
func TestPagesByTLS(t *testing.T) {
	a := access{issuer: "x", cert: filepath.Join(t.TempDir(), "tls.pem"), metrics: "127.0.0.1:0"}
	a.key = a.cert
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	renew := func(serial int64) {
		c := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
		der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})...)
		if err := os.WriteFile(a.cert, both, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	renew(1)
	at, stop, err := a.serve("127.0.0.1:0", http.NotFoundHandler(), newRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	ask := func(path string) (int, string, int64) {
		c := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}} // which certificate it is, is what is looked at
		resp, err := c.Get(at + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body), resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	if code, body, serial := ask("healthz"); !strings.HasPrefix(at, "https://") || code != http.StatusOK || body != "ok\n" || serial != 1 {
		t.Errorf("%s: %d %q, certificate %d", at, code, body, serial)
	}
	if code, _, _ := ask("metrics"); code != http.StatusNotFound {
		t.Errorf("metrics beside the pages: %d", code)
	}
	renew(2)
	if _, _, serial := ask("healthz"); serial != 2 {
		t.Errorf("the certificate of before is served: %d", serial)
	}
}

// Links lead to pages of a container, too: by the port that its machine forwards,
// and by no other way.
func TestForwardedPages(t *testing.T) {
	var a access
	a.public = "http://127.0.0.1:8080"
	if err := a.proxies.Set("172.30.77.1/32"); err != nil {
		t.Fatal(err)
	}
	if err := a.check("0.0.0.0:8080", true); err != nil {
		t.Fatal(err)
	}
	pages := a.forwarded(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for from, want := range map[string]int{
		"172.30.77.1:4000": http.StatusTeapot, "[::ffff:172.30.77.1]:4000": http.StatusTeapot,
		"172.30.77.2:4000": http.StatusForbidden, "127.0.0.1:4000": http.StatusForbidden, "": http.StatusForbidden,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = from
		r.Header.Set("X-Forwarded-For", "172.30.77.1")
		w := httptest.NewRecorder()
		if pages.ServeHTTP(w, r); w.Code != want {
			t.Errorf("from %q: %d, want %d", from, w.Code, want)
		}
	}
}
