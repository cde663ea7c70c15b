package egress_test

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"pecrawler/crawler/egress"
)

// resolver answers from a table: a name leads to another name or to an address.
// Of a chain it gives one link at a time when it is stingy.
func resolver(t *testing.T, table map[string]string, stingy bool) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil {
				continue
			}
			m.Response, m.Additionals = true, nil
			name := m.Questions[0].Name
			for range 20 {
				to := table[strings.TrimSuffix(name.String(), ".")]
				head := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET}
				if addr, err := netip.ParseAddr(to); err == nil {
					if m.Questions[0].Type == dnsmessage.TypeA {
						m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: addr.As4()}})
					}
					break
				}
				if to == "" {
					m.RCode = dnsmessage.RCodeNameError
					break
				}
				next := dnsmessage.MustNewName(to + ".")
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.CNAMEResource{CNAME: next}})
				if name = next; stingy {
					break
				}
			}
			raw, err := m.Pack()
			if err != nil {
				continue
			}
			conn.WriteTo(raw, from)
		}
	}()
	return conn.LocalAddr().String()
}

func TestAliases(t *testing.T) {
	table := map[string]string{
		"metrics.shop.example": "shop.tracker.example", "shop.tracker.example": "edge.cdn.example", "edge.cdn.example": "198.18.0.7",
		"plain.example": "198.18.0.8", "round.example": "about.example", "about.example": "round.example",
	}
	for _, stingy := range []bool{false, true} {
		server := resolver(t, table, stingy)
		got, err := egress.Aliases(t.Context(), server, "metrics.shop.example")
		if want := []string{"shop.tracker.example", "edge.cdn.example"}; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("stingy %v: got %q, %v, want %q", stingy, got, err, want)
		}
		for _, name := range []string{"plain.example", "none.example"} {
			if got, err := egress.Aliases(t.Context(), server, name); err != nil || len(got) != 0 {
				t.Errorf("stingy %v: %s: %q, %v, want none", stingy, name, got, err)
			}
		}
		if got, err := egress.Aliases(t.Context(), server, "round.example"); err == nil || len(got) > 2 {
			t.Errorf("stingy %v: a circle gave %q, %v, want an error", stingy, got, err)
		}
	}
	if _, err := egress.Aliases(t.Context(), "127.0.0.1:1", "plain.example"); err == nil {
		t.Error("no resolver, and no error")
	}
}

// The proxy knows whom it reached, and by which names.
func TestHosts(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(srv.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(srv.URL, "http://"), ":")
	server := resolver(t, map[string]string{"metrics.shop.example": "tracker.example", "tracker.example": "127.0.0.1", "inside.example": "10.1.2.3"}, false)
	px, err := egress.Listen(egress.Policy{DNS: server, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, slog.New(slog.DiscardHandler), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer px.Close()
	u, _ := url.Parse(px.URL())
	c := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(u)}}
	for _, address := range []string{"http://metrics.shop.example:" + port, "http://metrics.shop.example:" + port, "https://inside.example", "http://none.example"} {
		if resp, err := c.Get(address); err == nil {
			resp.Body.Close()
		}
	}
	want := []egress.Host{
		{Name: "metrics.shop.example", CNAMEs: []string{"tracker.example"}, Addresses: []string{"127.0.0.1"}, Connections: 2},
		{Name: "inside.example", Refused: egress.ReasonDenied},
		{Name: "none.example", Refused: egress.ReasonDNS},
	}
	if got := px.Hosts(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
