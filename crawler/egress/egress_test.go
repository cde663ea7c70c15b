package egress_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"pecrawler/crawler/egress"
)

func client(t *testing.T, p egress.Policy) (*http.Client, map[string]int) {
	t.Helper()
	seen := map[string]int{}
	px, err := egress.Listen(p, slog.New(slog.DiscardHandler), func(r string) { seen[r]++ })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(px.Close)
	u, _ := url.Parse(px.URL())
	return &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(u)}}, seen
}

// Everything that is not a public unicast address is refused, in every spelling.
func TestCheckRefusesSpecialAddresses(t *testing.T) {
	for _, a := range []string{
		"127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.251",
		"255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
		"2002:7f00:1::", "2001::1", "ff02::1", "198.18.0.1", "203.0.113.9", "fec0::1",
	} {
		if err := (egress.Policy{}).Check(netip.MustParseAddr(a)); err == nil {
			t.Errorf("Check(%s) = nil, want refusal", a)
		}
	}
	for _, a := range []string{"1.1.1.1", "8.8.8.8", "2606:4700::1111", "151.101.1.1"} {
		if err := (egress.Policy{}).Check(netip.MustParseAddr(a)); err != nil {
			t.Errorf("Check(%s) = %v, want nil", a, err)
		}
	}
}

func TestPrivateIsRefusedAtDialTime(t *testing.T) {
	hit := false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hit = true }))
	defer srv.Close()
	port := srv.URL[strings.LastIndex(srv.URL, ":"):]
	c, seen := client(t, egress.Policy{})
	for _, u := range []string{srv.URL, "http://localhost" + port, "http://[::ffff:127.0.0.1]" + port} {
		resp, err := c.Get(u)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get(egress.ReasonHeader); got != egress.ReasonDenied {
			t.Errorf("GET %s: reason %q, want %q", u, got, egress.ReasonDenied)
		}
	}
	if _, err := c.Get("https://localhost" + port); err == nil {
		t.Error("a tunnel to localhost was made")
	}
	if hit {
		t.Error("the private server was reached")
	}
	if seen[egress.ReasonDenied] != 4 {
		t.Errorf("refusals counted: %v, want 4 denied", seen)
	}
}

func TestAllowedRangeAndUpstream(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello "+r.Host) }))
	defer srv.Close()
	allow := egress.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	first, err := egress.Listen(allow, slog.New(slog.DiscardHandler), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	up, _ := url.Parse(first.URL())
	for name, p := range map[string]egress.Policy{"direct": allow, "chained": {Upstream: up, Allow: allow.Allow}} {
		c, _ := client(t, p)
		resp, err := c.Get(srv.URL)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.HasPrefix(string(b), "hello 127.0.0.1") {
			t.Errorf("%s: got %q", name, b)
		}
	}
	// A literal private address is refused although an upstream would reach it.
	c, seen := client(t, egress.Policy{Upstream: up})
	resp, err := c.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadGateway || seen[egress.ReasonDenied] != 1 {
		t.Errorf("literal private address through upstream: status %d, refusals %v", resp.StatusCode, seen)
	}
}

// What a browser asked for and the network did not take yet comes to no site
// after the end: another worker may be there by then.
func TestNothingIsSentAfterTheEnd(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for name, ask := range map[string]string{"tunnel": "CONNECT %[1]s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", "plain": "POST http://%[1]s/ HTTP/1.1\r\nHost: %[1]s\r\nContent-Length: 1000000000\r\n\r\n"} {
		for _, chained := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s chained=%t", name, chained), func(t *testing.T) {
				site, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer site.Close()
				policy := egress.Policy{Allow: loopback}
				if chained {
					policy.Upstream = &url.URL{Scheme: "http", Host: site.Addr().String()}
				}
				px, err := egress.Listen(policy, slog.New(slog.DiscardHandler), func(string) {})
				if err != nil {
					t.Fatal(err)
				}
				defer px.Close()
				browser, err := net.Dial("tcp", strings.TrimPrefix(px.URL(), "http://"))
				if err != nil {
					t.Fatal(err)
				}
				defer browser.Close()
				fmt.Fprintf(browser, ask, site.Addr())
				conn, err := site.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if chained && name == "tunnel" {
					fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n\r\n") // the site is the upstream, and sees what is for the site
				}
				browser.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
				if _, err := io.Copy(browser, zeros{}); err == nil {
					t.Fatal("all was taken: nothing is left to be sent")
				}
				px.Close()
				conn.SetReadDeadline(time.Now().Add(10 * time.Second))
				if n, err := io.Copy(io.Discard, conn); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("%d bytes came after the end, then %v; want a reset", n, err)
				}
			})
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
