package lab

import (
	"crypto/rand"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
)

//go:embed vendors
var vendorFiles embed.FS

// vendors are the hosts of other parties. What each does is what its vendor's
// public description says that the real one does: which names it stores, on
// which domain, for how long, and what it sends where.
func vendors() map[string]http.Handler {
	const year = 365 * 24 * 3600
	mux := func(routes map[string]http.Handler) http.Handler {
		m := http.NewServeMux()
		for pattern, h := range routes {
			m.Handle(pattern, h)
		}
		return m
	}
	collect := mux(map[string]http.Handler{"/": empty()})
	return map[string]http.Handler{
		"www.googletagmanager.com":     mux(map[string]http.Handler{"/gtag/js": script("gtag.js")}),
		"www.google-analytics.com":     collect,
		"region1.google-analytics.com": collect,
		"googleads.g.doubleclick.net": mux(map[string]http.Handler{"/": pixel(func() string {
			return fmt.Sprintf("IDE=AHWqTUm%s; Domain=.doubleclick.net; Path=/; Max-Age=%d; Secure; HttpOnly; SameSite=None", randomHex(24), 390*24*3600)
		})}),
		"connect.facebook.net": mux(map[string]http.Handler{"/en_US/fbevents.js": script("fbevents.js"), "/en_GB/fbevents.js": script("fbevents.js")}),
		"www.facebook.com":     mux(map[string]http.Handler{"/tr/": pixel(nil)}),
		"analytics.tiktok.com": mux(map[string]http.Handler{
			"/i18n/pixel/events.js": script("tiktok.js"),
			"/api/": pixel(func() string {
				return fmt.Sprintf("_ttp=2%s; Domain=.tiktok.com; Path=/; Max-Age=%d; Secure; SameSite=None", randomHex(13), year)
			}),
		}),
		"bat.bing.com": mux(map[string]http.Handler{
			"/bat.js": script("bat.js"),
			"/action/": pixel(func() string {
				return fmt.Sprintf("MUID=%s; Domain=.bing.com; Path=/; Max-Age=%d; Secure; SameSite=None", strings.ToUpper(randomHex(16)), 390*24*3600)
			}),
		}),
		// A consent manager whose banner is a frame of another origin.
		"consent.frame-cmp.example": mux(map[string]http.Handler{"/": script("frame.html"), "/frame.js": script("frame.js")}),
		// A content network that nobody's list knows.
		"cdn.pictures.example": mux(map[string]http.Handler{"/": pixel(nil)}),
	}
}

func script(name string) http.Handler {
	data, err := vendorFiles.ReadFile("vendors/" + name)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err != nil {
			http.NotFound(w, r)
			return
		}
		mime := "text/javascript; charset=utf-8"
		if strings.HasSuffix(name, ".html") {
			mime = "text/html; charset=utf-8"
		}
		w.Header().Set("Content-Type", mime)
		w.Write(data)
	})
}

// gif is one transparent pixel.
const gif = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// pixel answers with a picture; a visitor without a cookie gets one.
func pixel(cookie func() string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cookie != nil && r.Header.Get("Cookie") == "" {
			w.Header().Add("Set-Cookie", cookie())
		}
		w.Header().Set("Content-Type", "image/gif")
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprint(w, gif)
	})
}

func empty() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}
