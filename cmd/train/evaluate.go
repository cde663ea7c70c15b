package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	pc "pecrawler"
	"pecrawler/classifier"
	"pecrawler/figures"
)

// marks is how one reader did on one set.
type marks struct {
	Right     figures.Share             `json:"right"` // in the six core classes
	MacroF1   float64                   `json:"macro_f1"`
	Unseen    figures.Share             `json:"right_of_texts_not_trained_on"`
	Confused  figures.Share             `json:"accept_and_reject_confused"`
	Classes   map[string]precisionAnd   `json:"classes,omitempty"`
	Called    *figures.Share            `json:"called_a_choice,omitempty"` // of a set off banners
	Languages map[string]*figures.Share `json:"languages,omitempty"`
	texts     int
}

type precisionAnd struct {
	Precision figures.Share `json:"precision"`
	Recall    figures.Share `json:"recall"`
}

// count adds one that was said to be of a class, or not, and is of it, or not.
func (x *precisionAnd) count(said, is bool) {
	if said {
		x.Precision.Count(is)
	}
	if is {
		x.Recall.Count(said)
	}
}

func (x precisionAnd) f1() float64 {
	if p, r := x.Precision.Value(), x.Recall.Value(); p+r > 0 {
		return 2 * p * r / (p + r)
	}
	return 0
}

type bin struct {
	From, To, Said float64
	Right          figures.Share
}

// accuracy is the whole evaluation, as docs/accuracy.json has it.
type accuracy struct {
	Classifier, Lists string
	Rows, Bytes       int
	Sets              []setMarks
	LeftOut           map[string]*marks      `json:"left_out"`
	Named             map[string]*namedMarks `json:"named_by_attributes"`
	Calibration       []bin
	ECE               float64
	Cookies           *cookieMarks       `json:"cookies,omitempty"`
	Wording           *wordingMarks      `json:"wording"`
	Sweep             *sweepMarks        `json:"sweep,omitempty"`
	Decisions         *decisionMarks     `json:"decisions,omitempty"`
	Cost              map[string]float64 `json:"microseconds"`
	Machine           string
	Missing           []string
}

type setMarks struct {
	Name, What string
	Texts      int
	Readers    map[string]*marks
}

type reader struct {
	name string
	read func(text string) (string, float64)
}

func mark(s set, read func(string) (string, float64), seen map[string]bool) *marks {
	m := &marks{Classes: map[string]precisionAnd{}, Languages: map[string]*figures.Share{}}
	for _, r := range s.rows {
		got, _ := read(r.text)
		m.texts++
		if s.off {
			if m.Called == nil {
				m.Called = &figures.Share{}
			}
			m.Called.Count(got == "accept" || got == "reject" || got == "save")
			continue
		}
		is, should := core(got), core(r.role)
		m.Right.Count(is == should)
		if !seen[fold(r.text)] {
			m.Unseen.Count(is == should)
		}
		if r.lang != "" {
			if m.Languages[r.lang] == nil {
				m.Languages[r.lang] = &figures.Share{}
			}
			m.Languages[r.lang].Count(is == should)
		}
		if should == "accept" || should == "reject" {
			m.Confused.Count(is != should && (is == "accept" || is == "reject"))
		}
		x := m.Classes[is]
		x.Precision.Count(is == should)
		m.Classes[is] = x
		x = m.Classes[should]
		x.Recall.Count(is == should)
		m.Classes[should] = x
	}
	n := 0
	for _, c := range cores() {
		x := m.Classes[c]
		if x.Recall.N == 0 {
			continue
		}
		n++
		m.MacroF1 += x.f1()
	}
	m.MacroF1 /= float64(max(1, n))
	return m
}

// keywords is a list of words as anybody would write it in an hour, to compare with.
func keywords(text string) (string, float64) {
	t := strings.ToLower(text)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(t, w) })
	}
	switch {
	case has("reject", "decline", "deny", "refuse", "necessary", "essential", "without", "disagree", "no thanks", "gwrthod", "ablehnen", "refuser", "rechazar", "rifiuta", "weiger"):
		return "reject", 1
	case has("save", "confirm", "selected", "selection", "cadw", "speichern", "enregistrer", "guardar", "salva", "opslaan"):
		return "save", 1
	case has("setting", "preference", "manage", "customi", "option", "choose", "gosodiadau", "einstellungen", "paramét", "configur", "impostazioni", "instellingen"):
		return "settings", 1
	case has("accept", "allow", "agree", "consent", "enable", "derbyn", "akzeptieren", "accepter", "aceptar", "accetta", "accepteren"):
		return "accept", 1
	case has("close", "got it", "ok", "understand", "×", "cau", "schließen", "fermer"):
		return "acknowledge", 1
	}
	return "other", 1
}

// autoconsent reads the texts of all sets by its own patterns.
func autoconsent(ctx context.Context, cache string, sets []set) (func(string) (string, float64), error) {
	var in bytes.Buffer
	var texts []string
	enc := json.NewEncoder(&in)
	for _, s := range sets {
		for _, r := range s.rows {
			texts = append(texts, r.text)
			if err := enc.Encode(r.text); err != nil {
				return nil, err
			}
		}
	}
	cmd := exec.CommandContext(ctx, "node", filepath.Join("cmd", "train", "patterns.mjs"), cache)
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("read by autoconsent's patterns: %w", err)
	}
	said := strings.Fields(string(out))
	if len(said) != len(texts) {
		return nil, fmt.Errorf("autoconsent read %d of %d texts", len(said), len(texts))
	}
	of := map[string]string{}
	for i, t := range texts {
		of[t] = said[i]
	}
	return func(text string) (string, float64) { return of[text], 1 }, nil
}

// inputs are what an evaluation may be given; empty: not measured.
type inputs struct{ data, sweep, decisions string }

func evaluate(ctx context.Context, cache string, in inputs) error {
	cls, err := classifier.New()
	if err != nil {
		return err
	}
	rows, err := controlRows(ctx, cache)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, r := range rows {
		seen[fold(r.text)] = true
	}
	a := accuracy{Classifier: cls.Version(), Lists: cls.Lists(), Rows: len(rows), LeftOut: map[string]*marks{}, Cost: map[string]float64{}, Machine: fmt.Sprintf("%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())}
	for _, f := range []string{"controls.model", "names.tsv", "owners.tsv", "storage.tsv", "hosts.tsv", "attributes.tsv"} {
		fi, err := os.Stat(filepath.Join("classifier", "lists", f))
		if err != nil {
			return err
		}
		a.Bytes += int(fi.Size())
	}
	both := func(text string) (string, float64) {
		ct := cls.Control(classifier.ControlRow{Text: text})
		return string(ct.Action), ct.Confidence
	}
	sets, err := controlSets(in.data)
	if err != nil {
		return err
	}
	ac, err := autoconsent(ctx, cache, sets)
	if err != nil {
		return err
	}
	phrases := func(text string) (string, float64) {
		act, conf, _ := cls.Phrase(text)
		return string(act), conf
	}
	for _, s := range sets {
		sm := setMarks{s.name, s.what, len(s.rows), map[string]*marks{}}
		for _, r := range []reader{{"classifier", both}, {"phrases alone", phrases}, {"autoconsent", ac}, {"keywords", keywords}} {
			sm.Readers[r.name] = mark(s, r.read, seen)
		}
		a.Sets = append(a.Sets, sm)
	}
	if len(sets) == 0 {
		a.Missing = append(a.Missing, "labelled texts of controls (DATA/classifier/controls-*.tsv, offbanner-ui-strings.tsv)")
	}
	for _, s := range sets {
		if s.name == "web" {
			a.calibrate(s, both)
		}
	}
	if err := a.leaveOut(rows, cls); err != nil {
		return err
	}
	if err := a.attributes(cache, cls); err != nil {
		return err
	}
	if err := a.cookies(in.data, cls); err != nil {
		return err
	}
	if err := a.wording(in.data, cls); err != nil {
		return err
	}
	if err := a.sweep(ctx, in.sweep, cls); err != nil {
		return err
	}
	if err := a.decisions(in.decisions, cls); err != nil {
		return err
	}
	a.Missing = append(a.Missing, "banners on saved pages of others (no set with labels is known to us)")
	a.cost(rows, cls)
	return a.write()
}

// leaveOut trains without one source at a time and reads its texts then.
func (a *accuracy) leaveOut(rows []row, cls *classifier.Classifier) error {
	for _, source := range []string{"c15t", "klaro", "tarteaucitron", "68publishers", "nuxt-cookie-control", "pie", "autoconsent", "lab"} {
		var rest []row
		out := set{name: source}
		words := map[string]bool{}
		for _, r := range rows {
			if r.source == source {
				out.rows = append(out.rows, r)
				words[fold(r.text)] = true
			}
		}
		for _, r := range rows { // the same words of another source would give it away
			if r.source != source && !words[fold(r.text)] {
				rest = append(rest, r)
			}
		}
		m, err := fit(rest, cls)
		if err != nil {
			return err
		}
		without := cls.With(m)
		a.LeftOut[source] = mark(out, func(text string) (string, float64) {
			act, conf, _ := without.Label(text)
			return string(act), conf
		}, map[string]bool{})
		fmt.Fprintln(os.Stderr, "left out", source)
	}
	return nil
}

// calibrate compares how sure the answers are with how often they are right.
func (a *accuracy) calibrate(s set, read func(string) (string, float64)) {
	edges := []float64{0, .5, .6, .7, .8, .9, .95, 1.0001}
	sums := make([]float64, len(edges)-1)
	a.Calibration = make([]bin, len(edges)-1)
	for _, r := range s.rows {
		got, conf := read(r.text)
		for i := range sums {
			if conf >= edges[i] && conf < edges[i+1] {
				sums[i] += conf
				a.Calibration[i].Right.Count(core(got) == core(r.role))
			}
		}
	}
	for i := range a.Calibration {
		b := &a.Calibration[i]
		b.From, b.To = edges[i], min(1, edges[i+1])
		if b.Right.N > 0 {
			b.Said = sums[i] / float64(b.Right.N)
			d := b.Said - b.Right.Value()
			a.ECE += max(d, -d) * float64(b.Right.N) / float64(len(s.rows))
		}
	}
}

func (a *accuracy) cost(rows []row, cls *classifier.Classifier) {
	n := min(len(rows), 4000)
	begin := time.Now()
	for i := range n {
		cls.Label(rows[i*len(rows)/n].text)
	}
	a.Cost["text of a control"] = float64(time.Since(begin).Microseconds()) / float64(n)
	it := pc.StorageItem{Kind: pc.Cookie, Host: "shop.example", Name: "zz_unknown_name", Value: "0123456789abcdef", Lifetime: 86400 * 30}
	begin = time.Now()
	for range 2000 {
		cls.Storage("shop.example", &it)
	}
	a.Cost["stored item that no list knows"] = float64(time.Since(begin).Microseconds()) / 2000
}

func (a *accuracy) write() error {
	raw, err := json.MarshalIndent(a, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join("docs", "accuracy.json"), append(raw, '\n'), 0o644); err != nil {
		return err
	}
	for name, fill := range map[string]func(io.Writer){"accuracy.md": a.markdown, "model-card.md": a.card} {
		var b bytes.Buffer
		fill(&b)
		if err := os.WriteFile(filepath.Join("docs", name), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
