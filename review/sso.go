package review

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"pecrawler/store"
)

// SSO says how people sign in at an OpenID Connect provider: by the authorization
// code flow with PKCE, a state and a nonce.
type SSO struct {
	Issuer string // https, or http on loopback
	Client string // by which the provider knows us
	Secret string // "" for a public client
	Scopes []string
	Name   string            // claim that names a person
	Groups string            // claim that lists the person's groups
	Roles  map[string][]Role // what the members of a group are; whoever is in none has no access
	HTTP   *http.Client      // nil: the default one
}

// signOn is the provider that people sign in at.
type signOn struct {
	SSO
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier
	oauth    oauth2.Config
	now      func() time.Time

	mu    sync.Mutex
	flows map[string]flow // by the key in a cookie
}

// flow is a sign-in under way.
type flow struct {
	state, nonce, verifier string
	next                   string // where the person wanted to go
	until                  time.Time
}

const (
	flowTime  = 10 * time.Minute
	mostFlows = 10_000
)

// discover asks the provider what it is. base is the address of our pages.
func discover(ctx context.Context, s SSO, base *url.URL, now func() time.Time) (*signOn, error) {
	if base == nil {
		return nil, errors.New("single sign-on needs the public address of the pages, which the provider sends people back to")
	}
	u, err := url.Parse(s.Issuer)
	if err != nil || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Host)) {
		return nil, fmt.Errorf("the issuer %q: want https://…", s.Issuer)
	}
	if s.HTTP == nil {
		s.HTTP = &http.Client{Timeout: 20 * time.Second}
	}
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, s.HTTP), s.Issuer)
	if err != nil {
		return nil, fmt.Errorf("ask the OpenID Connect provider: %w", err)
	}
	o := &signOn{SSO: s, provider: p, verifier: p.Verifier(&oidc.Config{ClientID: s.Client}), now: now, flows: map[string]flow{}}
	o.oauth = oauth2.Config{ClientID: s.Client, ClientSecret: s.Secret, Endpoint: p.Endpoint(), RedirectURL: base.JoinPath("sign-in", "callback").String(), Scopes: append([]string{oidc.ScopeOpenID}, s.Scopes...)}
	return o, nil
}

// begin starts a sign-in: the key goes into a cookie, the browser to the address.
func (o *signOn) begin(next string) (key, to string, err error) {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.HasPrefix(next, "/\\") || strings.HasPrefix(next, "/sign-") {
		next = "/"
	}
	f := flow{state: rand.Text() + rand.Text(), nonce: rand.Text() + rand.Text(), verifier: oauth2.GenerateVerifier(), next: next, until: o.now().Add(flowTime)}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.flows) >= mostFlows {
		maps.DeleteFunc(o.flows, func(_ string, f flow) bool { return o.now().After(f.until) })
		if len(o.flows) >= mostFlows {
			return "", "", errors.New("too many people are signing in")
		}
	}
	key = rand.Text() + rand.Text()
	o.flows[key] = f
	return key, o.oauth.AuthCodeURL(f.state, oidc.Nonce(f.nonce), oauth2.S256ChallengeOption(f.verifier)), nil
}

// take ends a sign-in that is under way; each can be ended once.
func (o *signOn) take(key string) (flow, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f, ok := o.flows[key]
	delete(o.flows, key)
	return f, ok && !o.now().After(f.until)
}

// identity is what a provider says of somebody.
type identity struct {
	subject, name string
	roles         []Role
	token         *oauth2.Token
}

// grant is what the provider can be asked by again, and what it said.
type grant struct {
	subject string // as in [identity]

	mu    sync.Mutex
	token *oauth2.Token
	roles []Role
	said  time.Time // when
	tried time.Time // to ask
}

// now are the roles that hold, and when the provider said so.
func (g *grant) now() ([]Role, time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.roles, g.said
}

// errEnded means that the provider takes back what it gave at the sign-in.
var errEnded = errors.New("the provider has ended the session")

// ask asks the provider what somebody may do now, by the refresh token if it gave
// one, else for as long as the access token is good. It is [errEnded] when the
// provider takes the refresh token no more; other errors say nothing about the person.
func (o *signOn) ask(ctx context.Context, g *grant) ([]Role, error) {
	ctx = oidc.ClientContext(ctx, o.HTTP)
	claims := map[string]any{}
	if g.token.RefreshToken != "" {
		tok, err := o.oauth.TokenSource(ctx, &oauth2.Token{RefreshToken: g.token.RefreshToken}).Token()
		var re *oauth2.RetrieveError
		switch {
		case errors.As(err, &re) && re.ErrorCode == "invalid_grant":
			return nil, errEnded
		case errors.As(err, &re): // its text has the whole answer
			return nil, fmt.Errorf("the provider refused to go on: %s", clean(re.ErrorCode, 60))
		case err != nil:
			return nil, fmt.Errorf("ask the provider to go on: %w", err)
		}
		g.token = tok
		if raw, ok := tok.Extra("id_token").(string); ok {
			id, err := o.verifier.Verify(ctx, raw)
			if err != nil {
				return nil, err
			}
			if id.Issuer+" "+id.Subject != g.subject {
				return nil, errors.New("the provider tells of somebody else than at the sign-in")
			}
			if err := id.Claims(&claims); err != nil {
				return nil, err
			}
		}
	}
	if claims[o.Groups] == nil {
		_, subject, _ := strings.Cut(g.subject, " ") // behind the issuer
		if err := o.more(ctx, g.token, subject, claims); err != nil {
			return nil, err
		}
	}
	return o.rolesOf(claims)
}

// more adds the claims that the provider tells only whoever asks for them.
func (o *signOn) more(ctx context.Context, tok *oauth2.Token, subject string, claims map[string]any) error {
	info, err := o.provider.UserInfo(ctx, oauth2.StaticTokenSource(tok))
	if err != nil {
		return fmt.Errorf("ask the provider who it is: %w", err)
	}
	if info.Subject != subject {
		return errors.New("the provider tells of somebody else than at the sign-in")
	}
	told := map[string]any{}
	if err := info.Claims(&told); err != nil {
		return err
	}
	for k, v := range told {
		if claims[k] == nil {
			claims[k] = v
		}
	}
	return nil
}

// finish trades the code for what the provider says of whoever signed in.
func (o *signOn) finish(ctx context.Context, f flow, code string) (identity, error) {
	ctx = oidc.ClientContext(ctx, o.HTTP)
	tok, err := o.oauth.Exchange(ctx, code, oauth2.VerifierOption(f.verifier))
	if err != nil {
		var re *oauth2.RetrieveError
		if errors.As(err, &re) { // its text has the whole answer
			return identity{}, fmt.Errorf("the provider refused the code: %s", re.ErrorCode)
		}
		return identity{}, fmt.Errorf("ask the provider for a token: %w", err)
	}
	raw, ok := tok.Extra("id_token").(string)
	if !ok {
		return identity{}, errors.New("the provider sent no ID token")
	}
	id, err := o.verifier.Verify(ctx, raw)
	if err != nil {
		return identity{}, err
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(f.nonce)) != 1 {
		return identity{}, errors.New("the ID token was made for another sign-in")
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(tok.AccessToken); err != nil {
			return identity{}, err
		}
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return identity{}, err
	}
	if claims[o.Name] == nil || claims[o.Groups] == nil { // many providers tell them only there
		if err := o.more(ctx, tok, id.Subject, claims); err != nil {
			return identity{}, err
		}
	}
	out, err := o.read(id.Issuer, id.Subject, claims)
	out.token = tok
	return out, err
}

// read takes the name and the roles from the claims.
func (o *signOn) read(issuer, subject string, claims map[string]any) (identity, error) {
	out := identity{subject: issuer + " " + subject}
	out.name, _ = claims[o.Name].(string)
	out.name = strings.TrimSpace(out.name)
	if !ValidName(out.name) {
		return out, fmt.Errorf("the claim %s of the account is no name", o.Name)
	}
	if verified, _ := claims["email_verified"].(bool); o.Name == "email" && !verified { // anybody can claim an address
		return out, errors.New("the provider does not say that it has verified the account's email address; name people by another claim, such as preferred_username, if it never does")
	}
	var err error
	out.roles, err = o.rolesOf(claims)
	return out, err
}

// rolesOf are those of the groups in the claims, which have to be told.
func (o *signOn) rolesOf(claims map[string]any) (out []Role, err error) {
	groups, ok := claims[o.Groups].([]any)
	if one, is := claims[o.Groups].(string); is {
		groups, ok = []any{one}, true
	}
	if !ok {
		return nil, fmt.Errorf("the provider does not tell the account's groups in the claim %s", o.Groups)
	}
	for _, r := range Roles() {
		for _, g := range groups {
			if name, _ := g.(string); (Person{Roles: o.Roles[name]}).Is(r) {
				out = append(out, r)
				break
			}
		}
	}
	return out, nil
}

// signOnPage sends the browser to the provider.
func (h *Handler) signOnPage(w http.ResponseWriter, r *http.Request) {
	if m := r.Header.Get("Sec-Fetch-Mode"); m != "" && m != "navigate" {
		h.problem(w, r, http.StatusForbidden, "Sign in", "Open the page itself to sign in.")
		return
	}
	key, to, err := h.sso.begin(r.URL.Query().Get("next"))
	if err != nil {
		h.busy(w, r)
		return
	}
	http.SetCookie(w, h.door.cookie(flowCookie, key, flowTime))
	http.Redirect(w, r, to, http.StatusSeeOther)
}

const flowCookie = "pecrawler-sign-in"

// callback is where the provider sends the browser back to.
func (h *Handler) callback(w http.ResponseWriter, r *http.Request) {
	refuse := func(why string, err error) {
		h.met.signIns.WithLabelValues("failed").Inc()
		h.log.Warn("a sign-in was refused", "from", h.address(r), "why", err)
		h.problem(w, r, http.StatusForbidden, "You were not signed in", why)
	}
	c, err := r.Cookie(h.door.cookieName(flowCookie))
	if err != nil { // whoever follows a link of somebody else has none: nothing of his doing
		refuse("This browser did not begin to sign in here, or too long ago. Begin again.", errors.New("no sign-in under way"))
		return
	}
	http.SetCookie(w, h.door.cookie(flowCookie, "", -time.Second))
	q := r.URL.Query()
	f, ok := h.sso.take(c.Value)
	if !ok || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(f.state)) != 1 {
		h.gate.wrong(h.address(r))
		refuse("This is not the sign-in that was begun in this browser. Begin again.", errors.New("another state, or one that has been used"))
		return
	}
	if e := q.Get("error"); e != "" {
		refuse("The provider says that you did not sign in there.", fmt.Errorf("the provider says %q", clean(e, 60)))
		return
	}
	who, err := h.sso.finish(r.Context(), f, q.Get("code"))
	if err != nil {
		h.gate.wrong(h.address(r))
		refuse("What the provider said could not be accepted. The log of the program says why.", err)
		return
	}
	if len(who.roles) == 0 {
		h.gate.wrong(h.address(r))
		if err := h.note(r.Context(), Person{Name: who.name}, "refused", "", "in no group that has a role"); err != nil {
			h.failed(w, r, err)
			return
		}
		refuse("You are in no group that has a role here. Whoever runs this program can give you one.", errors.New("no role"))
		return
	}
	name, err := h.store.Welcome(r.Context(), who.subject, store.Account{Name: who.name, Roles: roleWords(who.roles, "+"), Last: h.opt.Now()})
	if errors.Is(err, store.ErrNameTaken) {
		h.gate.wrong(h.address(r))
		refuse("Another account has signed in by your name before. Whoever runs this program has to find out why.", err)
		return
	}
	if err != nil {
		h.failed(w, r, err)
		return
	}
	now := h.opt.Now()
	h.signedIn(w, r, Person{name, who.roles}, &grant{subject: who.subject, token: who.token, roles: who.roles, said: now, tried: now}, f.next)
}
