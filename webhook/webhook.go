// Package webhook sends documents to one address, as https://www.standardwebhooks.com
// says, for which there are receivers in most languages: a POST with
//
//	webhook-id          the same each time a document is sent
//	webhook-timestamp   seconds since 1970, of this try
//	webhook-signature   "v1," and the HMAC-SHA256 of ID.TIMESTAMP.BODY in base64; several with blanks between
//
// It goes where the operator says and nowhere else: no redirect is followed, and
// nothing of the document has a part in the address.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Sender sends to one address.
type Sender struct {
	to      string
	secrets [][]byte
	client  http.Client
	agent   string
	now     func() time.Time
}

// sendTime bounds one try.
const sendTime = 20 * time.Second

// New returns a sender to an address, https or on loopback, that signs with each of
// some secrets: the one that is good, and while it is exchanged the one before.
// roots are the authorities to trust; nil: those of the machine. agent is the name of
// the program and its version.
func New(to string, secrets [][]byte, roots *x509.CertPool, agent string) (*Sender, error) {
	u, err := url.Parse(to)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, errors.New("the address of a webhook: want https://HOST/PATH, without a user name")
	}
	if len(secrets) == 0 {
		return nil, errors.New("a webhook needs a secret to sign with")
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	return &Sender{to: to, secrets: secrets, agent: agent, now: time.Now, client: http.Client{Transport: t, Timeout: sendTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// RefusedError is an answer other than that the document was taken.
type RefusedError struct {
	Status int
	After  time.Duration // that the receiver asks for before the next try; 0: it does not say
}

func (e *RefusedError) Error() string { return fmt.Sprintf("the receiver answers %d", e.Status) }

// Send sends a document once. It was taken when there is no error; an error holds
// nothing of the address or the answer but its status.
func (s *Sender) Send(ctx context.Context, id string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.to, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address of the webhook cannot be asked")
	}
	stamp := strconv.FormatInt(s.now().Unix(), 10)
	var signed []string
	for _, secret := range s.secrets {
		sum := hmac.New(sha256.New, secret)
		fmt.Fprintf(sum, "%s.%s.%s", id, stamp, body)
		signed = append(signed, "v1,"+base64.StdEncoding.EncodeToString(sum.Sum(nil)))
	}
	for k, v := range map[string]string{"Content-Type": "application/json", "User-Agent": s.agent, "webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": strings.Join(signed, " ")} {
		req.Header.Set(k, v)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return reason(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection serves again
	if resp.StatusCode/100 == 2 {
		return nil
	}
	refused := &RefusedError{Status: resp.StatusCode}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 && n < 1<<20 {
		refused.After = time.Duration(n) * time.Second
	}
	return refused
}

// reason is why there is no answer, without the address, which may hold a secret.
func reason(err error) error {
	var cert *tls.CertificateVerificationError
	var dns *net.DNSError
	var to interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &cert):
		return errors.New("the receiver's certificate is not one that is trusted")
	case errors.As(err, &dns):
		return errors.New("the receiver's name is not known")
	case errors.As(err, &to) && to.Timeout():
		return errors.New("the receiver does not answer in time")
	}
	return errors.New("the receiver cannot be reached")
}

// leastSecret is how long a secret has to be, in bytes: what the standard asks for.
const leastSecret = 24

// Secrets reads the lines of a file, each whsec_ and a secret in base64.
func Secrets(file []byte) (out [][]byte, err error) {
	for line := range strings.Lines(string(file)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		text, ok := strings.CutPrefix(line, "whsec_")
		secret, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil || len(secret) < leastSecret {
			return nil, fmt.Errorf("a secret of a webhook: want whsec_ and at least %d bytes in base64, a line for each", leastSecret)
		}
		out = append(out, secret)
	}
	if len(out) > 2 {
		return nil, errors.New("the secrets of a webhook: want one, or two while one is exchanged")
	}
	return out, nil
}
