package evidence_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	pc "pecrawler"
	"pecrawler/evidence"
)

// authority is a time-stamping authority on loopback. answer may spoil what it
// says; its clock stands at the given time.
func authority(t testing.TB, at time.Time, answer func(ts *timestamp.Timestamp)) *httptest.Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Authority"}, NotBefore: at.Add(-time.Hour), NotAfter: at.AddDate(20, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: extKeyUsage(t)}}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		q, err := timestamp.ParseRequest(raw)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		ts := &timestamp.Timestamp{HashAlgorithm: q.HashAlgorithm, HashedMessage: q.HashedMessage, Nonce: q.Nonce, Time: at, Policy: asn1.ObjectIdentifier{1, 2, 3}, SerialNumber: big.NewInt(7), AddTSACertificate: true}
		if answer != nil {
			answer(ts)
		}
		resp, err := ts.CreateResponseWithOpts(cert, key, crypto.SHA256)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write(resp)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// extKeyUsage is what RFC 3161 wants of an authority's certificate.
func extKeyUsage(t testing.TB) []byte {
	t.Helper()
	b, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sealed is the bundle of [draft], signed and perhaps stamped.
func sealed(t testing.TB, stamper evidence.Stamper, m *evidence.Metrics) (data []byte, key evidence.Signer) {
	t.Helper()
	v, err := evidence.OpenVault(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if key, err = evidence.OpenKey(filepath.Join(t.TempDir(), "keys", "evidence.pem")); err != nil {
		t.Fatal(err)
	}
	s := &evidence.Sealer{Vault: v, Signer: key, Stamper: stamper, Start: evidence.Start{Profile: "new, empty", Rules: "r1"}, Metrics: m}
	digest, err := s.Seal(t.Context(), draft(t))
	if err != nil {
		t.Fatal(err)
	}
	if data, err = v.Bytes(t.Context(), digest); err != nil {
		t.Fatal(err)
	}
	return data, key
}

func TestSignedAndStamped(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	reg := prometheus.NewRegistry()
	data, key := sealed(t, evidence.TSA{URL: authority(t, at, nil).URL}, evidence.NewMetrics(reg))
	b, err := evidence.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.CheckKey(key.Public()); err != nil {
		t.Error(err)
	}
	if s := b.Stamp(); s == nil || !s.Time.Equal(at) || s.Authority != "CN=Test Authority" {
		t.Errorf("the time stamp says %+v, want %v", s, at)
	}
	m := b.Manifest()
	if m.Schema != evidence.Schema || m.Start.Profile != "new, empty" || m.Start.Rules != "r1" || m.Start.Clock.Source == "" {
		t.Errorf("manifest %+v", m)
	}
	if br := m.Start.Browsers; len(br) != 1 || len(br[0].Scenarios) != 1 || br[0].Scenarios[0] != pc.Idle || br[0].Egress != "direct" {
		t.Errorf("browsers %+v", br)
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`# HELP pecrawler_evidence_signatures_total Signatures made.
# TYPE pecrawler_evidence_signatures_total counter
pecrawler_evidence_signatures_total 1
# HELP pecrawler_evidence_timestamps_total Time stamps asked for, by result: had or failed.
# TYPE pecrawler_evidence_timestamps_total counter
pecrawler_evidence_timestamps_total{result="failed"} 0
pecrawler_evidence_timestamps_total{result="had"} 1
`), "pecrawler_evidence_signatures_total", "pecrawler_evidence_timestamps_total"); err != nil {
		t.Error(err)
	}
	if faults, err := testutil.GatherAndLint(reg); err != nil || len(faults) > 0 {
		t.Errorf("metrics: %v %v", faults, err)
	}
}

// An authority that is down, or says something else, costs the time stamp and
// nothing more, and the signature tells that one was wanted.
func TestNoTimeStampToBeHad(t *testing.T) {
	down := authority(t, time.Now(), nil)
	down.Close()
	for name, url := range map[string]string{
		"down":           down.URL,
		"not found":      httptest.NewServer(http.NotFoundHandler()).URL,
		"another digest": authority(t, time.Now(), func(ts *timestamp.Timestamp) { ts.HashedMessage = make([]byte, 32) }).URL,
		"another nonce":  authority(t, time.Now(), func(ts *timestamp.Timestamp) { ts.Nonce = big.NewInt(1) }).URL,
		"no certificate": authority(t, time.Now(), func(ts *timestamp.Timestamp) { ts.AddTSACertificate = false }).URL,
	} {
		data, _ := sealed(t, evidence.TSA{URL: url}, nil)
		b, err := evidence.Read(data)
		if err != nil || b.Stamp() != nil || b.Signature().Timestamp != "unavailable" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever byte changes, the bundle does not open; and where the byte lies in
// an entry, that entry is named.
func TestEveryByteCounts(t *testing.T) {
	data, _ := sealed(t, evidence.TSA{URL: authority(t, time.Now(), nil).URL}, nil)
	places := contents(t, data)
	for i := range data {
		mask := []byte{0x01, 0x20, 0x80}[i%3] // 0x20: the case of a letter
		bad := bytes.Clone(data)
		bad[i] ^= mask
		_, err := evidence.Read(bad)
		d, ok := errors.AsType[*evidence.DamagedError](err)
		if !ok {
			t.Fatalf("byte %d of %d changed by %#x: %v", i, len(data), mask, err)
		}
		for _, p := range places {
			// A changed manifest may be whole in form; then it is its signature that is not.
			if in := p.from <= i && i < p.to; in && d.Part != p.name && p.name != "manifest.json" {
				t.Errorf("byte %d lies in %s, but the error is %v", i, p.name, err)
			}
		}
	}
	for _, cut := range []int{1, 2, 22, len(data) / 2} {
		if _, err := evidence.Read(data[:len(data)-cut]); err == nil {
			t.Errorf("opened without its last %d bytes", cut)
		}
	}
	for _, bad := range [][]byte{append(bytes.Clone(data), 0), append([]byte{0}, data...), append(bytes.Clone(data), data...)} {
		if _, err := evidence.Read(bad); err == nil {
			t.Error("opened with surplus bytes")
		}
	}
}

// A bundle cannot lose its signature or its time stamp, nor take another's.
func TestSealsBelongToTheirBundle(t *testing.T) {
	url := authority(t, time.Now(), nil).URL
	data, key := sealed(t, evidence.TSA{URL: url}, nil)
	other, otherKey := sealed(t, evidence.TSA{URL: url}, nil)
	part := func(data []byte, name string) []byte {
		b, err := evidence.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := b.Part(name)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	replace := func(name string, with []byte) []byte {
		return rezip(t, data, func(n string, b []byte) ([]byte, bool) {
			if n != name {
				return b, true
			}
			return with, with != nil
		}, "")
	}
	for what, tt := range map[string]struct {
		data []byte
		part string
	}{
		"signature taken away":  {replace("signature.json", nil), "signature.json"},
		"time stamp taken away": {replace("timestamp.tsr", nil), "timestamp.tsr"},
		"another's signature":   {replace("signature.json", part(other, "signature.json")), "signature.json"},
		"another's time stamp":  {replace("timestamp.tsr", part(other, "timestamp.tsr")), "timestamp.tsr"},
		"spaces in signature":   {replace("signature.json", append(part(data, "signature.json"), ' ')), "signature.json"},
		"packed anew":           {replace("", nil), "idle/capture.json"},
	} {
		_, err := evidence.Read(tt.data)
		if d, ok := errors.AsType[*evidence.DamagedError](err); !ok || d.Part != tt.part {
			t.Errorf("%s: %v, want %s named", what, err, tt.part)
		}
	}
	b, _ := evidence.Read(data)
	if err := b.CheckKey(otherKey.Public()); err == nil {
		t.Error("another's key is taken for the signer's")
	}
	if err := b.CheckKey(key.Public()); err != nil {
		t.Error(err)
	}
}

// A bundle that was sealed before there were signatures opens for ever.
func TestSchema1Opens(t *testing.T) {
	data, err := os.ReadFile("testdata/schema1.zip")
	if err != nil {
		t.Fatal(err)
	}
	b, err := evidence.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	const digest = "sha256:9f16a3df0847c7d8f51d9134e9084d74700f3cffba32a29ce0b9a0e188a752e0"
	if b.Digest() != digest || b.Visit().Site != "pennine-hostels.example" || len(b.Captures()) != 3 || b.Signature() != nil || b.Stamp() != nil {
		t.Errorf("opened %s of %s with %d captures", b.Digest(), b.Visit().Site, len(b.Captures()))
	}
	for _, c := range b.Captures() {
		for _, s := range c.Pages {
			if _, err := b.Page(s.Tree); err != nil {
				t.Error(err)
			}
		}
	}
	key, err := evidence.OpenKey(filepath.Join(t.TempDir(), "k.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.CheckKey(key.Public()); err == nil {
		t.Error("a key vouches for a bundle that is not signed")
	}
}

func TestKeys(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "keys", "evidence.pem")
	var ids [8]string
	var g sync.WaitGroup
	for i := range ids {
		g.Go(func() {
			if k, err := evidence.OpenKey(name); err != nil {
				t.Error(err)
			} else {
				ids[i] = evidence.KeyID(k.Public())
			}
		})
	}
	g.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("several processes made several keys: %v", ids)
		}
	}
	if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the private key's file: %v, %v", fi.Mode(), err)
	}
	public, err := evidence.ReadPublicKey(evidence.PublicKeyFile(name))
	if err != nil || evidence.KeyID(public) != ids[0] {
		t.Errorf("the public key beside it: %v", err)
	}
	bad := filepath.Join(dir, "bad.pem")
	os.WriteFile(bad, []byte("no key"), 0o600)
	for _, n := range []string{bad, evidence.PublicKeyFile(name), filepath.Join(dir, "none.pem")} {
		if _, err := evidence.ReadKey(n); err == nil || !strings.Contains(err.Error(), n) {
			t.Errorf("ReadKey(%s): %v", n, err)
		}
	}
	if _, err := evidence.ReadPublicKey(name); err == nil || strings.Contains(err.Error(), "no such") {
		t.Errorf("a private key as a public one: %v", err)
	}
}

// brokenSigner is a key service that cannot sign.
type brokenSigner struct{ evidence.Signer }

func (brokenSigner) Sign(context.Context, []byte) ([]byte, error) {
	return nil, errors.New("no access")
}

func TestWithoutSignatureNothingIsSealed(t *testing.T) {
	v, _ := seal(t)
	key, err := evidence.OpenKey(filepath.Join(t.TempDir(), "k.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if digest, err := (&evidence.Sealer{Vault: v, Signer: brokenSigner{key}}).Seal(t.Context(), draft(t)); err == nil || !strings.Contains(err.Error(), "no access") {
		t.Errorf("sealed %s: %v", digest, err)
	}
}
