package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pecrawler/webhook"
)

var secret = []byte(strings.Repeat("s", 24))

const document = `{"schema":1,"sweep":"uk","site":"shop.example","findings":[{"rule":"pre-ad-storage","outcome":"fail"},{"rule":"other","outcome":"pass"}]}`

// What the product sends is taken once, and what somebody else sends is not.
func TestReceiver(t *testing.T) {
	var out bytes.Buffer
	srv := httptest.NewServer(&receiver{secret: secret, out: &out})
	defer srv.Close()
	other := []byte(strings.Repeat("o", 24))
	send := func(id, doc string, secrets ...[]byte) error {
		t.Helper()
		s, err := webhook.New(srv.URL, secrets, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		return s.Send(t.Context(), id, []byte(doc))
	}
	if err := send("flag_1", document, secret); err != nil {
		t.Error(err)
	}
	if err := send("flag_1", document, other, secret); err != nil {
		t.Errorf("once more, while the secret is exchanged: %v", err)
	}
	if err := send("flag_1", document, other); err == nil {
		t.Error("it was taken from somebody else")
	}
	if got, want := out.String(), "uk,shop.example,pre-ad-storage\n"; got != want {
		t.Errorf("written: %q, want %q", got, want)
	}
	if err := send("flag_2", strings.Replace(document, `"schema":1`, `"schema":2`, 1), secret); err == nil {
		t.Error("a document of a later version was taken")
	}
}

func TestGenuine(t *testing.T) {
	now := time.Now()
	sign := func(id string, at time.Time, body string) http.Header {
		stamp := fmt.Sprint(at.Unix())
		sum := hmac.New(sha256.New, secret)
		sum.Write([]byte(id + "." + stamp + "." + body))
		h := http.Header{}
		h.Set("webhook-id", id)
		h.Set("webhook-timestamp", stamp)
		h.Set("webhook-signature", "v2,x v1,"+base64.StdEncoding.EncodeToString(sum.Sum(nil)))
		return h
	}
	r := &receiver{secret: secret}
	for name, c := range map[string]struct {
		h    http.Header
		body string
		want bool
	}{
		"good": {sign("a", now, "x"), "x", true}, "another body": {sign("a", now, "x"), "y", false}, "recorded": {sign("a", now.Add(-6*time.Minute), "x"), "x", false},
		"ahead": {sign("a", now.Add(6*time.Minute), "x"), "x", false}, "no id": {sign("", now, "x"), "x", false}, "nothing": {http.Header{}, "x", false},
	} {
		if got := r.genuine(c.h, []byte(c.body), now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	h := sign("a", now, "x")
	h.Set("webhook-id", "b")
	if r.genuine(h, []byte("x"), now) {
		t.Error("the id of another was taken")
	}
}
