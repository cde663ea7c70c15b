package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"pecrawler/crawler"
	"pecrawler/evidence"
	"pecrawler/letter"
	"pecrawler/review"
	"pecrawler/store"
)

// outward is what the review pages need for what leaves them.
type outward struct{ letters, attachments, chrome, key string }

func (w *outward) flags(fs *flag.FlagSet) {
	fs.StringVar(&w.letters, "letters", "", "`folder` with the templates of letters, LANGUAGE.letter.txt and LANGUAGE.annex.txt; those of the program when not given")
	fs.StringVar(&w.attachments, "attachments", "", "where letters and replies are kept: a folder or a bucket's `URL`; OUT/attached when not given")
	fs.StringVar(&w.chrome, "chrome", "", "`path` of Chromium, which prints letters as PDF; searched for when not given; none: letters have no PDF")
	fs.StringVar(&w.key, "signing-key", "", "private Ed25519 key that case files are signed by, PEM `file`; that of the data folder, if it has one, when not given")
}

// options says to the pages how letters are made and case files signed. done
// closes what was opened.
func (w *outward) options(ctx context.Context, o *options, opt *review.Options) (done func(), err error) {
	if w.letters != "" {
		if opt.Letters, err = letter.Load(os.DirFS(w.letters)); err != nil {
			return nil, fmt.Errorf("--letters %s: %w", w.letters, err)
		}
	}
	key := w.key
	if key == "" {
		key = keyPath(o.out)
	}
	if opt.Signer, err = evidence.ReadKey(key); err != nil {
		opt.Signer = nil // not one that is nothing
		if w.key != "" || !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if w.chrome != "none" {
		opt.Print = func(ctx context.Context, html []byte) ([]byte, error) { return crawler.PrintPDF(ctx, w.chrome, html) }
	}
	where := w.attachments
	if where == "" {
		where = filepath.Join(o.out, "attached")
	}
	if opt.Attachments, err = evidence.OpenVault(ctx, where); err != nil {
		return nil, fmt.Errorf("--attachments: %w", err)
	}
	return func() { opt.Attachments.Close() }, nil
}

// caseCmd looks into case files.
func caseCmd(_ context.Context, e env, args []string) error {
	const want = "want case verify FILE; case verify --help tells more"
	if len(args) == 0 {
		return usage(want)
	}
	e.stdout = plain{e.stdout}
	if args[0] != "verify" {
		return usage("%q: "+want, args[0])
	}
	return caseVerify(e, args[1:])
}

// caseVerify needs nothing but the file and, to know who made it, the public key.
func caseVerify(e env, args []string) error {
	var keyFile string
	_, rest, err := parseWith(e, "case verify", 0, args, func(fs *flag.FlagSet) {
		fs.StringVar(&keyFile, "key", "", "public key that the file must be signed by, PEM `file`")
	})
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return usage("want case verify FILE")
	}
	raw, err := os.ReadFile(rest[0])
	if err != nil {
		return err
	}
	c, err := evidence.ReadCase(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", rest[0], err)
	}
	entries, err := wholeEntries(c.File("audit.jsonl"))
	if err != nil {
		return fmt.Errorf("%s: audit.jsonl: %w", rest[0], err)
	}
	by, err := whoseKey(rest[0], keyFile, c.CheckKey)
	if err != nil {
		return err
	}
	m := c.Manifest
	fmt.Fprintf(e.stdout, "unchanged: %s\nsite %s of sweep %s, made %s by %s\n%d files, %d sealed bundles, %d entries of the audit log\n", c.Digest(), m.Site, m.Sweep, m.MadeAt.Format(timeForm), m.MadeBy, len(m.Files), len(c.Bundles), entries)
	for _, b := range c.Bundles {
		signed := "not signed"
		if s := b.Signature(); s != nil {
			signed = "signed by the key " + s.KeyID
		}
		fmt.Fprintf(e.stdout, "bundle %s, visit %s, sealed %s, %s\n", b.Digest(), b.Manifest().Visit, b.Manifest().SealedAt.Format(timeForm), signed)
	}
	if c.Signature == nil {
		fmt.Fprintln(e.stdout, "signature: none; the digest alone tells that it is unchanged, if you have it from elsewhere")
		return nil
	}
	fmt.Fprintf(e.stdout, "signature: good, by the key %s, %s\n", c.Signature.KeyID, by)
	return nil
}

// wholeEntries checks that each entry of a part of the audit log is as it was
// written, and counts them.
func wholeEntries(jsonl []byte) (n int, err error) {
	dec := json.NewDecoder(bytes.NewReader(jsonl))
	for ; ; n++ {
		var entry store.Entry
		if err := dec.Decode(&entry); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
		if !entry.Whole() {
			return n, fmt.Errorf("entry %d is not as it was written", entry.Seq)
		}
	}
}
