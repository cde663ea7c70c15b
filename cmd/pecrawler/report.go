package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	pc "pecrawler"
	"pecrawler/crawler"
	"pecrawler/figures"
	"pecrawler/store"
)

// document is what can be written in the formats of report and compare.
type document interface {
	HTML(io.Writer) error
	CSV(io.Writer) error
	JSON(io.Writer) error
}

// printing bounds the time that Chromium may take for a PDF.
const printing = 2 * time.Minute

// output says in which format a document is wanted, and where.
type output struct{ format, to, chrome string }

func (f *output) flags(fs *flag.FlagSet, usual, formats string) {
	fs.StringVar(&f.format, "format", usual, formats)
	fs.StringVar(&f.to, "to", "", "`file` to write; - is standard output; OUT/report/ when not given")
	fs.StringVar(&f.chrome, "chrome", "", "`path` of Chromium, for a PDF; searched for when not given")
}

// reportCmd writes the figures of a sweep.
func reportCmd(ctx context.Context, e env, args []string) error {
	var out output
	var known figures.Evaluation
	var labels, shared bool
	o, rest, err := parseWith(e, "report", forData, args, func(fs *flag.FlagSet) {
		fs.BoolVar(&labels, "decisions", false, "write what people decided of findings, as rows to measure the classifier with, to standard output; needs --share-decisions")
		fs.BoolVar(&shared, "share-decisions", false, "decisions of people may leave the store, without names, notes and sites")
		out.flags(fs, "html", "html, pdf, csv or json")
		fs.Func("sensitivity", "faulty sites that this build flagged, of all faulty sites of an evaluation, as `K/N`", shareFlag(&known.Sensitivity))
		fs.Func("specificity", "other sites that it did not flag, of all other sites, as `K/N`; with both the report says what a flag is worth", shareFlag(&known.Specificity))
	})
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return usage("name one sweep")
	}
	if (known.Sensitivity.N > 0) != (known.Specificity.N > 0) {
		return usage("--sensitivity and --specificity are only of use together")
	}
	if err := out.known("html", "pdf", "csv", "json"); err != nil {
		return err
	}
	if labels && !shared {
		return errNotShared
	}
	st, err := existingStore(ctx, o)
	if err != nil {
		return err
	}
	defer st.Close()
	sweep, err := figuredSweep(ctx, st, store.Place(o.store), rest[0])
	if err != nil {
		return err
	}
	if labels {
		return writeLabels(ctx, e.stdout, st, sweep.ID)
	}
	tally := figures.NewTally()
	if err := st.EachWord(ctx, sweep.ID, func(v pc.Verdict) error { tally.Add(v); return nil }); err != nil {
		return err
	}
	f := tally.Figures(sweep)
	if known.Sensitivity.N > 0 {
		f.Evaluate(known)
	}
	return out.write(ctx, e, f, filepath.Join(o.out, "report", sweep.ID))
}

// compareCmd says what changed from one sweep to another.
func compareCmd(ctx context.Context, e env, args []string) error {
	var out output
	o, rest, err := parseWith(e, "compare", forData, args, func(fs *flag.FlagSet) {
		out.flags(fs, "text", "text, html, pdf, csv or json")
	})
	if err != nil {
		return err
	}
	if len(rest) != 2 {
		return usage("name two sweeps, the earlier one first")
	}
	if err := out.known("text", "html", "pdf", "csv", "json"); err != nil {
		return err
	}
	st, err := existingStore(ctx, o)
	if err != nil {
		return err
	}
	defer st.Close()
	before, err := figuredSweep(ctx, st, store.Place(o.store), rest[0])
	if err != nil {
		return err
	}
	after, err := figuredSweep(ctx, st, store.Place(o.store), rest[1])
	if err != nil {
		return err
	}
	pairing := figures.NewPairing()
	err = st.EachWord(ctx, before.ID, func(v pc.Verdict) error { pairing.Before(v); return nil })
	if err == nil {
		err = st.EachWord(ctx, after.ID, func(v pc.Verdict) error { pairing.After(v); return nil })
	}
	if err != nil {
		return err
	}
	c := pairing.Comparison(before, after)
	if out.format == "text" {
		if out.to == "" || out.to == "-" {
			return c.Text(e.stdout)
		}
		return writeFile(e, out.to, c.Text)
	}
	return out.write(ctx, e, c, filepath.Join(o.out, "report", before.ID+"_"+after.ID))
}

// figuredSweep is a sweep as its figures need it.
func figuredSweep(ctx context.Context, st *store.Store, where, id string) (figures.Sweep, error) {
	sw, err := findSweep(ctx, st, where, id)
	if err != nil {
		return figures.Sweep{}, err
	}
	n, err := st.Counts(ctx, id)
	return figures.Sweep{ID: sw.ID, Created: sw.Created, Finished: sw.Finished, Agree: sw.Agree, Listed: n.Sites}, err
}

// known refuses a format that there is not, before anything is read.
func (f *output) known(formats ...string) error {
	if !slices.Contains(formats, f.format) {
		return usage("--format %q: want one of %s", f.format, strings.Join(formats, ", "))
	}
	return nil
}

// write writes the document where it is wanted, or to name with the format as its ending.
func (f *output) write(ctx context.Context, e env, d document, name string) error {
	into := map[string]func(io.Writer) error{"html": d.HTML, "csv": d.CSV, "json": d.JSON, "pdf": func(w io.Writer) error {
		var page bytes.Buffer
		if err := d.HTML(&page); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeoutCause(ctx, printing, fmt.Errorf("no PDF after %v", printing))
		defer cancel()
		pdf, err := crawler.PrintPDF(ctx, f.chrome, page.Bytes())
		if err != nil {
			return fmt.Errorf("%w; --format html can be printed by any browser", err)
		}
		_, err = w.Write(pdf)
		return err
	}}[f.format]
	if f.to == "-" {
		return into(e.stdout)
	}
	if f.to == "" {
		f.to = name + "." + f.format
		if err := os.MkdirAll(filepath.Dir(f.to), 0o755); err != nil {
			return err
		}
	}
	return writeFile(e, f.to, into)
}

// writeFile writes a file whole or not at all, and names it on standard output.
func writeFile(e env, name string, into func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".report-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := errors.Join(into(f), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.stdout, name)
	return err
}

// shareFlag reads a share from a flag.
func shareFlag(s *figures.Share) func(string) error {
	return func(v string) error {
		k, n, ok := strings.Cut(v, "/")
		var err1, err2 error
		s.K, err1 = strconv.Atoi(k)
		s.N, err2 = strconv.Atoi(n)
		if !ok || err1 != nil || err2 != nil || s.K < 0 || s.N < 1 || s.K > s.N {
			return errors.New("want so many of how many, such as 554/554")
		}
		return nil
	}
}
