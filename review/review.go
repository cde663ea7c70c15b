// Package review is the web page on which people look at what a sweep found:
// the sweeps, the sites of one by their last word, and one site with its
// findings, its pictures with what was found drawn in, and the references into
// the evidence. It shows verdicts and makes none.
//
// Pages come ready from the server, work without scripts and hold none: the
// content policy forbids them, so that hostile text from a page stays text.
// Values of stored items are not shown; they are in the bundle.
//
//	GET /                                     the sweeps
//	GET /sweeps/{sweep}                       its sites; ?overall= ?rule= ?q= ?page=
//	GET /sweeps/{sweep}/sites/{site}          one site
//	GET /bundles/{digest}                     the sealed file
//	GET /bundles/{digest}/screens/{scenario}/{n}   a picture of it
//	GET /api/sweeps/{sweep}/verdicts          the last words, as JSON
//	GET /api/sweeps/{sweep}/sites/{site}      one of them
package review

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	pc "pecrawler"
	"pecrawler/evidence"
	"pecrawler/store"
)

//go:embed templates assets
var files embed.FS

// Handler serves the pages.
type Handler struct {
	store *store.Store
	vault *evidence.Vault
	log   *slog.Logger
	tmpl  *template.Template
	mux   *http.ServeMux
}

// New returns the pages of a store and its evidence.
func New(st *store.Store, v *evidence.Vault, log *slog.Logger) (*Handler, error) {
	h := &Handler{store: st, vault: v, log: log, mux: http.NewServeMux()}
	var err error
	h.tmpl, err = template.New("").Funcs(template.FuncMap{
		"words":   func(s any) string { return strings.ReplaceAll(fmt.Sprint(s), "-", " ") },
		"percent": func(n, of int) string { return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(max(of, 1))) },
		"short":   func(s string) string { return s[:min(len(s), 19)] },
		"when":    func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 MST") },
		"join":    strings.Join,
		"tag":     tagClass,
		"path":    url.PathEscape,
		"count":   func(n store.Counts, overall string) int { return n.Overall[pc.Overall(overall)] },
		"conf":    func(f float64) string { return fmt.Sprintf("%.2f", f) },
	}).ParseFS(files, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("templates of the review page: %w", err)
	}
	h.page("GET /{$}", h.sweeps)
	h.page("GET /sweeps/{sweep}", h.sites)
	h.page("GET /sweeps/{sweep}/sites/{site}", h.site)
	h.page("GET /bundles/{digest}", h.bundle)
	h.page("GET /bundles/{digest}/screens/{scenario}/{n}", h.screen)
	h.page("GET /api/sweeps/{sweep}/verdicts", h.apiVerdicts)
	h.page("GET /api/sweeps/{sweep}/sites/{site}", h.apiSite)
	h.page("GET /", func(http.ResponseWriter, *http.Request) error { return store.ErrNotFound }) // a page like the others, in a language
	h.mux.HandleFunc("GET /assets/pecrawler.css", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=300")
		http.ServeFileFS(w, r, files, "assets/pecrawler.css")
	})
	return h, nil
}

// tagClass is the colour of a word: the word itself is always there too.
func tagClass(word any) string {
	switch fmt.Sprint(word) {
	case "flagged", "fail":
		return "govuk-tag--red"
	case "review", "unsure":
		return "govuk-tag--orange"
	case "clear", "pass":
		return "govuk-tag--green"
	}
	return "govuk-tag--grey"
}

// policy forbids everything that the pages do not need, scripts first of all.
const policy = "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hd := w.Header()
	hd.Set("Content-Security-Policy", policy)
	hd.Set("X-Content-Type-Options", "nosniff")
	hd.Set("Referrer-Policy", "no-referrer")
	hd.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.mux.ServeHTTP(w, r)
}

// page registers a handler that returns its error: one place decides what
// people see of it.
func (h *Handler) page(pattern string, do func(w http.ResponseWriter, r *http.Request) error) {
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		err := do(w, r)
		switch {
		case err == nil:
		case errors.Is(err, store.ErrNotFound):
			h.problem(w, http.StatusNotFound, "There is nothing here", "The sweep or site does not exist, or has no last word yet.")
		case r.Context().Err() != nil: // nobody waits for the answer
		default:
			var damaged *evidence.DamagedError
			if errors.As(err, &damaged) {
				h.log.Error("damaged evidence", "path", r.URL.Path, "err", err)
				h.problem(w, http.StatusInternalServerError, "The evidence is damaged", damaged.Error())
				return
			}
			h.log.Error("review page", "path", r.URL.Path, "err", err)
			h.problem(w, http.StatusInternalServerError, "This page could not be made", "The log of the program says why.")
		}
	})
}

func (h *Handler) problem(w http.ResponseWriter, status int, title, text string) {
	h.render(w, status, "problem.html", map[string]any{"Title": title, "Text": text})
}

func (h *Handler) render(w http.ResponseWriter, status int, name string, data any) error {
	var b bytes.Buffer
	if err := h.tmpl.ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, err := w.Write(b.Bytes())
	return err
}

func (h *Handler) sweeps(w http.ResponseWriter, r *http.Request) error {
	sweeps, err := h.store.Sweeps(r.Context())
	if err != nil {
		return err
	}
	type row struct {
		store.Sweep
		store.Counts
	}
	var rows []row
	for _, s := range sweeps {
		n, err := h.store.Counts(r.Context(), s.ID)
		if err != nil {
			return err
		}
		rows = append(rows, row{s, n})
	}
	return h.render(w, http.StatusOK, "sweeps.html", map[string]any{"Title": "Sweeps", "Rows": rows})
}

// pageSize is how many sites a page lists.
const pageSize = 50

// words are the last words in the order in which people look.
func words() []pc.Overall {
	return []pc.Overall{pc.Flagged, pc.Review, pc.Clear, pc.NotAssessed}
}

func (h *Handler) sites(w http.ResponseWriter, r *http.Request) error {
	sweep, err := h.store.Sweep(r.Context(), r.PathValue("sweep"))
	if err != nil {
		return err
	}
	n, err := h.store.Counts(r.Context(), sweep.ID)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	page, _ := strconv.Atoi(q.Get("page")) // nonsense is the first page
	page = max(page, 1)
	f := store.Filter{Overall: pc.Overall(q.Get("overall")), Rule: q.Get("rule"), Query: q.Get("q"), Limit: pageSize, Offset: (page - 1) * pageSize}
	list, total, err := h.store.Words(r.Context(), sweep.ID, f)
	if err != nil {
		return err
	}
	link := func(to int) string {
		v := url.Values{}
		for _, k := range []string{"overall", "rule", "q"} {
			if q.Get(k) != "" {
				v.Set(k, q.Get(k))
			}
		}
		v.Set("page", strconv.Itoa(to))
		return "?" + v.Encode()
	}
	type tab struct {
		Overall pc.Overall
		N       int
		Bar     int // length in tenths of a unit of 1000
	}
	var tabs []tab
	for _, ov := range words() {
		tabs = append(tabs, tab{ov, n.Overall[ov], 1000 * n.Overall[ov] / max(n.Sites, 1)})
	}
	data := map[string]any{"Title": "Sweep " + sweep.ID, "Sweep": sweep, "Counts": n, "Tabs": tabs, "List": list, "Total": total, "Filter": f, "Page": page, "From": (page-1)*pageSize + 1}
	if page > 1 {
		data["Prev"] = link(page - 1)
	}
	if page*pageSize < total {
		data["Next"] = link(page + 1)
	}
	return h.render(w, http.StatusOK, "sites.html", data)
}

// picture is one screen with what is drawn on it.
type picture struct {
	Src           string
	Alt           string
	Caption       string
	Width, Height int
	Boxes         []drawn
}

// drawn is a box on a picture.
type drawn struct {
	pc.Box
	Kind  string // banner, or the action of a control, or press
	Label string
}

// visit is one bundle of a site, as the page shows it.
type visit struct {
	Digest   string
	Number   int
	Sealed   time.Time
	Verdict  pc.Verdict
	Pictures []picture
	Acts     []string
	Error    string
}

func (h *Handler) site(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	word, err := h.store.Word(ctx, r.PathValue("sweep"), r.PathValue("site"))
	if err != nil {
		return err
	}
	results, err := h.store.Results(ctx, word.Sweep, word.Site)
	if err != nil {
		return err
	}
	var visits []visit
	for _, v := range results {
		vis := visit{Number: v.Visit, Verdict: v}
		if len(v.Bundles) > 0 {
			vis.Digest = v.Bundles[0]
			b, err := h.vault.Open(ctx, vis.Digest)
			if err != nil {
				h.log.Error("bundle for the review page", "bundle", vis.Digest, "err", err)
				vis.Error = err.Error()
			} else {
				vis.Sealed = b.Manifest().SealedAt
				vis.Pictures, vis.Acts = look(b)
			}
		}
		visits = append(visits, vis)
	}
	storage, unknown := 0, 0
	for _, s := range word.Storage {
		storage++
		if s.Class == pc.Unknown {
			unknown++
		}
	}
	return h.render(w, http.StatusOK, "site.html", map[string]any{"Title": word.Site, "Word": word, "Visits": visits, "Stored": storage, "Unknown": unknown})
}

// look gathers the pictures of a bundle and says what was done to the page.
func look(b *evidence.Bundle) (pics []picture, acts []string) {
	for _, s := range pc.EveryScenario {
		c := b.Captures()[s]
		if c == nil {
			continue
		}
		for i, snap := range c.Pages {
			if snap.Screen == "" {
				continue
			}
			p := picture{
				Src:   fmt.Sprintf("/bundles/%s/screens/%s/%d", b.Digest(), s, i),
				Alt:   fmt.Sprintf("The page in the scenario %s, %s, layer %d, %.1f seconds after it was asked for", s, snap.Mark, snap.Layer, float64(snap.At)/1000),
				Width: c.Environment.Width, Height: c.Environment.Height,
			}
			p.Caption = fmt.Sprintf("%s: %s, at %.1f s", s, snap.Mark, float64(snap.At)/1000)
			if snap.Layer > 1 {
				p.Caption += fmt.Sprintf(", layer %d", snap.Layer)
			}
			for _, a := range c.Acts {
				if a.Page == i {
					p.Boxes = append(p.Boxes, drawn{a.Box, "press", fmt.Sprintf("pressed: %s", a.Text)})
				}
			}
			pics = append(pics, p)
		}
		for _, a := range c.Acts {
			acts = append(acts, fmt.Sprintf("%s, at %.1f s: pressed “%s” as %s, because %s. Effect: %s.", s, float64(a.At)/1000, a.Text, a.Purpose, a.Why, a.Effect))
		}
		if why, ok := c.Missing[pc.ArtifactAct]; ok {
			acts = append(acts, fmt.Sprintf("%s: nothing was pressed: %s", s, why))
		}
	}
	return pics, acts
}

func (h *Handler) bundle(w http.ResponseWriter, r *http.Request) error {
	raw, err := h.vault.Bytes(r.Context(), r.PathValue("digest"))
	if err != nil {
		return errors.Join(store.ErrNotFound, err)
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", strings.TrimPrefix(r.PathValue("digest"), "sha256:")+".zip"))
	_, err = w.Write(raw)
	return err
}

func (h *Handler) screen(w http.ResponseWriter, r *http.Request) error {
	b, err := h.vault.Open(r.Context(), r.PathValue("digest"))
	if err != nil {
		return err
	}
	c := b.Captures()[pc.Scenario(r.PathValue("scenario"))]
	n, err := strconv.Atoi(r.PathValue("n"))
	if c == nil || err != nil || n < 0 || n >= len(c.Pages) || c.Pages[n].Screen == "" {
		return store.ErrNotFound
	}
	raw, err := b.Part(c.Pages[n].Screen)
	if err != nil {
		return err
	}
	mime := map[string]string{".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}[path.Ext(c.Pages[n].Screen)]
	if mime == "" {
		return store.ErrNotFound
	}
	w.Header().Set("Content-Type", mime)
	w.Header().Set("Cache-Control", "private, max-age=86400, immutable") // the digest names the content
	_, err = w.Write(raw)
	return err
}

func (h *Handler) apiVerdicts(w http.ResponseWriter, r *http.Request) error {
	if _, err := h.store.Sweep(r.Context(), r.PathValue("sweep")); err != nil {
		return err
	}
	q := r.URL.Query()
	limit, _ := strconv.Atoi(q.Get("limit"))
	offset, _ := strconv.Atoi(q.Get("offset"))
	if limit < 1 || limit > 500 {
		limit = 100
	}
	list, total, err := h.store.Words(r.Context(), r.PathValue("sweep"), store.Filter{Overall: pc.Overall(q.Get("overall")), Rule: q.Get("rule"), Query: q.Get("q"), Limit: limit, Offset: offset})
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"total": total, "offset": offset, "verdicts": list})
}

func (h *Handler) apiSite(w http.ResponseWriter, r *http.Request) error {
	v, err := h.store.Word(r.Context(), r.PathValue("sweep"), r.PathValue("site"))
	if err != nil {
		return err
	}
	return writeJSON(w, v)
}

func writeJSON(w http.ResponseWriter, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(raw, '\n'))
	return err
}
