package evidence

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"

	"github.com/digitorus/timestamp"
)

// Stamper asks a time-stamping authority to witness that a manifest existed.
// It returns the authority's response (RFC 3161, DER). It may be called from
// several goroutines.
type Stamper interface {
	Stamp(ctx context.Context, manifest []byte) ([]byte, error)
}

// Stamp is what timestamp.tsr says.
type Stamp struct {
	Time      time.Time // UTC, by the authority's clock
	Accuracy  time.Duration
	Authority string // the subject of the certificate that it is signed by; not checked against any root
}

const (
	maxStamp     = 64 << 10 // bytes
	stampTimeout = 10 * time.Second
)

// TSA is a time-stamping authority that is asked over HTTP.
type TSA struct{ URL string }

// Stamp implements [Stamper].
func (t TSA) Stamp(ctx context.Context, manifest []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, stampTimeout)
	defer cancel()
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, err
	}
	query, err := timestamp.CreateRequest(bytes.NewReader(manifest), &timestamp.RequestOptions{Hash: crypto.SHA256, Certificates: true, Nonce: nonce})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/timestamp-query")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the authority answered %s", resp.Status)
	}
	tsr, err := io.ReadAll(io.LimitReader(resp.Body, maxStamp+1))
	if err != nil {
		return nil, err
	}
	ts, err := parseStamp(tsr, manifest)
	if err != nil {
		return nil, err
	}
	if ts.Nonce == nil || ts.Nonce.Cmp(nonce) != 0 {
		return nil, errors.New("the authority answered another question")
	}
	return tsr, nil
}

// parseStamp verifies a response: the authority's signature, by the certificate
// that it brings along, and that it speaks of the manifest.
func parseStamp(tsr, manifest []byte) (*timestamp.Timestamp, error) {
	if len(tsr) > maxStamp {
		return nil, errors.New("larger than any time stamp")
	}
	ts, err := timestamp.ParseResponse(tsr)
	if err != nil {
		return nil, err
	}
	if len(ts.Certificates) == 0 {
		return nil, errors.New("it brings no certificate along")
	}
	if sum := sha256.Sum256(manifest); ts.HashAlgorithm != crypto.SHA256 || !bytes.Equal(ts.HashedMessage, sum[:]) {
		return nil, errors.New("it is the time stamp of something else")
	}
	return ts, nil
}

// checkStamp reads timestamp.tsr.
func checkStamp(tsr, manifest []byte) (*Stamp, error) {
	ts, err := parseStamp(tsr, manifest)
	if err != nil {
		return nil, &DamagedError{stampName, err.Error()}
	}
	return &Stamp{Time: ts.Time.UTC(), Accuracy: ts.Accuracy, Authority: ts.Certificates[0].Subject.String()}, nil
}
