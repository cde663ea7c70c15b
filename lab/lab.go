// Package lab is a test web with known truth: sites that use real consent
// managers and trackers that behave as the vendors' own do, under the vendors'
// real host names. It is a forward proxy with a certificate authority of its
// own that answers for every one of those names on loopback, so that nothing
// leaves the machine and nothing about the pages has to be bent:
//
//	pecrawler lab                       serves it and says how to use it
//	pecrawler sweep --proxy … --ca …    sweeps it like the real web
//
// Some sites are written by hand: one file each in sites/, what it is and what
// is true of it (YAML), then what it puts into the head and body of its pages.
// All others are generated from a seed: a [Spec] is a recipe that crosses parts
// (consent managers, trackers and lawful habits, one file each in parts/) with
// languages (texts/), looks (themes/) and places in the page, and from it follow
// the pages as well as the truth. A mutation (mutations/) turns a lawful recipe
// into one with one fault. There is no list to edit.
//
// Consent managers and vendors' scripts that are on npm are served as published
// (npm/package-lock.json); the rest behaves as the vendors describe it.
//
// A name that the lab does not know is answered as if it did not resolve.
package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ErrNoModules means that the consent managers are not installed.
var ErrNoModules = errors.New("the consent managers of the test web are not installed: run make setup, or npm ci in lab/npm")

// Config says where the lab listens and where the consent managers are.
type Config struct {
	Listen  string // host:port of the proxy; "" is a free loopback port
	Modules string // the node_modules folder; "" looks for lab/npm/node_modules
	Log     *slog.Logger
	// Requests takes a line of JSON for each request, as [Request]; nil: none is kept.
	Requests io.Writer
	Plan
}

// Plan says which sites there are. The same plan, the same sites.
type Plan struct {
	Seed    uint64
	Written bool // the sites that are written by hand
	Hostile bool // sites that attack the browser, the network or who reads of them
	Lawful  int  // how many generated lawful sites
	Mutants bool // every mutation of every consent manager that it applies to
}

// Request is a line of the log of requests: who asked a site or another party
// for something, and when. Tunnels are in it too, because a site that fails
// below HTTP sees nothing else; they have no path.
type Request struct {
	At   time.Time `json:"at"`
	From string    `json:"from"` // address, without the port
	Host string    `json:"host"`
	Path string    `json:"path,omitempty"`
}

// note writes a request down.
func (l *Lab) note(r *http.Request, path string) {
	if l.requests == nil {
		return
	}
	line, err := json.Marshal(Request{At: time.Now(), From: hostOf(r.RemoteAddr), Host: hostOf(r.Host), Path: path})
	if err == nil {
		l.noting.Lock()
		defer l.noting.Unlock()
		_, err = l.requests.Write(append(line, '\n'))
	}
	if err != nil {
		l.log.Error("a request is missing in the log of requests", "err", err)
	}
}

// Lab is a running test web.
type Lab struct {
	sites   map[string]*Site
	order   []*Site
	modules string
	ca      *authority
	ln      net.Listener
	srv     *http.Server
	log     *slog.Logger
	ctx     context.Context
	stop    context.CancelFunc
	own     *http.ServeMux  // what parts serve on the site's own host
	others  *http.ServeMux  // what other parties serve
	hosts   map[string]bool // other parties
	dns     *resolver

	noting   sync.Mutex
	requests io.Writer
	aliases  map[string]string // names of sites that are aliases of other parties (CNAME)
}

// Sites makes the sites of a plan, by host name, without serving them.
func Sites(p Plan) ([]*Site, error) {
	c, err := loadCatalog()
	if err != nil {
		return nil, err
	}
	return c.sites(p)
}

func (c *catalog) sites(p Plan) ([]*Site, error) {
	var out []*Site
	if p.Written {
		s, err := written(c, siteFiles, "sites", "written")
		if err != nil {
			return nil, err
		}
		out = s
	}
	if p.Hostile {
		s, err := written(c, hostileFiles, "hostile", "hostile")
		if err != nil {
			return nil, err
		}
		out = append(out, s...)
	}
	specs := c.lawful(p.Seed, p.Lawful)
	if p.Mutants {
		specs = append(specs, c.mutants(p.Seed)...)
	}
	for _, spec := range specs {
		s, err := c.build(spec)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	seen := map[string]bool{}
	for _, s := range out {
		if seen[s.Host] {
			return nil, fmt.Errorf("two sites are called %s", s.Host)
		}
		seen[s.Host] = true
	}
	return out, nil
}

// Start serves the test web until Close.
func Start(cfg Config) (*Lab, error) {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	modules, err := findModules(cfg.Modules)
	if err != nil {
		return nil, err
	}
	cat, err := loadCatalog()
	if err != nil {
		return nil, err
	}
	sites, err := cat.sites(cfg.Plan)
	if err != nil {
		return nil, err
	}
	ca, err := newAuthority()
	if err != nil {
		return nil, fmt.Errorf("make the certificate authority: %w", err)
	}
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for the test web: %w", err)
	}
	l := &Lab{sites: map[string]*Site{}, order: sites, modules: modules, ca: ca, ln: ln, log: cfg.Log, requests: cfg.Requests,
		own: http.NewServeMux(), others: http.NewServeMux(), hosts: map[string]bool{}, aliases: map[string]string{}}
	for _, byName := range cat.parts {
		for _, p := range byName {
			if err := l.answers(p); err != nil {
				ln.Close()
				return nil, err
			}
		}
	}
	for _, s := range sites {
		l.sites[s.Host] = s
		if err := l.answers(&Part{Name: s.Host, Kind: "sites", Serves: s.Serves}); err != nil {
			ln.Close()
			return nil, err
		}
		for _, p := range s.parts {
			for sub, target := range p.Names {
				l.aliases[sub+"."+siteName(s.Host)] = target
			}
		}
	}
	if err := l.resolve(); err != nil {
		ln.Close()
		return nil, err
	}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.srv = &http.Server{
		Handler: http.HandlerFunc(l.proxy), ReadHeaderTimeout: 30 * time.Second,
		ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug), BaseContext: func(net.Listener) context.Context { return l.ctx },
	}
	go l.srv.Serve(ln)
	return l, nil
}

// Close ends the test web and every connection to it.
func (l *Lab) Close() error {
	l.stop()
	return errors.Join(l.dns.conn.Close(), l.srv.Close())
}

// URL is the address of the proxy. Opened in a browser it lists the sites.
func (l *Lab) URL() *url.URL { return &url.URL{Scheme: "http", Host: l.ln.Addr().String()} }

// DNS is where the names of the test web resolve, over UDP.
func (l *Lab) DNS() net.Addr { return l.dns.conn.LocalAddr() }

// CA is the certificate that a visitor has to trust, as PEM.
func (l *Lab) CA() []byte { return l.ca.pem }

// Sites are the sites, by host name.
func (l *Lab) Sites() []*Site { return l.order }

// findModules finds the folder of the consent managers: as given, or that of
// the source tree around the working folder or around the program.
func findModules(dir string) (string, error) {
	places := []string{dir}
	if dir == "" {
		places = nil
		var from []string
		if wd, err := os.Getwd(); err == nil {
			from = append(from, wd)
		}
		if exe, err := os.Executable(); err == nil {
			from = append(from, filepath.Dir(exe))
		}
		for _, at := range from {
			for ; ; at = filepath.Dir(at) {
				places = append(places, filepath.Join(at, "lab", "npm", "node_modules"))
				if at == filepath.Dir(at) {
					break
				}
			}
		}
	}
	for _, p := range places {
		if st, err := os.Stat(filepath.Join(p, "vanilla-cookieconsent", "dist")); err == nil && st.IsDir() {
			return filepath.Abs(p)
		}
	}
	return "", ErrNoModules
}

// siteName is the host without www.
func siteName(host string) string { return strings.TrimPrefix(host, "www.") }
