package review

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strings"
	"unicode/utf8"

	pc "pecrawler"
	"pecrawler/evidence"
	"pecrawler/store"
)

// caseDoc is case.json of a case file.
type caseDoc struct {
	Sweep     string           `json:"sweep"`
	Site      string           `json:"site"`
	Status    string           `json:"status"`
	Act       string           `json:"act"` // the decision that stands
	Decisions []store.Decision `json:"decisions"`
	Steps     []store.Step     `json:"steps"`
	Missing   []string         `json:"missing"` // what should be in the file and is not, and why
}

const caseReadMe = `Case file about %s
of the sweep %s, made on %s by %s

manifest.json    every file with its size and SHA-256
signature.json   an Ed25519 signature of the manifest%s
case.json        where the case stands, every decision on it, what was done since; what could not be added
verdicts.jsonl   the last word on the site, the verdict of each visit, and last words of later sweeps
items.csv        what was stored and sent that needs consent, by the last word
audit.jsonl      the entries of the audit log that are about this case
letters/N/       letters as they went out, and their text
drafts/N/        what was written before
replies/N/       what the site answered, as it came: beware, these are files of somebody else
bundles/         the sealed evidence of each visit, by digest; bundles hold values that can tell visitors apart
screens/         pictures out of them

To check it with pecrawler, without a network:

  pecrawler case verify FILE --key PUBLIC.pem

To check it without, with unzip, sha256sum, jq and openssl 3:

  unzip FILE -d case && cd case
  jq -r '.files[] | "\(.sha256)  \(.name)"' manifest.json | sha256sum --check
  printf 'pecrawler case file v1\nmanifest sha256:%%s\n' "$(sha256sum < manifest.json | cut -c1-64)" > message
  jq -r .signature signature.json | base64 -d > signature
  openssl pkeyutl -verify -rawin -pubin -inkey PUBLIC.pem -in message -sigfile signature

The bundles can be checked by themselves, which the program's documentation of evidence tells. The hash of an entry of audit.jsonl is the SHA-256 of
[prev, seq, milliseconds, who, act, subject, detail] as JSON without blanks. Its entries are not all that there are: prev names the one before in the
whole log, which the office has.
`

// caseFile gathers what there is about a case.
type caseFile struct {
	h       *Handler
	ctx     context.Context
	files   map[string][]byte
	missing []string
	bundles []string
}

// add adds a file, or notes that it could not be had.
func (f *caseFile) add(name string, raw []byte, err error) {
	if err != nil {
		f.h.log.Error("case file", "file", name, "err", err)
		f.missing = append(f.missing, name+": it could not be read, or is damaged")
		return
	}
	f.files[name] = raw
}

func jsonLines[T any](vs []T) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, v := range vs {
		if err := enc.Encode(v); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// export hands out the whole case as one file.
func (h *Handler) export(c *call) error {
	f, err := h.followedCase(c)
	if err != nil {
		return err
	}
	ctx := c.r.Context()
	g := &caseFile{h: h, ctx: ctx, files: map[string][]byte{}, missing: []string{}}
	verdicts, err := g.verdicts(f)
	if err != nil {
		return err
	}
	raw, err := jsonLines(verdicts)
	g.add("verdicts.jsonl", raw, err)
	g.add("items.csv", itemsCSV(f.Word), nil)
	for _, s := range f.Steps {
		if err := g.step(&s); err != nil {
			return err
		}
	}
	var log []store.Entry
	if err := h.store.AuditOf(ctx, append([]string{f.Word.Sweep + "/" + f.Word.Site}, g.bundles...), func(e store.Entry) error { log = append(log, e); return nil }); err != nil {
		return err
	}
	raw, err = jsonLines(log)
	g.add("audit.jsonl", raw, err)
	ds, err := h.store.Decisions(ctx, f.Word.Sweep, f.Word.Site)
	if err != nil {
		return err
	}
	raw, err = json.MarshalIndent(caseDoc{f.Word.Sweep, f.Word.Site, f.Case.Status, f.Case.Act, ds, f.Steps, g.missing}, "", " ")
	g.add("case.json", raw, err)
	now, signed := h.opt.Now().UTC(), ""
	if h.opt.Signer == nil {
		signed = ": not here, the program had no key"
	}
	g.add("README.txt", fmt.Appendf(nil, caseReadMe, f.Word.Site, f.Word.Sweep, when(now), clean(c.Name, mostName), signed), nil)
	var b bytes.Buffer
	if err := evidence.WriteCase(ctx, &b, evidence.CaseManifest{Sweep: f.Word.Sweep, Site: f.Word.Site, MadeAt: now, MadeBy: c.Name}, g.files, h.opt.Signer); err != nil {
		h.log.Error("case file", "site", f.Word.Site, "err", err)
		return &refusal{http.StatusInsufficientStorage, "The case file would be too large", "Take the bundles one by one, and what else there is from the page of the case. The log of the program says which file was too much."}
	}
	return h.handOut(c, f, "case file", "case-"+fileName(f.Word.Site)+".zip", "application/zip", b.Bytes())
}

// verdicts are those of the case and of later looks; their bundles are added.
func (g *caseFile) verdicts(f *followed) ([]pc.Verdict, error) {
	later, err := g.h.later(g.ctx, f.Word)
	if err != nil {
		return nil, err
	}
	var out []pc.Verdict
	for _, w := range append([]pc.Verdict{f.Word}, later...) {
		results, err := g.h.store.Results(g.ctx, w.Sweep, w.Site)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
		for _, v := range results {
			out = append(out, v)
			for _, digest := range v.Bundles {
				g.bundle(fmt.Sprintf("screens/%s-visit-%d/", fileName(w.Sweep), v.Visit), digest)
			}
		}
	}
	return out, nil
}

// bundle adds a bundle and its pictures, once.
func (g *caseFile) bundle(screens, digest string) {
	name := "bundles/" + strings.TrimPrefix(digest, "sha256:") + ".zip"
	if _, had := g.files[name]; had {
		return
	}
	g.bundles = append(g.bundles, digest)
	raw, err := g.h.vault.Bytes(g.ctx, digest)
	var b *evidence.Bundle
	if err == nil {
		b, err = evidence.Read(raw)
	}
	g.add(name, raw, err)
	if err != nil {
		return
	}
	for _, p := range b.Manifest().Parts {
		if end := path.Ext(p.Name); end == ".jpg" || end == ".png" || end == ".webp" {
			raw, err := b.Part(p.Name)
			g.add(screens+strings.ReplaceAll(p.Name, "/", "-"), raw, err)
		}
	}
}

// step adds what a step has in files.
func (g *caseFile) step(s *store.Step) error {
	switch s.Kind {
	case store.StepDraft, store.StepLetter:
		doc, err := docOf[letterDoc](s)
		if err != nil {
			return err
		}
		in := fmt.Sprintf("%ss/%d/", s.Kind, s.N)
		g.add(in+"letter.txt", []byte(doc.Text+"\n"), nil)
		g.add(in+"annex.txt", []byte(doc.Annex+"\n"), nil)
		for form, digest := range doc.Files {
			raw, err := g.h.opt.Attachments.Attached(g.ctx, digest)
			g.add(in+"letter."+form, raw, err)
		}
	case store.StepReply:
		doc, err := docOf[replyDoc](s)
		if err != nil {
			return err
		}
		if doc.Digest != "" {
			raw, err := g.h.opt.Attachments.Attached(g.ctx, doc.Digest)
			g.add(fmt.Sprintf("replies/%d/%s", s.N, replyName(s.N, doc)), raw, err)
		}
		if doc.Note != "" {
			g.add(fmt.Sprintf("replies/%d/note.txt", s.N), []byte(doc.Note+"\n"), nil)
		}
	}
	return nil
}

// itemsCSV lists what was stored and sent that needs consent.
func itemsCSV(v pc.Verdict) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	w.Write([]string{"scenario", "phase", "kind", "name", "host", "purpose", "entity", "confidence", "evidence"}) // a Buffer takes everything
	for _, s := range nonexempt(v) {
		row := []string{string(s.Scenario), string(s.Phase), kindWords(s.Kind), s.Name, s.Host, string(s.Class), s.Entity, fmt.Sprintf("%.2f", s.Confidence), string(s.Ref)}
		for i := range row {
			row[i] = cell(row[i])
		}
		w.Write(row)
	}
	w.Flush()
	return b.Bytes()
}

// cell keeps a spreadsheet from taking a text for a formula, and a text from
// being more than one line.
func cell(s string) string {
	s = clean(s, 2000)
	if r, _ := utf8.DecodeRuneInString(strings.TrimLeft(s, " ")); s != "" && strings.ContainsRune("=+-@＝＋－＠", r) {
		return "'" + s
	}
	return s
}
