package review

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// session is somebody who is signed in.
type session struct {
	Person
	Token string // in every form: a page of somebody else does not know it
	key   string
	grant *grant // of the provider; nil: there is none
	began time.Time
	until time.Time     // the end, whatever happens
	idle  time.Duration // the end when nothing happens; 0: none
	seen  time.Time
}

const (
	sessionTime = 12 * time.Hour // a long working day
	idleTime    = time.Hour      // where signing in again is a press of a button
)

// door knows who is signed in. It lives as long as the program does: after a
// restart everybody signs in again.
type door struct {
	now      func() time.Time
	secure   bool // the pages are reached over https
	lax      bool // people come back from a provider
	secret   []byte
	mu       sync.Mutex
	codes    map[string]Person // of links that were not used yet
	sessions map[string]*session
}

func newDoor(now func() time.Time) *door {
	return &door{now: now, secret: []byte(rand.Text()), codes: map[string]Person{}, sessions: map[string]*session{}}
}

// invite makes a code that signs a person in, once.
func (d *door) invite(p Person) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	code := rand.Text() + rand.Text()
	d.codes[code] = p
	return code
}

// enter uses up a code.
func (d *door) enter(code string) (p Person, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok = d.codes[code]
	delete(d.codes, code)
	return p, ok
}

// token is what a person's forms hold: the same in all sessions of theirs, so that
// what was typed in one that is over can be sent after signing in again.
func (d *door) token(p Person) string {
	sum := hmac.New(sha256.New, d.secret)
	sum.Write([]byte(p.Name))
	return hex.EncodeToString(sum.Sum(nil))
}

// admit begins a session; the key, which is new each time, goes into a cookie. g
// is what the provider gave to ask again by; nil: nobody is asked.
func (d *door) admit(p Person, g *grant) (key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key = rand.Text() + rand.Text()
	now := d.now()
	maps.DeleteFunc(d.sessions, func(_ string, s *session) bool { return s.over(now) })
	s := &session{Person: p, Token: d.token(p), key: key, grant: g, began: now, until: now.Add(sessionTime), seen: now}
	if g != nil {
		s.idle = idleTime
	}
	d.sessions[key] = s
	return key
}

// signedIn are the sessions that are not over, by name and then by age.
func (d *door) signedIn() []session {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []session
	for _, s := range d.sessions {
		if !s.over(d.now()) {
			out = append(out, *s)
		}
	}
	slices.SortFunc(out, func(a, b session) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), a.began.Compare(b.began))
	})
	return out
}

func (s *session) over(now time.Time) bool {
	return now.After(s.until) || s.idle > 0 && now.Sub(s.seen) > s.idle
}

func (d *door) leave(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sessions, key)
}

// who returns the session of a request.
func (d *door) who(r *http.Request) (session, bool) {
	c, err := r.Cookie(d.cookieName(sessionCookie))
	if err != nil {
		return session{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.sessions[c.Value]
	if s == nil {
		return session{}, false
	}
	if s.over(d.now()) {
		delete(d.sessions, c.Value)
		return session{}, false
	}
	s.seen = d.now()
	return *s, true
}

const sessionCookie = "pecrawler"

// cookieName has a beginning that browsers take from nobody but this very host
// over https.
func (d *door) cookieName(name string) string {
	if d.secure {
		return "__Host-" + name
	}
	return name
}

// cookie is for this browser only: no script reads it, and no form of another
// site makes the browser send it; nor does a link, unless people come from a
// provider. On loopback there is no TLS, so it is not Secure there.
func (d *door) cookie(name, value string, age time.Duration) *http.Cookie {
	c := &http.Cookie{Name: d.cookieName(name), Value: value, Path: "/", HttpOnly: true, Secure: d.secure, SameSite: http.SameSiteStrictMode, MaxAge: int(age.Seconds())}
	if d.lax {
		c.SameSite = http.SameSiteLaxMode
	}
	return c
}

// current is the session of a request with the rights that hold now: ended is
// noticed at once, and the provider is asked again from time to time.
func (h *Handler) current(r *http.Request) (s session, ok bool, err error) {
	if s, ok = h.door.who(r); !ok {
		return s, false, nil
	}
	ended, err := h.ended(r.Context(), s)
	if err != nil {
		return s, false, err
	}
	if ended {
		h.door.leave(s.key)
		return s, false, nil
	}
	if s.grant != nil {
		if s.Roles, ok, err = h.rightsNow(r.Context(), s); !ok {
			h.door.leave(s.key)
		}
	}
	return s, ok, err
}

// ended tells whether somebody ended a session, with all others of its person.
func (h *Handler) ended(ctx context.Context, s session) (bool, error) {
	at, err := h.store.SessionsEnded(ctx, s.Name)
	return !s.began.After(at), err
}

// How long rights are believed.
const (
	askTime     = 5 * time.Minute // then the provider is asked again
	retryTime   = time.Minute     // when it did not say
	unaskedTime = time.Hour       // then a session is over of which the provider has not said that it goes on
)

// rightsNow are the roles of somebody who signed in at the provider, who is asked
// again when what it said is old. Requests of one session wait for the answer.
func (h *Handler) rightsNow(ctx context.Context, s session) (roles []Role, ok bool, err error) {
	g := s.grant
	g.mu.Lock()
	defer g.mu.Unlock()
	now := h.opt.Now()
	if now.Sub(g.said) < askTime || now.Sub(g.tried) < retryTime && now.Sub(g.said) < unaskedTime {
		return g.roles, len(g.roles) > 0, nil
	}
	g.tried = now
	ctx = context.WithoutCancel(ctx) // a new refresh token must not be lost with whoever goes away
	before := roleWords(g.roles, "+")
	roles, err = h.sso.ask(ctx, g)
	result := "same"
	switch {
	case errors.Is(err, errEnded) || err == nil && len(roles) == 0:
		result, g.roles = "ended", nil
		err = h.note(ctx, s.Person, "session-ended", s.Name, "the provider gives no rights any more; they were "+before)
	case err != nil:
		result = "unknown"
		h.log.Warn("the provider does not say what somebody may do", "err", err)
		err = nil
		if now.Sub(g.said) >= unaskedTime {
			g.roles = nil
		}
	default:
		g.said = now
		if after := roleWords(roles, "+"); after != before {
			result = "changed"
			err = h.note(ctx, s.Person, "rights", s.Name, "from "+before+" to "+after)
		}
		g.roles = roles
	}
	h.met.asked.WithLabelValues(result).Inc()
	return g.roles, len(g.roles) > 0, err
}

// genuine tells whether a form is one of our pages'.
func (s session) genuine(r *http.Request) bool {
	return subtle.ConstantTimeCompare([]byte(r.PostFormValue("token")), []byte(s.Token)) == 1
}

// loopback tells whether a Host header names this machine: a page that points
// its own name at 127.0.0.1 is not let in.
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// metrics are what operators see of people signing in.
type metrics struct {
	signIns *prometheus.CounterVec
	asked   *prometheus.CounterVec
	again   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{signIns: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{Name: "pecrawler_review_sign_ins_total", Help: "Tries to sign in: done, failed (also of the API, by a token that is not good), or refused because there were too many (locked)."}, []string{"result"}),
		again: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{Name: "pecrawler_review_visits_again_total", Help: "Visits launched because of a case: its deadline is over (deadline), or somebody asked (asked)."}, []string{"why"})}
	for _, why := range []string{afterDeadline, onRequest} {
		m.again.WithLabelValues(why)
	}
	m.asked = promauto.With(reg).NewCounterVec(prometheus.CounterOpts{Name: "pecrawler_review_rights_asked_total", Help: "Times that the provider was asked again what somebody who is signed in may do: the same, other rights (changed), none any more (ended), or it did not say (unknown)."}, []string{"result"})
	for _, r := range []string{"same", "changed", "ended", "unknown"} {
		m.asked.WithLabelValues(r)
	}
	for _, r := range []string{"done", "failed", "locked"} {
		m.signIns.WithLabelValues(r)
	}
	return m
}

// limited keeps whoever tries too often from trying to get in.
func (h *Handler) limited(do http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		addr := h.address(r)
		if h.shut(w, r, addr) {
			return
		}
		if !h.gate.allow("stranger "+addr, strangeRate, strangeBurst) {
			h.busy(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		do(w, r)
	}
}

// shut refuses an address that tried too often.
func (h *Handler) shut(w http.ResponseWriter, r *http.Request, addr string) bool {
	if !h.gate.locked(addr) {
		return false
	}
	h.met.signIns.WithLabelValues("locked").Inc()
	w.Header().Set("Retry-After", "900")
	h.problem(w, r, http.StatusTooManyRequests, "Too many tries", "Somebody tried to get in from your address and failed too often. Try again in a quarter of an hour.")
	return true
}

func (h *Handler) busy(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "10")
	h.problem(w, r, http.StatusTooManyRequests, "Too many requests", "Wait a moment, then load the page again.")
}

// signIn uses a link up, or sends the browser to the provider.
func (h *Handler) signIn(w http.ResponseWriter, r *http.Request) {
	if h.sso != nil {
		h.signOnPage(w, r)
		return
	}
	p, ok := h.door.enter(r.URL.Query().Get("code"))
	if !ok {
		h.met.signIns.WithLabelValues("failed").Inc()
		if r.Header.Get("Sec-Fetch-Site") != "cross-site" { // which a page of somebody else can make this browser send
			h.gate.wrong(h.address(r))
		}
		h.problem(w, r, http.StatusForbidden, "This link has been used", "A link to sign in works once. The program prints a new one each time it starts.")
		return
	}
	if err := h.note(r.Context(), p, "sign-in", "", ""); err != nil {
		h.failed(w, r, err)
		return
	}
	h.signedIn(w, r, p, nil, "/")
}

// signedIn begins a session, in place of one that the browser had, and leads on.
func (h *Handler) signedIn(w http.ResponseWriter, r *http.Request, p Person, g *grant, next string) {
	h.met.signIns.WithLabelValues("done").Inc()
	if old, err := r.Cookie(h.door.cookieName(sessionCookie)); err == nil {
		h.door.leave(old.Value)
	}
	http.SetCookie(w, h.door.cookie(sessionCookie, h.door.admit(p, g), sessionTime))
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (h *Handler) signOut(c *call) error {
	h.door.leave(c.key)
	http.SetCookie(c.w, h.door.cookie(sessionCookie, "", -time.Second))
	if err := h.note(c.r.Context(), c.Person, "sign-out", "", ""); err != nil {
		return err
	}
	says := "Start the program again for a new link."
	if h.sso != nil {
		says = "You are still signed in at your provider: on a machine that others use, sign out there too."
	}
	return h.render(c.w, http.StatusOK, "problem.html", &view{Title: "You are signed out", D: says})
}

// knocks is what somebody sees who is not signed in.
func (h *Handler) knocks(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if !h.gate.allow("stranger "+h.address(r), strangeRate, strangeBurst) {
		h.busy(w, r)
		return
	}
	if isAPI(r) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		h.problem(w, r, http.StatusUnauthorized, "Who are you?", "Send a token, as Authorization: Bearer pec_…")
		return
	}
	if h.sso == nil {
		h.problem(w, r, http.StatusUnauthorized, "Sign in", "Use the link that the program printed when it started. It works once.")
		return
	}
	d := struct {
		Next string
		Form bool // something was sent
	}{"/", r.Method == http.MethodPost}
	if r.Method == http.MethodGet {
		d.Next = r.URL.RequestURI()
	}
	if err := h.render(w, http.StatusUnauthorized, "sign-in.html", &view{Title: "Sign in", D: d}); err != nil {
		h.log.Error("review page", "path", r.URL.Path, "err", err)
	}
}
