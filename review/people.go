package review

import (
	"crypto/rand"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// session is somebody who is signed in.
type session struct {
	Person
	Token string // in every form: a page of somebody else does not know it
	until time.Time
}

// sessionTime is a long working day.
const sessionTime = 12 * time.Hour

// door knows who is signed in. It lives as long as the program does: after a
// restart everybody signs in again, with a new link.
type door struct {
	now      func() time.Time
	mu       sync.Mutex
	codes    map[string]Person // of links that were not used yet
	sessions map[string]session
}

func newDoor(now func() time.Time) *door {
	return &door{now: now, codes: map[string]Person{}, sessions: map[string]session{}}
}

// invite makes a code that signs a person in, once.
func (d *door) invite(p Person) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	code := rand.Text() + rand.Text()
	d.codes[code] = p
	return code
}

// enter uses up a code; the key goes into a cookie.
func (d *door) enter(code string) (key string, p Person, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok = d.codes[code]
	if !ok {
		return "", p, false
	}
	delete(d.codes, code)
	key = rand.Text() + rand.Text()
	d.sessions[key] = session{p, rand.Text(), d.now().Add(sessionTime)}
	return key, p, true
}

func (d *door) leave(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sessions, key)
}

// who returns the session of a request.
func (d *door) who(r *http.Request) (session, bool) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return session{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ok := d.sessions[c.Value]
	if ok && d.now().After(s.until) {
		delete(d.sessions, c.Value)
		ok = false
	}
	return s, ok
}

const cookieName = "pecrawler"

// cookie is for this browser only: no script reads it, and no link or form of
// another site makes the browser send it. It is not Secure, because the pages
// are served on loopback, without TLS.
func cookie(key string, age time.Duration) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: key, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: int(age.Seconds())}
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

// signIn uses a link up. Whoever is shown the page has a link to ask for.
func (h *Handler) signIn(w http.ResponseWriter, r *http.Request) {
	key, p, ok := h.door.enter(r.URL.Query().Get("code"))
	if !ok {
		h.problem(w, r, http.StatusForbidden, "This link has been used", "A link to sign in works once. The program prints a new one each time it starts.")
		return
	}
	if err := h.note(r.Context(), p, "sign-in", "", ""); err != nil {
		h.door.leave(key)
		h.failed(w, r, err)
		return
	}
	http.SetCookie(w, cookie(key, sessionTime))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (h *Handler) signOut(c *call) error {
	if k, err := c.r.Cookie(cookieName); err == nil {
		h.door.leave(k.Value)
	}
	http.SetCookie(c.w, cookie("", -time.Second))
	if err := h.note(c.r.Context(), c.Person, "sign-out", "", ""); err != nil {
		return err
	}
	return h.render(c.w, http.StatusOK, "problem.html", &view{Title: "You are signed out", D: "Start the program again for a new link."})
}
