// Package review is where people look at what a sweep found and decide: the
// sweeps, the queue of flagged sites, and one site with its findings, its
// pictures with what was found drawn in, everything that was stored and sent,
// and the evidence behind each statement one link away. It shows verdicts and
// makes none.
//
// Pages come ready from the server, work without scripts and hold none: the
// content policy forbids them, so that hostile text from a page stays text.
// Such text is escaped, shortened and kept from turning the direction of
// writing ([shown]); none of it is drawn into pictures. Values of stored items
// and identifiers in addresses ([veiled]) are masked until somebody asks for
// them, and that is logged.
//
// Whoever uses the pages is somebody ([Person]), signed in by a link that works
// once. What they see of the evidence and what they do goes into the audit log.
// Every form holds a token that no other site knows.
//
//	GET  /                                         the sweeps
//	GET  /sign-in?code=                            use a link up, or go to the provider, who sends back to /sign-in/callback
//	GET  /sweeps/{sweep}                           its sites; ?overall= ?rule= ?q= ?page=
//	GET  /sweeps/{sweep}/sites/{site}              one site
//	POST /sweeps/{sweep}/sites/{site}/decisions    decide on it; /take and /release: have the case
//	GET  …/follow                                  what was done since a site was upheld: letters, visits, replies
//	GET  …/follow/letter                           the text of a letter; POST: keep it, or fix it; POST …/begin: from a template
//	GET  …/follow/letters/{n}/{form}               a draft or letter, as html, odt or pdf
//	POST …/follow/visit                            visit the site again now; POST …/replies: keep what it answered
//	GET  …/follow/after/{again}                    before and after, by the last word of another sweep
//	GET  …/follow/case.zip                         all of it, as a case file
//	GET  /follow                                   the cases that a letter is out for
//	GET  /queue                                    flagged and review sites, filtered and sorted
//	POST /queue/next                               take the first that nobody has
//	POST /queue/assign                             hand out the cases that are chosen
//	POST /queue/views                              keep the filter by a name; /drop: forget it
//	GET  /revisits.txt                             sites that somebody wants another visit of, one a line
//	GET  /launch                                   a form; POST: check the list; POST /launch/go: launch it
//	GET  /launches/{sweep}                         how far it is; POST …/pause, /resume, /cancel
//	GET  /audit                                    the log, for leads
//	GET  /bundles/{digest}                         the sealed file; /har and /wacz: in those forms
//	GET  /bundles/{digest}/screens/{scenario}/{n}  a picture of it; /whole/{scenario}: of the whole page
//	GET  /bundles/{digest}/{scenario}/{kind}/{n}   one item of it, masked; POST: unmasked
//	GET  /tokens                                   the access of programs; POST: make a token; /revoke: end one
//	GET  /sessions                                 who is signed in; POST …/end: end somebody's sessions
//	GET  /api/openapi.json                         what programs can ask for
//	GET  /api/sweeps                               the sweeps, as JSON; POST: launch the list that is the body
//	GET  /api/launches/{sweep}                     how far a launched sweep is
//	GET  /api/cases                                where cases stand
//	GET  /api/sweeps/{sweep}/verdicts              the last words, as JSON
//	GET  /api/sweeps/{sweep}/sites/{site}          one of them
package review

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pc "pecrawler"
	"pecrawler/evidence"
	"pecrawler/letter"
	"pecrawler/store"
)

//go:embed templates assets
var files embed.FS

// Options are what the pages are served with.
type Options struct {
	// People may sign in, each by their own link.
	People []Person
	// Opinions are formed by the classifier of this program: why something is
	// called what it is called, and what is drawn around controls. When nil, the
	// pages show what the verdicts kept of it.
	Opinions func(*evidence.Bundle) pc.Annotations
	// Second is the share of first readings, 0 to 1, that a second reader reads
	// without seeing the first.
	Second float64
	// SSO is where people sign in instead of by links; nil: by links, on loopback.
	SSO *SSO
	// Sweeps launches sweeps and steers them; nil: the pages do not.
	Sweeps Sweeps
	// Letters are the templates of letters; nil: those that come with the program.
	Letters *letter.Templates
	// Attachments is where letters and replies are kept; nil: beside the bundles.
	Attachments *evidence.Vault
	// Print prints a page of ours as PDF; nil: letters have no such form.
	Print func(ctx context.Context, html []byte) (pdf []byte, err error)
	// Signer holds the key that case files are signed by; nil: they are not.
	Signer evidence.Signer
	// Base is the address by which browsers reach the pages; nil: loopback.
	Base *url.URL
	// Proxies may say by X-Forwarded-For where a request comes from.
	Proxies []netip.Prefix
	// Registerer takes the metrics; nil: nobody.
	Registerer prometheus.Registerer
	// Now is the clock; nil: the system's.
	Now func() time.Time
}

// Handler serves the pages.
type Handler struct {
	store  *store.Store
	vault  *evidence.Vault
	shelf  *shelf
	log    *slog.Logger
	door   *door
	gate   *gate
	sso    *signOn // nil: links
	met    metrics
	desk   *desk
	opt    Options
	tmpl   *template.Template
	routes http.Handler

	printing chan struct{} // holds something while a browser prints
}

// New returns the pages of a store and its evidence.
func New(st *store.Store, v *evidence.Vault, log *slog.Logger, opt Options) (*Handler, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Attachments == nil {
		opt.Attachments = v
	}
	var err error
	if opt.Letters == nil {
		if opt.Letters, err = letter.Load(nil); err != nil {
			return nil, err
		}
	}
	h := &Handler{store: st, vault: v, shelf: newShelf(v, opt.Opinions), log: log, door: newDoor(opt.Now), gate: newGate(opt.Now), desk: &desk{now: opt.Now, drafts: map[string]draft{}}, met: newMetrics(opt.Registerer), opt: opt, printing: make(chan struct{}, 1)}
	if opt.SSO != nil {
		if h.sso, err = discover(context.Background(), *opt.SSO, opt.Base, opt.Now); err != nil {
			return nil, err
		}
		h.door.lax = true
	}
	h.door.secure = opt.Base != nil && opt.Base.Scheme == "https"
	if h.tmpl, err = template.New("").Funcs(funcs()).ParseFS(files, "templates/*.html"); err != nil {
		return nil, fmt.Errorf("templates of the review page: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sign-in", h.limited(h.signIn))
	if h.sso != nil {
		mux.HandleFunc("GET /sign-in/callback", h.limited(h.callback))
	}
	mux.HandleFunc("GET /assets/pecrawler.css", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=300")
		http.ServeFileFS(w, r, files, "assets/pecrawler.css")
	})
	mux.HandleFunc("/", h.page("GET /", func(*call) error { return store.ErrNotFound }))
	for pattern, do := range h.pages() {
		if len(rights()[pattern]) == 0 {
			return nil, fmt.Errorf("the table of rights has no line for %s", pattern)
		}
		mux.HandleFunc(pattern, h.page(pattern, do))
	}
	h.routes = http.NewCrossOriginProtection().Handler(mux)
	return h, nil
}

// pages are what only people who are signed in see.
func (h *Handler) pages() map[string]func(*call) error {
	return map[string]func(*call) error{
		"GET /":                                        func(*call) error { return store.ErrNotFound }, // a page like the others, in a language
		"GET /{$}":                                     h.sweeps,
		"GET /sweeps/{sweep}":                          h.sites,
		"GET /sweeps/{sweep}/sites/{site}":             h.site,
		"GET /bundles/{digest}":                        h.bundle,
		"GET /bundles/{digest}/har":                    h.har,
		"GET /bundles/{digest}/wacz":                   h.wacz,
		"GET /bundles/{digest}/screens/{scenario}/{n}": h.screen,
		"GET /bundles/{digest}/whole/{scenario}":       h.whole,
		"GET /bundles/{digest}/{scenario}/{kind}/{n}":  h.item,
		"POST /bundles/{digest}/{scenario}/{kind}/{n}": h.item,
		"GET /api/openapi.json":                        h.apiDocument,
		"GET /api/sweeps":                              h.apiSweeps,
		"POST /api/sweeps":                             h.onCluster(h.apiLaunch),
		"GET /api/launches/{sweep}":                    h.onCluster(h.apiState),
		"GET /api/cases":                               h.apiCases,
		"GET /tokens":                                  h.tokens,
		"POST /tokens":                                 h.makeToken,
		"POST /tokens/revoke":                          h.revokeToken,
		"GET /api/sweeps/{sweep}/verdicts":             h.apiVerdicts,
		"GET /api/sweeps/{sweep}/sites/{site}":         h.apiSite,
		"POST /sweeps/{sweep}/sites/{site}/decisions":  h.decide,
		"POST /sweeps/{sweep}/sites/{site}/take":       h.take,
		"POST /sweeps/{sweep}/sites/{site}/release":    h.release,
		"GET /queue":                                   h.queue,
		"POST /queue/next":                             h.next,
		"GET /revisits.txt":                            h.revisits,
		"GET /audit":                                   h.audit,
		"POST /queue/assign":                           h.assign,
		"POST /queue/views":                            h.keepView,
		"POST /queue/views/drop":                       h.dropView,
		"GET /launch":                                  h.launchPage,
		"POST /launch":                                 h.onCluster(h.check),
		"POST /launch/go":                              h.onCluster(h.launch),
		"POST /launch/repeat":                          h.onCluster(h.repeat),
		"GET /schedules":                               h.onCluster(h.schedules),
		"POST /schedules/{name}/{do}":                  h.onCluster(h.steerRepeat),
		"GET /launches/{sweep}":                        h.onCluster(h.launched),
		"POST /launches/{sweep}/{do}":                  h.onCluster(h.steer),
		"POST /sign-out":                               h.signOut,
		"GET /sessions":                                h.sessions,
		"POST /sessions/end":                           h.endSessions,

		"GET /follow": h.follows,
		"GET /sweeps/{sweep}/sites/{site}/follow":                    h.follow,
		"POST /sweeps/{sweep}/sites/{site}/follow/begin":             h.beginLetter,
		"GET /sweeps/{sweep}/sites/{site}/follow/letter":             h.letterPage,
		"POST /sweeps/{sweep}/sites/{site}/follow/letter":            h.saveLetter,
		"GET /sweeps/{sweep}/sites/{site}/follow/letters/{n}/{form}": h.letterFile,
		"POST /sweeps/{sweep}/sites/{site}/follow/visit":             h.onCluster(h.askVisit),
		"POST /sweeps/{sweep}/sites/{site}/follow/replies":           h.addReply,
		"GET /sweeps/{sweep}/sites/{site}/follow/replies/{n}":        h.replyFile,
		"GET /sweeps/{sweep}/sites/{site}/follow/after/{again}":      h.after,
		"GET /sweeps/{sweep}/sites/{site}/follow/case.zip":           h.export,
	}
}

// Invite returns a link that signs a person in, once. base is the address that
// the pages are served at.
func (h *Handler) Invite(base string, p Person) string {
	return strings.TrimSuffix(base, "/") + "/sign-in?code=" + h.door.invite(p)
}

// People returns who may sign in.
func (h *Handler) People() []Person { return h.opt.People }

// policy forbids everything that the pages do not need, scripts first of all.
const policy = "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hd := w.Header()
	hd.Set("Content-Security-Policy", policy)
	hd.Set("X-Content-Type-Options", "nosniff")
	hd.Set("Referrer-Policy", "no-referrer")
	hd.Set("Cross-Origin-Resource-Policy", "same-origin")
	hd.Set("Cross-Origin-Opener-Policy", "same-origin")
	if h.door.secure {
		hd.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if b := h.opt.Base; b != nil && r.Host != b.Host {
		h.problem(w, r, http.StatusForbidden, "Not by this name", "The pages are reached by the name that they were set up with, and by no other.")
		return
	} else if b == nil && !loopback(r.Host) {
		h.problem(w, r, http.StatusForbidden, "Only on this machine", "The pages are served on loopback addresses, such as 127.0.0.1 and localhost.")
		return
	}
	most := int64(1 << 20)
	switch {
	case r.URL.Path == "/launch" || r.URL.Path == "/api/sweeps":
		most += mostList
	case strings.HasSuffix(r.URL.Path, "/follow/replies"):
		most += mostReply
	}
	r.Body = http.MaxBytesReader(w, r.Body, most)
	h.routes.ServeHTTP(w, r)
}

// call is one request of somebody who is signed in.
type call struct {
	session
	w http.ResponseWriter
	r *http.Request
}

// view is what every template gets; D is the page's own.
type view struct {
	Title string
	Here  string // which part of the navigation it belongs to
	Who   *session
	D     any
}

// refusal is an answer that is no fault of the program.
type refusal struct {
	status      int
	title, text string
}

func (e *refusal) Error() string { return e.title + ": " + e.text }

// page lets in whoever is signed in and may use the route, and looks at the
// token of what changes something. Handlers return their errors: one place
// decides what people see.
func (h *Handler) page(pattern string, do func(*call) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		program := isAPI(r) && r.Header.Get("Authorization") != ""
		s, ok := session{}, false
		if program {
			if s, ok = h.bearer(w, r); !ok {
				return
			}
		} else {
			var err error
			if s, ok, err = h.current(r); err != nil {
				h.failed(w, r, err)
				return
			} else if !ok {
				h.knocks(w, r)
				return
			}
		}
		if !program && !h.gate.allow("session "+s.key, sessionRate, sessionBurst) {
			h.busy(w, r)
			return
		}
		if !s.May(pattern) {
			h.problem(w, r, http.StatusForbidden, "This is not for your role", "You are signed in as "+cmp.Or(s.Does(), "nobody in particular")+"; this is for "+roleWords(rights()[pattern], ", ")+".")
			return
		}
		if r.Method == http.MethodPost && !program {
			defer func() {
				if r.MultipartForm != nil {
					r.MultipartForm.RemoveAll()
				}
			}()
			var large *http.MaxBytesError
			if err := r.ParseMultipartForm(1 << 20); errors.As(err, &large) {
				h.problem(w, r, http.StatusRequestEntityTooLarge, "This is too much", fmt.Sprintf("A form may hold %d megabytes. Send less at once.", large.Limit>>20))
				return
			}
			if !s.genuine(r) {
				h.problem(w, r, http.StatusForbidden, "This form is not from your session", "Go back, load the page again and repeat what you did.")
				return
			}
		}
		w.Header().Set("Cache-Control", "no-store") // what a shared machine's next user must not find
		if err := do(&call{s, w, r}); err != nil {
			h.failed(w, r, err)
		}
	}
}

// failed shows what went wrong, as far as it is anybody's business.
func (h *Handler) failed(w http.ResponseWriter, r *http.Request, err error) {
	var refused *refusal
	var damaged *evidence.DamagedError
	switch {
	case errors.As(err, &refused):
		h.problem(w, r, refused.status, refused.title, refused.text)
	case errors.Is(err, store.ErrNotFound):
		h.problem(w, r, http.StatusNotFound, "There is nothing here", "The sweep, site or item does not exist, or has no last word yet.")
	case r.Context().Err() != nil: // nobody waits for the answer
	case errors.As(err, &damaged):
		h.log.Error("damaged evidence", "path", r.URL.Path, "err", err)
		h.problem(w, r, http.StatusInternalServerError, "The evidence is damaged", damaged.Error())
	default:
		h.log.Error("review page", "path", r.URL.Path, "err", err)
		h.problem(w, r, http.StatusInternalServerError, "This page could not be made", "The log of the program says why.")
	}
}

// isAPI tells whether a program is meant to read the answer.
func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }

func (h *Handler) problem(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	if isAPI(r) {
		w.Header().Set("Content-Type", "application/problem+json")
		if err := writeJSON(w, status, apiProblem{title, status, text}); err != nil {
			h.log.Error("API", "path", r.URL.Path, "err", err)
		}
		return
	}
	v := &view{Title: title, D: text}
	if s, ok := h.door.who(r); ok {
		v.Who = &s
	}
	if err := h.render(w, status, "problem.html", v); err != nil {
		h.log.Error("review page", "path", r.URL.Path, "err", err)
	}
}

// show renders a page for somebody who is signed in.
func (h *Handler) show(c *call, name, title, here string, d any) error {
	return h.render(c.w, http.StatusOK, name, &view{Title: title, Here: here, Who: &c.session, D: d})
}

func (h *Handler) render(w http.ResponseWriter, status int, name string, v *view) error {
	var b bytes.Buffer
	if err := h.tmpl.ExecuteTemplate(&b, name, v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, err := w.Write(b.Bytes())
	return err
}

// note writes to the audit log.
func (h *Handler) note(ctx context.Context, p Person, act, subject, detail string) error {
	return h.store.Note(ctx, store.Entry{At: h.opt.Now(), Who: p.Name, Act: act, Subject: subject, Detail: detail})
}

// funcs are the words that templates use.
func funcs() template.FuncMap {
	return template.FuncMap{
		"t": shown, "address": veiledAddress, "plain": plain, "raw": raw, "capital": capital, "plural": plural, "tag": tagClass, "join": strings.Join, "path": url.PathEscape,
		"words":      func(s any) string { return strings.ReplaceAll(fmt.Sprint(s), "-", " ") },
		"percent":    func(n, of int) string { return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(max(of, 1))) },
		"short":      func(s string) string { return s[:min(len(s), 19)] },
		"when":       when,
		"count":      func(n store.Counts, overall string) int { return n.Overall[pc.Overall(overall)] },
		"conf":       func(f float64) string { return fmt.Sprintf("%.2f", f) },
		"day":        func(t time.Time) string { return t.UTC().Format("2 Jan 2006") },
		"before":     func(t time.Time) time.Time { return t.AddDate(0, 0, -1) },
		"list":       func(vs ...any) []any { return vs },
		"groupOf":    group,
		"pick":       pick,
		"answer":     answerOf,
		"reasonText": reasonText,
		"offered":    offered,
		"phase":      bandTitle,
		"span":       func(d time.Duration) string { return strings.TrimSuffix(d.Round(time.Minute).String(), "0s") },
		"add":        func(a, b int) int { return a + b },
	}
}

// when is a moment in words.
func when(t time.Time) string {
	if t.IsZero() {
		return "at a time that is not known"
	}
	return t.UTC().Format("2 January 2006, 15:04 MST")
}

// tagClass is the colour of a word: the word itself is always there too.
func tagClass(word any) string {
	switch fmt.Sprint(word) {
	case "flagged", "fail", "uphold", "nonexempt", still, fresh, there, store.Disagreement:
		return "govuk-tag--red"
	case "review", "unsure", "conditional", perhaps, perhapsNew, store.SecondReading:
		return "govuk-tag--orange"
	case "clear", "pass", "dismiss", "exempt", gone:
		return "govuk-tag--green"
	case store.Undecided:
		return "govuk-tag--blue"
	}
	return "govuk-tag--grey"
}
