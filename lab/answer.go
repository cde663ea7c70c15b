package lab

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// gif is one transparent pixel.
const gif = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// answers registers what a part serves. What lies on the site's own host goes
// to own, the rest to others; hosts collects the names of other parties.
func (l *Lab) answers(p *Part) error {
	for pattern, a := range p.Serves {
		h, err := l.answer(p, a)
		if err != nil {
			return fmt.Errorf("lab/parts/%s/%s.txtar: %s: %w", p.Kind, p.Name, pattern, err)
		}
		mux := l.others
		if strings.HasPrefix(pattern, "/") {
			mux = l.own
		} else {
			host, _, _ := strings.Cut(pattern, "/")
			l.hosts[host] = true
		}
		mux.Handle(pattern, h)
	}
	return nil
}

// answer makes the handler of one address.
func (l *Lab) answer(p *Part, a Answer) (http.Handler, error) {
	body, mime := a.Text, a.Type
	if a.File != "" {
		body = p.files[a.File]
	}
	if a.NPM != "" {
		raw, err := os.ReadFile(filepath.Join(l.modules, filepath.FromSlash(a.NPM)))
		if err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrNoModules, err)
		}
		body = string(raw)
	}
	if a.GIF {
		body, mime = gif, "image/gif"
	}
	if a.Make != "" {
		var err error
		if body, mime, err = made(a.Make, p.Name+a.Make); err != nil {
			return nil, err
		}
	}
	if mime == "" {
		switch path.Ext(a.File + a.NPM) {
		case ".js", ".mjs", ".cjs":
			mime = "text/javascript; charset=utf-8"
		case ".css":
			mime = "text/css; charset=utf-8"
		case ".json":
			mime = "application/json"
		default:
			mime = "text/html; charset=utf-8"
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		r = r.WithContext(context.WithValue(r.Context(), fresh{}, map[string]string{}))
		for k, v := range a.Headers {
			h.Set(k, expand(v, r))
		}
		if o := r.Header.Get("Origin"); o != "" && h.Get("Access-Control-Allow-Origin") == "" {
			h.Set("Access-Control-Allow-Origin", o)
			h.Set("Access-Control-Allow-Credentials", "true")
			h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
			h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, OPTIONS")
		}
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		for _, c := range a.Once {
			name, _, _ := strings.Cut(c, "=")
			if _, err := r.Cookie(name); err != nil {
				h.Add("Set-Cookie", expand(c, r))
			}
		}
		for _, c := range a.Set {
			h.Add("Set-Cookie", expand(c, r))
		}
		if a.ETag {
			tag := r.Header.Get("If-None-Match")
			h.Set("Cache-Control", "private, no-cache")
			if tag != "" {
				h.Set("ETag", tag)
				w.WriteHeader(http.StatusNotModified)
				return
			}
			h.Set("ETag", `"`+randomHex(16)+`"`)
		} else {
			h.Set("Cache-Control", "no-store")
		}
		if a.Location != "" {
			http.Redirect(w, r, expand(a.Location, r), http.StatusFound)
			return
		}
		if body == "" && a.Status == 0 {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		h.Set("Content-Type", mime)
		if a.Status != 0 {
			w.WriteHeader(a.Status)
		}
		if a.Text != "" {
			fmt.Fprint(w, expand(body, r))
			return
		}
		fmt.Fprint(w, body)
	}), nil
}

// fresh is the key of the numbers that one request was given.
type fresh struct{}

// expand fills ${hex:N}, ${HEX:N} (N random bytes), ${digits:N}, ${uuid},
// ${now} (seconds), ${host}, ${query:name}, ${cookie:name} and ${new:name} (the
// cookie, or else a number that is the same in all texts of this answer).
func expand(s string, r *http.Request) string {
	if !strings.Contains(s, "${") {
		return s
	}
	return os.Expand(s, func(key string) string {
		what, arg, _ := strings.Cut(key, ":")
		n := 0
		fmt.Sscanf(arg, "%d", &n)
		n = min(n, 256)
		switch what {
		case "hex":
			return randomHex(n)
		case "HEX":
			return strings.ToUpper(randomHex(n))
		case "digits":
			b := make([]byte, n)
			rand.Read(b)
			for i := range b {
				b[i] = '0' + b[i]%10
			}
			return "1" + string(b[1:])
		case "uuid":
			return uuid()
		case "new":
			if c, err := r.Cookie(arg); err == nil {
				return c.Value
			}
			if m, ok := r.Context().Value(fresh{}).(map[string]string); ok {
				if m[arg] == "" {
					m[arg] = uuid()
				}
				return m[arg]
			}
		case "now":
			return fmt.Sprint(time.Now().Unix())
		case "host":
			return hostOf(r.Host)
		case "query":
			return r.URL.Query().Get(arg)
		case "cookie":
			if c, err := r.Cookie(arg); err == nil {
				return c.Value
			}
		}
		return ""
	})
}

func uuid() string {
	h := randomHex(16)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}
