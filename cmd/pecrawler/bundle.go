package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"

	pc "pecrawler"
	"pecrawler/evidence"
)

// timeForm is how this command writes instants.
const timeForm = "2006-01-02 15:04:05 MST"

// bundleCmd looks into sealed bundles.
func bundleCmd(ctx context.Context, e env, args []string) error {
	const want = "want bundle show, verify, export, expire, hold or release; bundle verify --help tells more"
	if len(args) == 0 {
		return usage(want)
	}
	e.stdout = plain{e.stdout}
	switch args[0] {
	case "show":
		return bundleShow(e, args[1:])
	case "verify":
		return bundleVerify(e, args[1:])
	case "export":
		return bundleExport(e, args[1:])
	case "hold":
		return bundleNote(ctx, e, evidence.ActHold, args[1:])
	case "release":
		return bundleNote(ctx, e, evidence.ActRelease, args[1:])
	case "expire":
		return bundleExpire(ctx, e, args[1:])
	case "help", "-h", "--help":
		fmt.Fprintln(e.stderr, want)
		return flag.ErrHelp
	}
	return usage("%q: "+want, args[0])
}

// bundleArgs reads a subcommand's flags and its one argument.
func bundleArgs(e env, cmd string, groups int, args []string, own func(*flag.FlagSet)) (*options, string, error) {
	o, rest, err := parseWith(e, "bundle "+cmd, groups, args, own)
	if err != nil {
		return nil, "", err
	}
	if len(rest) != 1 {
		return nil, "", usage("want bundle %s", cmd)
	}
	return o, rest[0], nil
}

func readBundle(file string) (*evidence.Bundle, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	b, err := evidence.Read(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return b, nil
}

// bundleVerify needs nothing but the file and, to know who sealed it, the
// public key.
func bundleVerify(e env, args []string) error {
	var keyFile string
	_, file, err := bundleArgs(e, "verify FILE", 0, args, func(fs *flag.FlagSet) {
		fs.StringVar(&keyFile, "key", "", "public key that the bundle must be signed by, PEM `file`")
	})
	if err != nil {
		return err
	}
	b, err := readBundle(file)
	if err != nil {
		return err
	}
	by, err := whoseKey(file, keyFile, b.CheckKey)
	if err != nil {
		return err
	}
	m, sig := b.Manifest(), b.Signature()
	fmt.Fprintf(e.stdout, "unchanged: %s\nvisit %s, sealed %s, %d parts\n", b.Digest(), m.Visit, m.SealedAt.Format(timeForm), len(m.Parts))
	if sig == nil {
		fmt.Fprintln(e.stdout, "signature: none; the digest alone tells that it is unchanged, if you have it from elsewhere")
		return nil
	}
	fmt.Fprintf(e.stdout, "signature: good, by the key %s, %s\n", sig.KeyID, by)
	switch ts := b.Stamp(); {
	case ts != nil:
		fmt.Fprintf(e.stdout, "time stamp: %s by %s (their certificate was not compared with any root)\n", ts.Time.Format(timeForm), ts.Authority)
	default:
		fmt.Fprintf(e.stdout, "time stamp: %s\n", sig.Timestamp)
	}
	return nil
}

// whoseKey says whose the key is that a file is signed by. check compares it with
// that of keyFile, if there is one.
func whoseKey(file, keyFile string, check func(ed25519.PublicKey) error) (string, error) {
	if keyFile == "" {
		return "which was compared with no other: give --key PUBLIC.pem", nil
	}
	key, err := evidence.ReadPublicKey(keyFile)
	if err != nil {
		return "", err
	}
	if err := check(key); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return "which is that of " + keyFile, nil
}

// bundleExport writes a bundle in forms that others read. Without a flag it
// writes both, beside the bundle. A file that is there is not replaced.
func bundleExport(e env, args []string) error {
	var har, wacz string
	_, file, err := bundleArgs(e, "export FILE", 0, args, func(fs *flag.FlagSet) {
		fs.StringVar(&har, "har", "", "`file` for the requests as HAR 1.2")
		fs.StringVar(&wacz, "wacz", "", "`file` for everything as a web archive, WACZ 1.1.1")
	})
	if err != nil {
		return err
	}
	b, err := readBundle(file)
	if err != nil {
		return err
	}
	if har == "" && wacz == "" {
		base := strings.TrimSuffix(file, ".zip")
		har, wacz = base+".har", base+".wacz"
	}
	for _, x := range []struct {
		name  string
		write func(io.Writer, *evidence.Bundle) error
	}{{har, evidence.WriteHAR}, {wacz, evidence.WriteWACZ}} {
		if x.name == "" {
			continue
		}
		if err := writeNew(x.name, func(w io.Writer) error { return x.write(w, b) }); err != nil {
			return err
		}
		fmt.Fprintln(e.stdout, x.name)
	}
	return nil
}

// writeNew writes a file that was not there.
func writeNew(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

func bundleShow(e env, args []string) error {
	_, file, err := bundleArgs(e, "show FILE", 0, args, func(*flag.FlagSet) {})
	if err != nil {
		return err
	}
	b, err := readBundle(file)
	if err != nil {
		return err
	}
	m, v, look := b.Manifest(), b.Visit(), b.Look()
	fmt.Fprintf(e.stdout, "%s\n\nsite    %s\nvisit   %d of sweep %s\nsealed  %s\nlook    %s %s (HTTP %d, robots %s)\n", b.Digest(), v.Site, v.Number, v.Sweep, m.SealedAt.Format(timeForm), look.Load.Outcome, look.Load.Reason, look.Status, look.Robots)
	if st := m.Start; st != nil {
		fmt.Fprintf(e.stdout, "clock   synchronised: %v (%s)\n", st.Clock.Synchronised, st.Clock.Source)
		for _, br := range st.Browsers {
			fmt.Fprintf(e.stdout, "start   %v: %s, profile %s, third-party cookies %v, %s, %s, egress %s\n", br.Scenarios, br.Chrome, st.Profile, onOff(br.ThirdPartyCookies), br.Locale, br.Timezone, br.Egress)
		}
	}
	for _, s := range pc.EveryScenario {
		c := b.Captures()[s]
		if c == nil {
			continue
		}
		fmt.Fprintf(e.stdout, "%-7s %s %s, %d requests, %d stored items, %d pages, %d presses\n", s, c.Load.Outcome, c.Load.Reason, len(c.Requests), len(c.Storage), len(c.Pages), len(c.Acts))
		for _, a := range c.Acts {
			fmt.Fprintf(e.stdout, "        pressed %q (%s): %s\n", a.Text, a.Purpose, a.Effect)
		}
		for what, why := range c.Missing {
			fmt.Fprintf(e.stdout, "        missing %s: %s\n", what, why)
		}
	}
	fmt.Fprintln(e.stdout)
	tw := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for _, p := range m.Parts {
		fmt.Fprintf(tw, "%s\t%d bytes\t%s\n", p.Name, p.Size, p.SHA256)
	}
	return tw.Flush()
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// plain lets no control character through, so that a bundle from anywhere
// cannot command a terminal.
type plain struct{ io.Writer }

func (w plain) Write(p []byte) (int, error) {
	_, err := w.Writer.Write(bytes.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '\uFFFD'
		}
		return r
	}, p))
	return len(p), err
}
