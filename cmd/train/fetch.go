package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed packages.tsv
var packages string

// pkg is one npm package.
type pkg struct{ name, version, integrity, licence, what string }

func pkgs() ([]pkg, error) {
	var out []pkg
	for line := range strings.Lines(packages) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 5 {
			return nil, fmt.Errorf("packages.tsv: %q has %d fields, want 5", line, len(f))
		}
		out = append(out, pkg{f[0], f[1], f[2], f[3], f[4]})
	}
	return out, nil
}

// fetch takes each package that is not there from the registry, and only if it
// is what packages.tsv says. Nothing of a package is run.
func fetch(ctx context.Context, cache string) error {
	ps, err := pkgs()
	if err != nil {
		return err
	}
	for _, p := range ps {
		dir := filepath.Join(cache, "node_modules", filepath.FromSlash(p.name))
		mark := filepath.Join(dir, ".integrity")
		if got, err := os.ReadFile(mark); err == nil && string(got) == p.integrity {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		raw, err := pack(ctx, p)
		if err != nil {
			return fmt.Errorf("fetch %s@%s: %w", p.name, p.version, err)
		}
		sum := sha512.Sum512(raw)
		if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != p.integrity {
			return fmt.Errorf("fetch %s@%s: its integrity is %s, want %s", p.name, p.version, got, p.integrity)
		}
		if err := unpack(raw, dir); err != nil {
			return fmt.Errorf("unpack %s@%s: %w", p.name, p.version, err)
		}
		if err := os.WriteFile(mark, []byte(p.integrity), 0o644); err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "fetched", p.name, p.version)
	}
	return nil
}

func pack(ctx context.Context, p pkg) ([]byte, error) {
	tmp, err := os.MkdirTemp("", "train-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", tmp, p.name+"@"+p.version)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("npm pack: %w", err)
	}
	return os.ReadFile(filepath.Join(tmp, filepath.Base(strings.TrimSpace(string(out)))))
}

// unpack writes the regular files of a package below dir.
func unpack(raw []byte, dir string) error {
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, name, ok := strings.Cut(h.Name, "/") // the first folder is the package itself
		if h.Typeflag != tar.TypeReg || !ok {
			continue
		}
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%q leads out of the package", h.Name)
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		f, err := os.Create(to)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, t)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
}
