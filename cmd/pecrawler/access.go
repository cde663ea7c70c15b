package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"pecrawler/review"
)

// access is how people reach the review pages when they are on other machines.
type access struct {
	issuer, client, secretFile string
	scopes, name, groups       string
	roles                      groupRoles
	public                     string
	proxies                    prefixes
	cert, key                  string
	metrics                    string
}

func (a *access) flags(fs *flag.FlagSet) {
	fs.StringVar(&a.issuer, "oidc-issuer", "", "`URL` of the OpenID Connect provider that people sign in at, in place of links")
	fs.StringVar(&a.client, "oidc-client", "", "`id` by which the provider knows these pages")
	fs.StringVar(&a.secretFile, "oidc-secret", "", "`file` with the client's secret; none for a public client")
	fs.StringVar(&a.scopes, "oidc-scopes", "profile email", "what is asked of the provider besides openid, with blanks between")
	fs.StringVar(&a.name, "oidc-name", "email", "`claim` that is a person's name in decisions and in the log")
	fs.StringVar(&a.groups, "oidc-groups", "groups", "`claim` that lists a person's groups")
	fs.Var(&a.roles, "oidc-role", "`GROUP=ROLE+ROLE`: what members of a group are: reader, investigator, lead, launcher, operator; may be repeated")
	fs.StringVar(&a.public, "public-url", "", "`URL` by which browsers reach the pages, e.g. https://review.regulator.example; or http://127.0.0.1:PORT of the machine whose container this is")
	fs.Var(&a.proxies, "trusted-proxy", "address `range` of the proxies before these pages, who say where a request comes from; may be repeated; without single sign-on nobody else is let in")
	fs.StringVar(&a.cert, "tls-cert", "", "certificate that the pages are served with, PEM `file`; a renewed one is taken without a restart")
	fs.StringVar(&a.key, "tls-key", "", "key of that certificate, PEM `file`")
	fs.StringVar(&a.metrics, "metrics-listen", "", "`host:port` of /metrics, which with single sign-on is not served beside the pages")
}

// check tells what does not go together. Nobody beyond this machine reaches the
// pages without single sign-on, nor without TLS, here or in a proxy. In a container
// this machine is the one that forwards a port of its loopback to it.
func (a *access) check(listen string, links bool) error {
	u, err := url.Parse(a.public)
	if a.issuer == "" {
		forwarded := err == nil && u.Scheme == "http" && onLoopback(net.JoinHostPort(u.Hostname(), "0")) && len(a.proxies) > 0
		switch {
		case a.client+a.secretFile+a.cert+a.key+a.metrics != "" || len(a.roles) > 0:
			return usage("without --oidc-issuer people sign in by links, on this machine; leave out what is about single sign-on and TLS")
		case a.public != "" && !forwarded, a.public == "" && len(a.proxies) > 0:
			return usage("without --oidc-issuer --public-url and --trusted-proxy are for a container, a port of which the machine forwards: want http://127.0.0.1:PORT, and the address that this comes from")
		case !onLoopback(listen) && !forwarded:
			return usage("--listen %s: people sign in by a link over plain HTTP, so the pages are served on this machine only: want 127.0.0.1:PORT, or single sign-on by --oidc-issuer", listen)
		}
		return nil
	}
	switch {
	case links:
		return usage("--person is for people who sign in by links; with --oidc-issuer the provider says who they are, and --oidc-role what they may do")
	case a.client == "" || len(a.roles) == 0:
		return usage("--oidc-issuer needs --oidc-client and at least one --oidc-role GROUP=ROLE")
	case err != nil || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.Scheme != "https" && (u.Scheme != "http" || !onLoopback(net.JoinHostPort(u.Hostname(), "0"))):
		return usage("--public-url %q: want https://HOST, as browsers reach the pages", a.public)
	case (a.cert == "") != (a.key == ""):
		return usage("--tls-cert and --tls-key go together")
	case a.cert == "" && len(a.proxies) == 0 && !onLoopback(listen):
		return usage("--listen %s without TLS: give --tls-cert and --tls-key, or name the proxy that has the certificate by --trusted-proxy", listen)
	}
	return nil
}

// options says to the pages how people sign in.
func (a *access) options(o *review.Options) (err error) {
	s := review.SSO{Issuer: a.issuer, Client: a.client, Scopes: strings.Fields(a.scopes), Name: a.name, Groups: a.groups, Roles: a.roles}
	if a.secretFile != "" {
		raw, err := os.ReadFile(a.secretFile)
		if err != nil {
			return err
		}
		s.Secret = strings.TrimSpace(string(raw))
	}
	o.SSO, o.Proxies = &s, a.proxies
	o.Base, err = url.Parse(strings.TrimSuffix(a.public, "/"))
	return err
}

// serve serves the pages; on loopback, where people sign in by links, metrics too.
func (a *access) serve(addr string, pages http.Handler, reg *prometheus.Registry, log *slog.Logger) (at string, stop func(), err error) {
	if a.issuer == "" {
		if len(a.proxies) > 0 {
			pages = a.forwarded(pages)
		}
		return serve(addr, false, pages, reg, log)
	}
	var secure *tls.Config
	if a.cert != "" {
		if _, err := tls.LoadX509KeyPair(a.cert, a.key); err != nil {
			return "", nil, err
		}
		secure = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c, err := tls.LoadX509KeyPair(a.cert, a.key)
			return &c, err
		}}
	}
	at, stopPages, err := listen(addr, false, pages, secure, log)
	if err != nil || a.metrics == "" {
		return at, stopPages, err
	}
	_, stopMetrics, err := serve(a.metrics, false, http.NotFoundHandler(), reg, log)
	if err != nil {
		stopPages()
		return "", nil, err
	}
	return at, func() { stopMetrics(); stopPages() }, nil
}

// forwarded are pages for nobody but whom the machine's own port leads here: other
// containers of the network are not let in.
func (a *access) forwarded(pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !slices.ContainsFunc(a.proxies, func(p netip.Prefix) bool { return p.Contains(from.Addr().Unmap()) }) {
			http.Error(w, "The pages are served on the machine of this container only.", http.StatusForbidden)
			return
		}
		pages.ServeHTTP(w, r)
	})
}

// groupRoles is a repeatable flag.
type groupRoles map[string][]review.Role

func (g *groupRoles) String() string { return "" }

func (g *groupRoles) Set(v string) error {
	i := strings.LastIndexByte(v, '=') // groups may be called anything, also CN=people,OU=…
	if i < 1 {
		return errors.New("want GROUP=ROLE, e.g. tracking-leads=lead+launcher")
	}
	roles, err := review.ParseRoles(v[i+1:])
	if err != nil {
		return err
	}
	if *g == nil {
		*g = groupRoles{}
	}
	(*g)[v[:i]] = append((*g)[v[:i]], roles...)
	return nil
}
