// Package evidence seals what a visit saw and opens it again.
//
// A bundle is a zip whose first entry, manifest.json, lists every other part
// with its size and SHA-256. The bundle's digest is the SHA-256 of the
// manifest, so the name vouches for every byte of every part. Bundles are
// written once, under sha256/<aa>/<digest>.zip, and never changed: nothing else
// in the system writes or opens one, and nothing at all alters a sealed one.
//
// Opening verifies everything. A bundle with a damaged, missing or surplus part
// does not open, and the error names the part.
//
//	visit.json                  the pecrawler.Visit
//	look.json                   the plain HTTP look before the browser
//	idle/capture.json           the pecrawler.Capture of a scenario
//	idle/pages/0.json           a page tree named by the capture
//	idle/screens/0.jpg          a picture named by the capture
package evidence

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	pc "pecrawler"
)

// Schema is the version of the bundle's form. Old ones stay readable.
const Schema = 1

// Limits against hostile bundles and runaway pages, in bytes.
const (
	maxPart   = 64 << 20
	maxBundle = 256 << 20
	maxParts  = 2000
)

const manifestName = "manifest.json"

// Manifest lists the parts of a bundle.
type Manifest struct {
	Schema   int       `json:"schema"`
	Visit    string    `json:"visit"`     // the visit's ID
	SealedAt time.Time `json:"sealed_at"` // UTC, by the worker's clock
	Parts    []Part    `json:"parts"`     // sorted by name
}

// Part is one file of a bundle.
type Part struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// DamagedError says which part of a bundle is not what was sealed.
type DamagedError struct {
	Part   string
	Reason string
}

func (e *DamagedError) Error() string { return fmt.Sprintf("damaged bundle: %s: %s", e.Part, e.Reason) }

// Draft gathers the parts of a visit before they are sealed. Its methods may be
// called from several goroutines.
type Draft struct {
	visit pc.Visit
	mu    sync.Mutex
	parts map[string][]byte
	size  int64
}

// NewDraft begins the bundle of a visit.
func NewDraft(v pc.Visit) *Draft { return &Draft{visit: v, parts: map[string][]byte{}} }

// Add puts a part into the draft. Names are slash paths; each can be used once.
func (d *Draft) Add(name string, data []byte) error {
	if !validName(name) {
		return fmt.Errorf("part %q: not a clean relative path", name)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, dup := d.parts[name]; dup {
		return fmt.Errorf("part %q: added twice", name)
	}
	d.size += int64(len(data))
	if len(data) > maxPart || d.size > maxBundle || len(d.parts) >= maxParts {
		return fmt.Errorf("part %q: the bundle would exceed its limits", name)
	}
	d.parts[name] = data
	return nil
}

func validName(name string) bool {
	return name != "" && name != manifestName && len(name) < 200 && path.Clean(name) == name && !strings.HasPrefix(name, "/") && !strings.HasPrefix(name, "..") && !strings.ContainsAny(name, "\\\x00")
}

// pack writes the bundle and returns it with its digest.
func (d *Draft) pack(now time.Time) (data []byte, digest string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	visit, err := json.Marshal(d.visit)
	if err != nil {
		return nil, "", fmt.Errorf("encode visit: %w", err)
	}
	parts := maps.Clone(d.parts)
	parts["visit.json"] = visit
	m := Manifest{Schema: Schema, Visit: d.visit.ID(), SealedAt: now.UTC().Truncate(time.Millisecond)}
	names := slices.Sorted(maps.Keys(parts))
	for _, n := range names {
		sum := sha256.Sum256(parts[n])
		m.Parts = append(m.Parts, Part{Name: n, Size: int64(len(parts[n])), SHA256: hex.EncodeToString(sum[:])})
	}
	manifest, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, "", fmt.Errorf("encode manifest: %w", err)
	}
	var buf bytes.Buffer
	zw := zip.NewWriter(&buf)
	zw.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	write := func(name string, b []byte) error {
		method := zip.Deflate
		if strings.HasPrefix(path.Ext(name), ".jp") {
			method = zip.Store // already compressed
		}
		w, err := zw.CreateHeader(&zip.FileHeader{Name: name, Method: method, Modified: m.SealedAt})
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	}
	if err := write(manifestName, manifest); err != nil {
		return nil, "", err
	}
	for _, n := range names {
		if err := write(n, parts[n]); err != nil {
			return nil, "", err
		}
	}
	if err := zw.Close(); err != nil {
		return nil, "", err
	}
	return buf.Bytes(), digestOf(manifest), nil
}

func digestOf(manifest []byte) string {
	sum := sha256.Sum256(manifest)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Seal packs the draft and writes it to the vault. It returns the digest. The
// draft can be thrown away afterwards.
func Seal(ctx context.Context, v *Vault, d *Draft) (digest string, err error) {
	data, digest, err := d.pack(time.Now())
	if err != nil {
		return "", fmt.Errorf("seal %s: %w", d.visit.ID(), err)
	}
	if err := v.put(ctx, digest, data); err != nil {
		return "", fmt.Errorf("seal %s: %w", d.visit.ID(), err)
	}
	return digest, nil
}

// Bundle is an opened bundle: every part has been checked against the manifest.
type Bundle struct {
	digest   string
	manifest Manifest
	visit    pc.Visit
	look     pc.Look
	captures map[pc.Scenario]*pc.Capture
	parts    map[string][]byte
}

// Read opens a bundle from its bytes and verifies every part. A part that is
// not what was sealed gives a *DamagedError.
func Read(data []byte) (*Bundle, error) {
	zr, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, &DamagedError{"(archive)", err.Error()}
	}
	if len(zr.File) == 0 || len(zr.File) > maxParts+2 {
		return nil, &DamagedError{"(archive)", fmt.Sprintf("%d entries", len(zr.File))}
	}
	b := &Bundle{captures: map[pc.Scenario]*pc.Capture{}, parts: map[string][]byte{}}
	var total int64
	for _, f := range zr.File {
		if _, dup := b.parts[f.Name]; dup {
			return nil, &DamagedError{f.Name, "it is there twice"}
		}
		raw, err := readPart(f)
		if err != nil {
			return nil, &DamagedError{f.Name, err.Error()}
		}
		if total += int64(len(raw)); total > maxBundle {
			return nil, &DamagedError{f.Name, "the bundle is larger than any that we seal"}
		}
		b.parts[f.Name] = raw
	}
	manifest, ok := b.parts[manifestName]
	if !ok {
		return nil, &DamagedError{manifestName, "missing"}
	}
	delete(b.parts, manifestName)
	if err := json.Unmarshal(manifest, &b.manifest); err != nil {
		return nil, &DamagedError{manifestName, err.Error()}
	}
	if b.manifest.Schema < 1 || b.manifest.Schema > Schema {
		return nil, &DamagedError{manifestName, fmt.Sprintf("schema %d is not known to this version", b.manifest.Schema)}
	}
	b.digest = digestOf(manifest)
	listed := map[string]bool{}
	for _, p := range b.manifest.Parts {
		raw, ok := b.parts[p.Name]
		if !ok {
			return nil, &DamagedError{p.Name, "missing"}
		}
		if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != p.SHA256 || int64(len(raw)) != p.Size {
			return nil, &DamagedError{p.Name, "its content is not what was sealed"}
		}
		listed[p.Name] = true
	}
	for name := range b.parts {
		if !listed[name] {
			return nil, &DamagedError{name, "not in the manifest"}
		}
	}
	return b, b.decode()
}

func readPart(f *zip.File) ([]byte, error) {
	if f.UncompressedSize64 > maxPart {
		return nil, errors.New("larger than any part that we seal")
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, int64(f.UncompressedSize64)+1))
	if err != nil {
		return nil, err
	}
	if uint64(len(raw)) > f.UncompressedSize64 {
		return nil, errors.New("larger than it says")
	}
	return raw, nil
}

func (b *Bundle) decode() error {
	if err := b.unmarshal("visit.json", &b.visit); err != nil {
		return err
	}
	if b.visit.ID() != b.manifest.Visit {
		return &DamagedError{"visit.json", "the manifest is of another visit"}
	}
	if err := b.unmarshal("look.json", &b.look); err != nil {
		return err
	}
	for _, s := range pc.EveryScenario {
		name := string(s) + "/capture.json"
		if _, ok := b.parts[name]; !ok {
			continue
		}
		c := new(pc.Capture)
		if err := b.unmarshal(name, c); err != nil {
			return err
		}
		b.captures[s] = c
	}
	return nil
}

func (b *Bundle) unmarshal(name string, v any) error {
	raw, ok := b.parts[name]
	if !ok {
		return &DamagedError{name, "missing"}
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return &DamagedError{name, err.Error()}
	}
	return nil
}

// Digest is the bundle's name: "sha256:" and the SHA-256 of its manifest.
func (b *Bundle) Digest() string { return b.digest }

// Manifest lists the parts.
func (b *Bundle) Manifest() Manifest { return b.manifest }

// Visit is the visit that was sealed.
func (b *Bundle) Visit() pc.Visit { return b.visit }

// Look is the plain HTTP look before the browser.
func (b *Bundle) Look() pc.Look { return b.look }

// Captures are the captures by scenario; a scenario that was not run is absent.
func (b *Bundle) Captures() map[pc.Scenario]*pc.Capture { return b.captures }

// Part returns a part by its name.
func (b *Bundle) Part(name string) ([]byte, error) {
	raw, ok := b.parts[name]
	if !ok {
		return nil, fmt.Errorf("bundle %s has no part %q", b.digest, name)
	}
	return raw, nil
}

// Page decodes a page tree.
func (b *Bundle) Page(name string) (*pc.Page, error) {
	p := new(pc.Page)
	if err := b.unmarshal(name, p); err != nil {
		return nil, err
	}
	for i := range p.Nodes {
		if p.Nodes[i].Parent >= i || p.Nodes[i].Parent < -1 {
			return nil, &DamagedError{name, fmt.Sprintf("node %d has the parent %d", i, p.Nodes[i].Parent)}
		}
	}
	return p, nil
}
