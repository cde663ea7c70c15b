package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestExpiries(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	file := func(name string, ends ...time.Time) string {
		pub, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		var raw []byte
		for _, end := range ends {
			tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-240 * time.Hour), NotAfter: end}
			der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, pub, key)
			if err != nil {
				t.Fatal(err)
			}
			raw = append(raw, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good.pem", now.Add(72*time.Hour), now.Add(48*time.Hour))
	for _, c := range []struct {
		files      map[string]string
		said, errs string
	}{
		{map[string]string{"ca": ""}, "none are used", ""},
		{map[string]string{"ca": "", "nats-ca": good}, "--nats-ca until 2026-11-27", ""}, // the one that ends first
		{map[string]string{"nats-cert": file("old.pem", now.Add(-24*time.Hour))}, "", "--nats-cert expired on 2026-11-24"},
		{map[string]string{"ca": file("empty.pem")}, "", "has no certificate"},
		{map[string]string{"ca": "/nowhere"}, "", "no such file"},
	} {
		said, err := expiries(c.files, now)
		if said != c.said || (err == nil) != (c.errs == "") || err != nil && !strings.Contains(err.Error(), c.errs) {
			t.Errorf("%v: %q, %v; want %q, %q", c.files, said, err, c.said, c.errs)
		}
	}
}

func TestNatsServers(t *testing.T) {
	got := natsServers("tls://nats-0:4223, nats-1 ,nats://user:secret@[::1]")
	if want := []string{"nats-0:4223", "nats-1:4222", "[::1]:4222"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := reachable("127.0.0.1:1"); err == nil {
		t.Error("a port on which nobody listens was reached")
	}
}

func TestAskProxy(t *testing.T) {
	answer := func(status string) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				c.Read(make([]byte, 4096))
				io.WriteString(c, status+"\r\n\r\n")
				c.Close()
			}
		}()
		return ln.Addr().String()
	}
	closed := answer("")
	for _, c := range []struct{ addr, said, errs string }{
		{answer("HTTP/1.1 200 OK"), "which reaches", ""},
		{answer("HTTP/1.1 407 Proxy Authentication Required"), "", "another name or password"},
		{answer("HTTP/1.1 403 Forbidden"), "", "refuses us"},
		{answer("HTTP/1.1 502 Bad Gateway"), "", "does not reach"},
		{answer("SSH-2.0-OpenSSH_9.2"), "", "is no http proxy"},
		{closed, "", "is no http proxy"},
		{"127.0.0.1:1", "", "does not answer"},
	} {
		said, err := askProxy(t.Context(), &url.URL{Scheme: "http", Host: c.addr})
		if !strings.Contains(said, c.said) || (err == nil) != (c.errs == "") || err != nil && !strings.Contains(err.Error(), c.errs) {
			t.Errorf("%+v: %q, %v", c, said, err)
		}
	}
}

func TestServersUp(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := serversUp("nats://" + ln.Addr().String()); err != nil {
		t.Errorf("a server that is up: %v", err)
	}
	if err := serversUp("nats://127.0.0.1:1,nats://" + ln.Addr().String()); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1 takes no connection") {
		t.Errorf("one of two is down: %v", err)
	}
}

func TestFontsThatAreMissingAreNamed(t *testing.T) {
	if _, err := exec.LookPath("fc-list"); err != nil {
		t.Skip("there is no fc-list")
	}
	conf := filepath.Join(t.TempDir(), "fonts.conf")
	if err := os.WriteFile(conf, []byte("<fontconfig></fontconfig>"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FONTCONFIG_FILE", conf)
	_, err := fonts(t.Context())
	if err == nil || !strings.Contains(err.Error(), "install fonts-liberation fonts-noto-core fonts-noto-color-emoji fonts-wqy-microhei") {
		t.Errorf("without fonts doctor says %v, want what to install", err)
	}
}
