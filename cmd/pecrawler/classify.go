package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	pc "pecrawler"
	"pecrawler/classifier"
	"pecrawler/crawler"
)

// maxRow is the longest row that is read; a longer one is no row but a mistake.
const maxRow = 8 << 20

// classifyCmd gives the classifier's opinions on rows of JSON, one line for one
// line, so that anybody can examine it.
func classifyCmd(ctx context.Context, e env, args []string) error {
	groups := 0
	if slices.Contains(args, "page") {
		groups = forVisits // which browser, and who the visitor is
	}
	o, rest, err := parse(e, "classify", groups, args)
	if err != nil {
		return err
	}
	if len(rest) == 0 || len(rest) > 2 || !slices.Contains([]string{"controls", "storage", "wording", "page"}, rest[0]) {
		return usage("say what the rows are: classify controls|storage|wording|page [FILE]")
	}
	in := e.stdin
	if len(rest) == 2 && rest[1] != "-" {
		f, err := os.Open(rest[1])
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	cls, err := classifier.New()
	if err != nil {
		return err
	}
	var answer func(line []byte) (any, error)
	switch rest[0] {
	case "controls":
		answer = func(line []byte) (any, error) { return classifyControl(cls, line) }
	case "storage":
		answer = func(line []byte) (any, error) { return classifyStorage(cls, line) }
	case "wording":
		answer = func(line []byte) (any, error) { return classifyWording(cls, line) }
	case "page":
		cr := crawler.New(o.crawlerConfig(), chooser{cls}, slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: slog.LevelError})), newRegistry())
		defer cr.Close()
		answer = func(line []byte) (any, error) { return classifyPage(ctx, cls, cr, line) }
	}
	rows, bad, err := eachRow(ctx, in, e.stdout, answer)
	switch {
	case err != nil:
		return err
	case rows == 0:
		return errors.New("there are no rows; give one JSON object a line, on standard input or in a file")
	case bad == rows:
		return fmt.Errorf("none of the %d rows could be read; each answer says why", rows)
	case bad > 0:
		fmt.Fprintf(e.stderr, "pecrawler classify: %d of %d rows could not be read; their answers say why\n", bad, rows)
	}
	return nil
}

// eachRow answers each row with one line. A row that is bad is answered with its
// number and what to do, and the next is read. No more than a row is held.
func eachRow(ctx context.Context, in io.Reader, out io.Writer, answer func(line []byte) (any, error)) (rows, bad int, err error) {
	r, w := bufio.NewReaderSize(in, 64<<10), bufio.NewWriterSize(out, 64<<10)
	defer func() { err = errors.Join(err, w.Flush()) }()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return rows, bad, context.Cause(ctx)
		}
		if r.Buffered() == 0 { // whoever waits for the answers so far gets them
			if err := w.Flush(); err != nil {
				return rows, bad, err
			}
		}
		line, long, end := readRow(r)
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if line = bytes.TrimSpace(line); len(line) > 0 || long {
			rows++
			var a any
			err := error(nil)
			if long {
				err = fmt.Errorf("it is longer than %d MiB; one row is one line", maxRow>>20)
			} else {
				a, err = answer(line)
			}
			if errors.Is(err, crawler.ErrNoChrome) || ctx.Err() != nil {
				return rows, bad, err
			}
			if err != nil {
				bad++
				a = struct {
					Error string `json:"error"`
				}{fmt.Sprintf("line %d: %v", n, err)}
			}
			if err := enc.Encode(a); err != nil {
				return rows, bad, err
			}
		}
		if end == io.EOF {
			return rows, bad, nil
		}
		if end != nil {
			return rows, bad, fmt.Errorf("line %d: %w", n, end)
		}
	}
}

// readRow reads a line; of one that is too long it drops what is too much.
func readRow(r *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxRow {
			line, long = nil, true
		} else if !long {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, long, err
		}
	}
}

// decodeRow reads a row into a struct, and says in words what is wrong with it.
func decodeRow(line []byte, row any, example string) error {
	err := json.Unmarshal(line, row)
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("%q is a %s, want a %s, as in %s", kind.Field, kind.Value, kind.Type, example)
	case err != nil:
		return fmt.Errorf("it is no JSON object (%v); write it as %s", err, example)
	}
	return nil
}

// lacks says that a row is without what it is about.
func lacks(field, example string) error {
	return fmt.Errorf("it has no %q; write it as %s", field, example)
}

func classifyControl(cls *classifier.Classifier, line []byte) (any, error) {
	const example = `{"text":"Accept all","lang":"en"}`
	var row struct {
		Text    *string           `json:"text"`
		Lang    string            `json:"lang"`
		Tag     string            `json:"tag"`
		Attrs   map[string]string `json:"attrs"`
		Context string            `json:"context"`
	}
	if err := decodeRow(line, &row, example); err != nil {
		return nil, err
	}
	if row.Text == nil {
		return nil, lacks("text", example)
	}
	ct := cls.Control(classifier.ControlRow{Text: *row.Text, Lang: row.Lang, Tag: row.Tag, Attrs: row.Attrs, Context: row.Context})
	return struct {
		Action     pc.Action `json:"action"`
		Confidence float64   `json:"confidence"`
		Why        string    `json:"why"`
	}{ct.Action, ct.Confidence, ct.Why}, nil
}

func classifyStorage(cls *classifier.Classifier, line []byte) (any, error) {
	const example = `{"kind":"cookie","name":"_fbp","host":"shop.example","site":"shop.example","value":"fb.1.1700000000000.123456789","lifetime_s":7776000}`
	var row struct {
		Kind     string   `json:"kind"`
		Name     *string  `json:"name"`
		Host     string   `json:"host"`
		Site     string   `json:"site"`
		Value    *string  `json:"value"`
		Lifetime *float64 `json:"lifetime_s"`
		HTTPOnly *bool    `json:"http_only"`
		Secure   *bool    `json:"secure"`
		SameSite string   `json:"same_site"`
	}
	if err := decodeRow(line, &row, example); err != nil {
		return nil, err
	}
	kinds := map[string]pc.StorageKind{"": pc.Cookie, "cookie": pc.Cookie, "local": pc.LocalStorage, "localstorage": pc.LocalStorage, "session": pc.SessionStorage, "sessionstorage": pc.SessionStorage, "indexeddb": pc.IndexedDB, "cache": pc.CacheStorage}
	kind, ok := kinds[strings.ToLower(row.Kind)]
	switch {
	case row.Name == nil:
		return nil, lacks("name", example)
	case !ok:
		return nil, fmt.Errorf("kind %q is none of cookie, local, session, indexeddb, cache", row.Kind)
	case row.Host == "" && row.Site == "":
		return nil, lacks("host", example)
	}
	it := pc.StorageItem{Kind: kind, Name: *row.Name, Host: strings.ToLower(strings.TrimPrefix(row.Host, ".")), SameSite: row.SameSite, Request: -1}
	site := strings.ToLower(row.Site)
	if it.Host == "" {
		it.Host = site
	}
	if site == "" {
		site = it.Host
	}
	if row.Lifetime != nil {
		it.Lifetime = int64(*row.Lifetime)
	}
	it.HTTPOnly, it.Secure = row.HTTPOnly != nil && *row.HTTPOnly, row.Secure != nil && *row.Secure
	if row.Value != nil {
		it.Value = *row.Value
	}
	p := cls.StorageRow(site, &it, row.Value != nil)
	return struct {
		Class      pc.Class `json:"class"`
		Entity     string   `json:"entity"`
		Confidence float64  `json:"confidence"`
		Basis      string   `json:"basis"`
		Why        string   `json:"why"`
	}{p.Class, p.Entity, p.Confidence, p.Basis, p.Why}, nil
}

func classifyWording(cls *classifier.Classifier, line []byte) (any, error) {
	const example = `{"text":"By continuing you accept our cookies.","lang":"en"}`
	var row struct {
		Text *string `json:"text"`
		Lang string  `json:"lang"`
	}
	if err := decodeRow(line, &row, example); err != nil {
		return nil, err
	}
	if row.Text == nil {
		return nil, lacks("text", example)
	}
	type flag struct {
		Flag       string  `json:"flag"`
		Span       string  `json:"span"`
		Confidence float64 `json:"confidence"`
	}
	flags := []flag{}
	for _, w := range cls.Text(*row.Text, row.Lang) {
		if slices.Contains([]string{"implied-consent", "missing-purposes", "misleading", "confirmshame", "consent-or-pay"}, w.Flag) {
			flags = append(flags, flag{w.Flag, w.Span, w.Confidence})
		}
	}
	return struct {
		Flags []flag `json:"flags"`
	}{flags}, nil
}

func classifyPage(ctx context.Context, cls *classifier.Classifier, cr *crawler.Crawler, line []byte) (any, error) {
	const example = `{"file":"page.html"}`
	var row struct {
		File string `json:"file"`
	}
	if err := decodeRow(line, &row, example); err != nil {
		return nil, err
	}
	if row.File == "" {
		return nil, lacks("file", example)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	type summary struct {
		pc.BannerSummary
		Text       string  `json:"text"`
		Confidence float64 `json:"confidence"`
		Why        string  `json:"why"`
	}
	s := summary{BannerSummary: pc.BannerSummary{Controls: []pc.ControlSummary{}, ClicksToAccept: -1, ClicksToReject: -1}, Confidence: .5, Why: "nothing on the page scores as a consent banner"}
	// A page that was saved before its scripts ran shows nothing without them.
	for _, scripts := range []bool{false, true} {
		p, err := cr.Render(ctx, row.File, scripts)
		if err != nil {
			return nil, err
		}
		b, ok := cls.Banner(p, 1)
		if !ok {
			continue
		}
		s.Present, s.CMP, s.Kind, s.Language, s.Text, s.Confidence, s.Why = true, b.CMP, b.Kind, b.Language, b.Text, b.Confidence, b.Why
		for _, ct := range b.Controls {
			s.Controls = append(s.Controls, pc.ControlSummary{Text: ct.Text, Action: ct.Action, Layer: ct.Layer})
			switch ct.Action {
			case pc.ActAccept:
				s.ClicksToAccept = 1
			case pc.ActReject:
				s.ClicksToReject = 1
			}
		}
		break
	}
	return struct {
		Banner summary `json:"banner"`
	}{s}, nil
}
