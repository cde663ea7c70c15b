// Package evidence seals what a visit saw and opens it again.
//
// A bundle is a zip whose first entry, manifest.json, lists every part with its
// size and SHA-256, and says what the visit began with ([Start]). The bundle's
// digest is the SHA-256 of the manifest, so the name vouches for every byte of
// every part. The second entry, signature.json, is an Ed25519 signature over
// that digest by the key that the manifest names; the third, timestamp.tsr, is a
// time stamp of the manifest by an authority (RFC 3161), where one was asked and
// answered, and the signature covers it too. Bundles are written once, under
// sha256/<aa>/<digest>.zip, and never changed: nothing else in the system writes
// or opens one, and nothing at all alters a sealed one.
//
// Opening verifies everything. A bundle with a damaged, missing or surplus part
// does not open, and the error names the part. The zip has no byte that does
// not follow from the manifest and the signature: what could be written in two
// ways is refused in all but one.
//
//	manifest.json               the Manifest
//	signature.json              the Signature
//	timestamp.tsr               the authority's response
//	visit.json                  the pecrawler.Visit
//	look.json                   the plain HTTP look before the browser
//	idle/capture.json           the pecrawler.Capture of a scenario
//	idle/pages/0.json           a page tree named by the capture
//	idle/screens/0.jpg          a picture named by the capture
//	idle/bodies/17              the body of the response to request 17, where it was kept
//
// Bundles of schema 1 have neither signature nor [Start], and their zip was
// less strict; they stay readable.
//
// What leaves the vault leaves as [WriteHAR], [WriteWACZ] and [WriteCase], or at the
// end of its time by [Vault.Expire], unless it is held. Letters and replies lie
// beside the bundles, see [Vault.Attach].
package evidence

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	pc "pecrawler"
)

// Schema is the version of the bundle's form. Old ones stay readable: 1 was not
// signed, and did not say how its parts are packed.
const Schema = 2

// Limits against hostile bundles and runaway pages, in bytes.
const (
	maxPart   = 64 << 20
	maxBundle = 256 << 20
	maxParts  = 2000
)

// The entries that are no parts, and the word for what is no entry.
const (
	manifestName  = "manifest.json"
	signatureName = "signature.json"
	stampName     = "timestamp.tsr"
	archiveName   = "(archive)"
)

// Manifest says what a bundle is, and lists its parts.
type Manifest struct {
	Schema   int       `json:"schema"`
	Visit    string    `json:"visit"`               // the visit's ID
	SealedAt time.Time `json:"sealed_at"`           // UTC, by the worker's clock
	SignedBy string    `json:"signed_by,omitempty"` // the [KeyID] of the signature's key; "" when there is no signature
	Start    *Start    `json:"start,omitempty"`     // nil in schema 1
	Parts    []Part    `json:"parts"`               // sorted by name
}

// Part is one file of a bundle.
type Part struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"` // bytes, unpacked
	SHA256 string `json:"sha256"`
	Packed string `json:"packed_sha256,omitempty"` // of its DEFLATE stream; "" when it is stored as it is
}

// DamagedError says which part of a bundle, or file of a case file, is not what
// was sealed.
type DamagedError struct {
	Part   string
	Reason string
}

func (e *DamagedError) Error() string {
	part := e.Part
	if strings.ContainsFunc(part, unicode.IsControl) {
		part = strconv.Quote(part)
	}
	return fmt.Sprintf("damaged: %s: %s", part, e.Reason)
}

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
	reserved := name == "" || name == manifestName || name == signatureName || name == stampName
	strange := func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }
	return !reserved && len(name) < 200 && path.Clean(name) == name && !strings.HasPrefix(name, "/") && !strings.HasPrefix(name, "..") && !strings.ContainsFunc(name, strange)
}

// capturePart is the name of a scenario's capture.
func capturePart(s pc.Scenario) string { return string(s) + "/capture.json" }

// pack packs the parts and makes the manifest of them. start is completed from
// the captures.
func (d *Draft) pack(now time.Time, start Start, signedBy string) (manifest []byte, parts []entry, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	visit, err := json.Marshal(d.visit)
	if err != nil {
		return nil, nil, fmt.Errorf("encode visit: %w", err)
	}
	contents := maps.Clone(d.parts)
	contents["visit.json"] = visit
	start.Browsers, start.Clock = browsers(contents), readClock()
	m := Manifest{Schema: Schema, Visit: d.visit.ID(), SealedAt: now.UTC().Truncate(time.Millisecond), SignedBy: signedBy, Start: &start}
	for _, n := range slices.Sorted(maps.Keys(contents)) {
		p, e, err := packPart(n, contents[n])
		if err != nil {
			return nil, nil, fmt.Errorf("pack %s: %w", n, err)
		}
		m.Parts, parts = append(m.Parts, p), append(parts, e)
	}
	manifest, err = json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, nil, fmt.Errorf("encode manifest: %w", err)
	}
	return manifest, parts, nil
}

func packPart(name string, content []byte) (Part, entry, error) {
	p := Part{Name: name, Size: int64(len(content)), SHA256: hexSum(content)}
	if strings.HasPrefix(path.Ext(name), ".jp") {
		return p, stored(name, content), nil // already compressed
	}
	e, err := deflated(name, content)
	p.Packed = hexSum(e.packed)
	return p, e, err
}

// Bundle is an opened bundle: every part has been checked against the manifest.
type Bundle struct {
	digest    string
	manifest  Manifest
	signature *Signature
	stamp     *Stamp
	visit     pc.Visit
	look      pc.Look
	captures  map[pc.Scenario]*pc.Capture
	parts     map[string][]byte // manifest, signature and time stamp too
}

// Read opens a bundle from its bytes and verifies everything in it. What is not
// as it was sealed gives a *DamagedError. Whether the key is one to be trusted
// is the caller's to say: see [Bundle.CheckKey].
func Read(data []byte) (*Bundle, error) {
	entries, err := unzip(data)
	if err != nil {
		return nil, err
	}
	b := &Bundle{captures: map[pc.Scenario]*pc.Capture{}, parts: map[string][]byte{}}
	found := map[string]entry{}
	for _, e := range entries {
		found[e.name], b.parts[e.name] = e, e.content
	}
	manifest, ok := found[manifestName]
	if !ok {
		return nil, &DamagedError{manifestName, "missing"}
	}
	if err := json.Unmarshal(manifest.content, &b.manifest); err != nil {
		return nil, &DamagedError{manifestName, err.Error()}
	}
	if b.manifest.Schema < 1 || b.manifest.Schema > Schema {
		return nil, &DamagedError{manifestName, fmt.Sprintf("schema %d is not known to this version", b.manifest.Schema)}
	}
	b.digest = sumOf(manifest.content)
	want, err := b.expected(found)
	if err != nil {
		return nil, err
	}
	listed := map[string]bool{}
	for _, e := range want {
		listed[e.name] = true
	}
	for _, e := range entries {
		if !listed[e.name] {
			return nil, &DamagedError{e.name, "not in the manifest"}
		}
	}
	if b.manifest.Schema >= 2 {
		if err := b.checkForm(data, want, found); err != nil {
			return nil, err
		}
	}
	return b, b.decode()
}

// checkForm verifies that the file is, byte for byte, the one that we write for
// the entries.
func (b *Bundle) checkForm(data []byte, want []entry, found map[string]entry) error {
	for _, p := range b.manifest.Parts {
		e := found[p.Name]
		if (p.Packed == "") != (e.method == zip.Store) || p.Packed != "" && p.Packed != hexSum(e.packed) {
			return &DamagedError{p.Name, "it is not packed as it was sealed"}
		}
	}
	if again, err := zipBytes(want); err != nil || !bytes.Equal(again, data) {
		return &DamagedError{archiveName, "its parts are whole, but something about or between them is not as we write it"}
	}
	return nil
}

// expected checks every entry that the manifest asks for and returns them in
// the order in which we write them.
func (b *Bundle) expected(found map[string]entry) ([]entry, error) {
	want := []entry{found[manifestName]}
	if b.manifest.SignedBy != "" {
		sig, err := b.checkSeal(found)
		if err != nil {
			return nil, err
		}
		want = append(want, sig...)
	}
	for _, p := range b.manifest.Parts {
		e, ok := found[p.Name]
		if !ok {
			return nil, &DamagedError{p.Name, "missing"}
		}
		if hexSum(e.content) != p.SHA256 || int64(len(e.content)) != p.Size {
			return nil, &DamagedError{p.Name, "its content is not what was sealed"}
		}
		want = append(want, e)
	}
	return want, nil
}

// checkSeal verifies the signature, and the time stamp if the signature speaks
// of one.
func (b *Bundle) checkSeal(found map[string]entry) (seal []entry, err error) {
	sig, ok := found[signatureName]
	if !ok {
		return nil, &DamagedError{signatureName, "missing"}
	}
	if b.signature, err = checkSignature(sig.content, b.manifest.SignedBy, func(timestamp string) []byte { return signedText(b.digest, timestamp) }); err != nil {
		return nil, err
	}
	seal = append(seal, sig)
	if t := b.signature.Timestamp; t == noStamp || t == failedStamp {
		return seal, nil
	}
	stamp, ok := found[stampName]
	if !ok {
		return nil, &DamagedError{stampName, "missing"}
	}
	if sumOf(stamp.content) != b.signature.Timestamp {
		return nil, &DamagedError{stampName, "it is not the one that was signed"}
	}
	if b.stamp, err = checkStamp(stamp.content, found[manifestName].content); err != nil {
		return nil, err
	}
	return append(seal, stamp), nil
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
		name := capturePart(s)
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

// Manifest says what the bundle is, and lists the parts.
func (b *Bundle) Manifest() Manifest { return b.manifest }

// Signature is the verified signature; nil when the bundle was not signed.
func (b *Bundle) Signature() *Signature { return b.signature }

// Stamp is the verified time stamp; nil when there is none.
func (b *Bundle) Stamp() *Stamp { return b.stamp }

// CheckKey says whether the bundle was signed by a key. A *DamagedError tells
// that it is not signed; one that another key signed is whole nevertheless.
func (b *Bundle) CheckKey(key ed25519.PublicKey) error {
	return checkKey("bundle", b.signature, key)
}

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
