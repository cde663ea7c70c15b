package review

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // the form of the crawler's pictures
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	pc "pecrawler"
	"pecrawler/evidence"
	"pecrawler/letter"
	"pecrawler/store"
)

// letterDoc is what a step of a draft or letter holds.
type letterDoc struct {
	Lang     string            `json:"lang"` // of the template that it began with
	Text     string            `json:"text"`
	Annex    string            `json:"annex"`
	Deadline string            `json:"deadline"`         // the last day to answer, 2026-12-25
	Proofs   []letter.Proof    `json:"proofs,omitempty"` // of a letter that is fixed
	Files    map[string]string `json:"files,omitempty"`  // what was made of it when it was fixed: form and digest of the attachment
}

// Day is the last day to answer, in words.
func (d letterDoc) Day() string {
	day, err := time.Parse(time.DateOnly, d.Deadline)
	if err != nil {
		return "not given"
	}
	return day.Format("2 January 2006")
}

// Limits of a letter.
const (
	mostLetter   = 40_000 // characters of its text, and of its annex
	mostFacts    = 12     // observations of a finding
	mostLine     = 700    // characters of what is filled in
	mostPictures = 4
	usualTime    = 30 // days to answer
	printTime    = 2 * time.Minute
)

// formOf is a form in which a letter can be had.
type formOf struct{ Key, Name, mime string }

// forms are those of a letter that were made when it was fixed, and those of a
// draft that can be made: a PDF only where there is something to print with.
func (h *Handler) forms(kind string, doc letterDoc) []formOf {
	all := []formOf{{"html", "page", "text/html; charset=utf-8"}, {"odt", "OpenDocument text", "application/vnd.oasis.opendocument.text"}, {"pdf", "PDF", "application/pdf"}}
	return slices.DeleteFunc(all, func(x formOf) bool {
		if kind == store.StepLetter {
			return doc.Files[x.Key] == ""
		}
		return x.Key == "pdf" && h.opt.Print == nil
	})
}

// line is a text of anybody's as it stands in a letter.
func line(s string) string { return letter.OneLine(clean(s, mostLine)) }

func lines(ss []string) (out []string) {
	for _, s := range ss {
		out = append(out, line(s))
	}
	return out
}

// upheld are the findings that a letter is about. The decision on the site speaks
// for the failures of stable rules that nobody decided on; what only a human can
// tell has to be upheld by name. Of several decisions on a finding the last holds.
func (h *Handler) upheld(ctx context.Context, v pc.Verdict) ([]pc.Finding, error) {
	ds, err := h.store.Decisions(ctx, v.Sweep, v.Site)
	if err != nil {
		return nil, err
	}
	said := map[string]string{}
	for _, d := range ds {
		said[d.Rule] = d.Act
	}
	var out []pc.Finding
	for _, f := range v.Findings {
		act, named := said[f.Rule]
		if act == store.Uphold || !named && f.Outcome == pc.Fail && f.Status == "stable" {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b pc.Finding) int {
		return cmp.Or(cmp.Compare(weight(a), weight(b)), cmp.Compare(a.Check, b.Check))
	})
	return out, nil
}

// facts are what a template can say of a case.
func (h *Handler) facts(ctx context.Context, w pc.Verdict, deadline time.Time) (letter.Facts, error) {
	about, err := h.upheld(ctx, w)
	if err != nil {
		return letter.Facts{}, err
	}
	out := letter.Facts{Case: line(w.Sweep + "/" + w.Site), Site: line(w.Site), Address: line(veiledAddress(w.URL)), Visits: w.Visits, First: w.Times.First, Last: w.Times.Last, Today: h.opt.Now().UTC(), Deadline: deadline}
	for i, u := range about {
		g := letter.Finding{Number: i + 1, Rule: line(u.Rule), Check: u.Check, Problem: line(u.Problem), Says: strings.TrimSuffix(line(cmp.Or(u.Message, u.Rule)), "."), Cites: lines(u.Cites), Change: "[[what to change]]"}
		for _, o := range u.Observed {
			if len(g.Facts) < mostFacts {
				g.Facts = append(g.Facts, line(veiled(o.Text))+" ("+line(string(o.Ref))+")")
			}
		}
		if more := len(u.Refs) - len(g.Facts); more > 0 && len(g.Facts) > 0 {
			g.Facts = append(g.Facts, "and "+plural(more, "place more", "places more")+", in the sealed evidence")
		}
		if e := u.Explain; e != nil {
			g.Repeat, g.Change, g.Clears = line(e.Repeat), line(e.Developer), line(e.Clears)
		}
		out.Findings = append(out.Findings, g)
	}
	return out, nil
}

// beginLetter makes the first draft from a template.
func (h *Handler) beginLetter(c *call) error {
	f, err := h.followedCase(c)
	if err != nil {
		return err
	}
	today := h.opt.Now().UTC().Truncate(24 * time.Hour)
	deadline := today.AddDate(0, 0, usualTime)
	facts, err := h.facts(c.r.Context(), f.Word, deadline)
	if err != nil {
		return err
	}
	lang := c.r.PostFormValue("lang")
	if !slices.Contains(h.opt.Letters.Names(), lang) {
		return &refusal{http.StatusUnprocessableEntity, "There is no such template", "Go back and choose one of the list."}
	}
	doc := letterDoc{Lang: lang, Deadline: deadline.Format(time.DateOnly)}
	if doc.Text, doc.Annex, err = h.opt.Letters.Draft(lang, facts); err != nil {
		return err
	}
	after := 0
	if last := f.last(store.StepDraft, store.StepLetter); last != nil {
		after = last.N
	}
	if _, err := h.addStep(c, f, store.StepDraft, doc, time.Time{}, after); errors.Is(err, store.ErrChanged) {
		return &refusal{http.StatusConflict, "Somebody else has just begun a letter", "Load the page again to see it."}
	} else if err != nil {
		return err
	}
	http.Redirect(c.w, c.r, f.Base+"/letter", http.StatusSeeOther)
	return nil
}

// letterForm is what the page of a letter's text shows.
type letterForm struct {
	*followed
	letterDoc
	Last   store.Step // the last draft or letter
	After  int        // number of the one that this text began with
	Forms  []formOf
	Gaps   []string
	Read   bool
	Errors formErrors
}

// lastText is the form with the last draft or letter, as it is stored.
func (h *Handler) lastText(c *call) (form letterForm, err error) {
	f, err := h.followedCase(c)
	if err != nil {
		return form, err
	}
	last := f.last(store.StepDraft, store.StepLetter)
	if last == nil {
		return form, store.ErrNotFound
	}
	doc, err := docOf[letterDoc](last)
	return letterForm{followed: f, letterDoc: doc, Last: *last, After: last.N, Forms: h.forms(last.Kind, doc)}, err
}

func (h *Handler) letterPage(c *call) error {
	form, err := h.lastText(c)
	if err != nil {
		return err
	}
	if err := h.note(c.r.Context(), c.Person, "view", form.Word.Sweep+"/"+form.Word.Site, fmt.Sprintf("letter %d", form.Last.N)); err != nil {
		return err
	}
	return h.letterShown(c, http.StatusOK, form)
}

func (h *Handler) letterShown(c *call, status int, form letterForm) error {
	form.Gaps = letter.Gaps(form.Text + "\n" + form.Annex)
	return h.render(c.w, status, "letter.html", &view{Title: "Letter about " + form.Word.Site, Here: "follow", Who: &c.session, D: form})
}

// written is a text as somebody wrote it into a form: its lines, without what
// cannot be seen.
func written(s string) string {
	var out []string
	for l := range strings.Lines(s) {
		out = append(out, clean(strings.TrimRight(l, "\r\n\t "), mostLetter))
	}
	return strings.TrimSpace(strings.Join(out, "\n"))
}

// saveLetter keeps the text as a new draft, or fixes it as the letter.
func (h *Handler) saveLetter(c *call) error {
	form, err := h.lastText(c)
	if err != nil {
		return err
	}
	f := form.followed
	form.letterDoc = letterDoc{Lang: form.Lang, Text: written(c.r.PostFormValue("text")), Annex: written(c.r.PostFormValue("annex")), Deadline: c.r.PostFormValue("deadline")}
	form.Read = c.r.PostFormValue("read") == "yes"
	form.After, _ = strconv.Atoi(c.r.PostFormValue("after")) // nonsense is refused as outdated
	fix := c.r.PostFormValue("do") == "fix"
	deadline := form.check(fix, h.opt.Now().UTC())
	if len(form.Errors) > 0 {
		return h.letterShown(c, http.StatusUnprocessableEntity, form)
	}
	kind, due := store.StepDraft, time.Time{}
	if fix {
		kind, due = store.StepLetter, deadline.AddDate(0, 0, 1)
		if err := h.make(c.r.Context(), f, &form.letterDoc); err != nil {
			h.log.Error("make a letter", "site", f.Word.Site, "err", err)
			form.Errors = formErrors{{"do", "The letter could not be made, and nothing was stored. The log of the program says why"}}
			return h.letterShown(c, http.StatusInternalServerError, form)
		}
	}
	_, err = h.addStep(c, f, kind, form.letterDoc, due, form.After)
	switch {
	case errors.Is(err, store.ErrChanged):
		form.Proofs, form.Files = nil, nil
		form.Errors = formErrors{{"text", "Somebody stored another version since you opened this page. Nothing of yours was stored: look at theirs in another window, and store yours again"}}
		form.After = form.Last.N
		return h.letterShown(c, http.StatusConflict, form)
	case err != nil:
		return err
	case fix:
		http.Redirect(c.w, c.r, f.Base, http.StatusSeeOther)
	default:
		http.Redirect(c.w, c.r, f.Base+"/letter", http.StatusSeeOther)
	}
	return nil
}

// check looks at what was filled in, and more closely at what is to be fixed.
func (f *letterForm) check(fix bool, now time.Time) (deadline time.Time) {
	bad := func(field, text string) { f.Errors = append(f.Errors, formError{field, text}) }
	for _, part := range [][2]string{{"text", f.Text}, {"annex", f.Annex}} {
		field, text := part[0], part[1]
		if text == "" {
			bad(field, "Write something, or begin again from the template")
		} else if n := len([]rune(text)); n > mostLetter {
			bad(field, fmt.Sprintf("Keep it under %d characters; it has %d", mostLetter, n))
		} else if gaps := letter.Gaps(text); fix && len(gaps) > 0 {
			bad(field, fmt.Sprintf("Fill in what stands in double brackets: %s", strings.Join(gaps, ", ")))
		}
	}
	deadline, err := time.Parse(time.DateOnly, f.Deadline)
	if err != nil {
		bad("deadline", "Give the day as year, month and day, such as "+now.AddDate(0, 0, usualTime).Format(time.DateOnly))
	} else if !deadline.After(now) || deadline.After(now.AddDate(2, 0, 0)) {
		bad("deadline", "Choose a day that is to come, within two years")
	}
	if !fix {
		return deadline
	}
	if day, spoken := letter.Day(f.Lang, deadline); err == nil && spoken && !strings.Contains(f.Text, day) {
		bad("text", "The letter does not name the deadline, "+day)
	}
	if !f.Read {
		bad("read", "Say that you have read the letter as it will go out")
	}
	return deadline
}

// make makes the files of a letter and keeps them beside the evidence.
func (h *Handler) make(ctx context.Context, f *followed, doc *letterDoc) error {
	d, err := h.document(ctx, f, *doc)
	if err != nil {
		return err
	}
	doc.Proofs, doc.Files = d.Proofs, map[string]string{}
	for _, form := range h.forms(store.StepDraft, *doc) {
		raw, err := h.written(ctx, d, form.Key)
		if err != nil {
			return err
		}
		if doc.Files[form.Key], err = h.opt.Attachments.Attach(ctx, raw); err != nil {
			return err
		}
	}
	return nil
}

// written is a document in a form.
func (h *Handler) written(ctx context.Context, d letter.Document, form string) ([]byte, error) {
	var b bytes.Buffer
	if form == "odt" {
		err := d.ODT(&b)
		return b.Bytes(), err
	}
	if err := d.HTML(&b); err != nil || form == "html" {
		return b.Bytes(), err
	}
	ctx, stop := context.WithTimeoutCause(ctx, printTime, errors.New("the browser took too long"))
	defer stop()
	select {
	case h.printing <- struct{}{}: // one browser at a time
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-h.printing }()
	return h.opt.Print(ctx, b.Bytes())
}

// document is a letter with its evidence, as the vault has it now.
func (h *Handler) document(ctx context.Context, f *followed, doc letterDoc) (letter.Document, error) {
	d := letter.Document{Lang: doc.Lang, Title: letter.Title(doc.Lang, f.Word.Site), Text: doc.Text, Annex: doc.Annex}
	results, err := h.store.Results(ctx, f.Word.Sweep, f.Word.Site)
	if err != nil {
		return d, err
	}
	about, err := h.upheld(ctx, f.Word)
	if err != nil {
		return d, err
	}
	visits := h.visits(ctx, results)
	for _, v := range visits {
		if v.Digest == "" { // the visit was given up
			continue
		}
		if v.opened == nil {
			return d, fmt.Errorf("the evidence of visit %d: %s", v.Number, v.Error)
		}
		raw, err := h.vault.Bytes(ctx, v.Digest)
		if err != nil {
			return d, err
		}
		sum := sha256.Sum256(raw)
		d.Proofs = append(d.Proofs, letter.Proof{What: fmt.Sprintf("Visit %d, sealed %s: its digest", v.Number, v.Sealed.UTC().Format("2 January 2006 at 15:04:05 UTC")), Digest: strings.TrimPrefix(v.Digest, "sha256:")},
			letter.Proof{What: fmt.Sprintf("Visit %d: the sealed file as it lies", v.Number), Digest: hex.EncodeToString(sum[:])})
		if sig := v.opened.Signature(); sig != nil {
			d.Proofs = append(d.Proofs, letter.Proof{What: fmt.Sprintf("Visit %d: the key that signed it", v.Number), Digest: strings.TrimPrefix(sig.KeyID, "sha256:")})
		}
	}
	if i := shownVisit(f.Word, visits); i >= 0 {
		for _, name := range citedParts(visits[i].opened, about) {
			addPart(&d, visits[i], name)
		}
	}
	return d, nil
}

// citedParts are the parts of a bundle that findings refer to, in the order of
// their names, and a picture of the page as it opens.
func citedParts(o *opened, fs []pc.Finding) []string {
	names := map[string]bool{}
	page := func(s pc.Scenario, n int) {
		if c := o.Captures()[s]; c != nil && n < len(c.Pages) {
			names[c.Pages[n].Tree], names[c.Pages[n].Screen] = true, true
		}
	}
	page(pc.Idle, 0)
	for _, f := range fs {
		for _, r := range f.Refs {
			p, ok := placeOf(r)
			if !ok || o.Captures()[p.Scenario] == nil {
				continue
			}
			names[string(p.Scenario)+"/capture.json"] = true
			if p.Kind == "pages" {
				page(p.Scenario, p.N)
			}
		}
	}
	delete(names, "")
	return slices.Sorted(maps.Keys(names))
}

// addPart lists a part of a visit's bundle, and shows it if it is a picture.
func addPart(d *letter.Document, v visit, name string) {
	parts := v.opened.Manifest().Parts
	i := slices.IndexFunc(parts, func(p evidence.Part) bool { return p.Name == name })
	if i < 0 {
		return
	}
	what := fmt.Sprintf("Visit %d: %s in the sealed file", v.Number, name)
	d.Proofs = append(d.Proofs, letter.Proof{What: what, Digest: parts[i].SHA256})
	if len(d.Pictures) >= mostPictures || !strings.HasSuffix(name, ".jpg") {
		return
	}
	raw, err := v.opened.Part(name)
	if err != nil {
		return
	}
	size, form, err := image.DecodeConfig(bytes.NewReader(raw))
	if err != nil || form != "jpeg" { // its digest is listed all the same
		return
	}
	for _, s := range pc.EveryScenario {
		c := v.opened.Captures()[s]
		if c == nil {
			continue
		}
		for _, snap := range c.Pages {
			if snap.Screen == name {
				what = fmt.Sprintf("Visit %d. %s; %s. %s", v.Number, sceneTitle(s), moment(snap), name)
			}
		}
	}
	d.Pictures = append(d.Pictures, letter.Picture{Caption: what, JPEG: raw, Width: size.Width, Height: size.Height})
}

// letterFile hands out a draft or letter in a form. What was fixed is what was
// kept then, byte for byte.
func (h *Handler) letterFile(c *call) error {
	f, err := h.followedCase(c)
	if err != nil {
		return err
	}
	s, err := f.step(c.r.PathValue("n"), store.StepDraft, store.StepLetter)
	if err != nil {
		return err
	}
	doc, err := docOf[letterDoc](s)
	if err != nil {
		return err
	}
	forms := h.forms(s.Kind, doc)
	i := slices.IndexFunc(forms, func(x formOf) bool { return x.Key == c.r.PathValue("form") })
	if i < 0 {
		return store.ErrNotFound
	}
	form := forms[i]
	raw, err := h.letterBytes(c.r.Context(), f, s, doc, form.Key)
	if err != nil {
		return err
	}
	return h.handOut(c, f, fmt.Sprintf("%s %d, %s", s.Kind, s.N, form.Key), fmt.Sprintf("%s-%s-%d.%s", s.Kind, fileName(f.Word.Site), s.N, form.Key), form.mime, raw)
}

func (h *Handler) letterBytes(ctx context.Context, f *followed, s *store.Step, doc letterDoc, form string) ([]byte, error) {
	if s.Kind == store.StepLetter {
		return h.opt.Attachments.Attached(ctx, doc.Files[form])
	}
	d, err := h.document(ctx, f, doc)
	if err != nil {
		return nil, err
	}
	d.Draft = true
	return h.written(ctx, d, form)
}

// handOut gives a file of a case to whoever asked, logs that, and has no browser
// show it.
func (h *Handler) handOut(c *call, f *followed, what, name, mime string, raw []byte) error {
	if err := h.note(c.r.Context(), c.Person, "download", f.Word.Sweep+"/"+f.Word.Site, what); err != nil {
		return err
	}
	hd := c.w.Header()
	hd.Set("Content-Type", mime)
	hd.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
	hd.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	_, err := c.w.Write(raw)
	return err
}

// fileName makes a site's name fit for a file.
func fileName(site string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, site)
}
