package evidence

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// CaseSchema is the version of the form of a case file.
const CaseSchema = 1

// CaseManifest says what a case file is, and lists its files.
type CaseManifest struct {
	Schema   int       `json:"schema"`
	Sweep    string    `json:"sweep"`
	Site     string    `json:"site"`
	MadeAt   time.Time `json:"made_at"`
	MadeBy   string    `json:"made_by"`
	SignedBy string    `json:"signed_by,omitempty"` // the [KeyID] of the signature's key; "" when there is no signature
	Files    []Part    `json:"files"`               // sorted by name
}

// Case is a case file whose every byte was checked: a zip of all that there is
// about one site, for whoever decides on it elsewhere. Its first entry,
// manifest.json, lists the others; the second, signature.json, is there when it
// was signed. Nothing in it is compressed, so that it can be written in one way
// only. Files whose names begin with bundles/ are bundles, and were verified.
type Case struct {
	Manifest  CaseManifest
	Signature *Signature // nil: none
	Bundles   []*Bundle
	digest    string
	files     map[string][]byte
}

// caseText is the message under a case file's signature; see signedText.
func caseText(digest string) []byte {
	return fmt.Appendf(nil, "pecrawler case file v1\nmanifest %s\n", digest)
}

// WriteCase writes a case file. m says of what; its files and the key are filled
// in here. signer is nil when there is no key, and the manifest then says so.
func WriteCase(ctx context.Context, w io.Writer, m CaseManifest, files map[string][]byte, signer Signer) error {
	m.Schema, m.SignedBy, m.MadeAt, m.Files = CaseSchema, "", m.MadeAt.UTC().Truncate(time.Second), nil
	if signer != nil {
		m.SignedBy = KeyID(signer.Public())
	}
	var parts []entry
	size := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !validName(name) {
			return fmt.Errorf("case file: %q is not a clean relative path", name)
		}
		if size += len(files[name]); len(files[name]) > maxPart || size > maxBundle || len(files) > maxParts {
			return fmt.Errorf("case file: with %s it would be larger than a case file may be", name)
		}
		m.Files = append(m.Files, Part{Name: name, Size: int64(len(files[name])), SHA256: hexSum(files[name])})
		parts = append(parts, stored(name, files[name]))
	}
	manifest, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return fmt.Errorf("case file: %w", err)
	}
	entries := []entry{stored(manifestName, manifest)}
	if signer != nil {
		sig, err := sign(ctx, signer, noStamp, caseText(sumOf(manifest)))
		if err != nil {
			return fmt.Errorf("case file: %w", err)
		}
		entries = append(entries, stored(signatureName, sig))
	}
	data, err := zipBytes(append(entries, parts...))
	if err == nil {
		_, err = w.Write(data)
	}
	if err != nil {
		return fmt.Errorf("case file: %w", err)
	}
	return nil
}

// ReadCase opens a case file and verifies everything in it. What is not as it was
// written gives a *DamagedError that names the file. Whether the key is one to be
// trusted is the caller's to say: see [Case.CheckKey].
func ReadCase(data []byte) (*Case, error) {
	entries, err := unzip(data)
	if err != nil {
		return nil, err
	}
	c := &Case{files: map[string][]byte{}}
	for _, e := range entries {
		c.files[e.name] = e.content
	}
	manifest, ok := c.files[manifestName]
	if !ok {
		return nil, &DamagedError{manifestName, "missing"}
	}
	if err := json.Unmarshal(manifest, &c.Manifest); err != nil {
		return nil, &DamagedError{manifestName, err.Error()}
	}
	if c.Manifest.Schema != CaseSchema {
		return nil, &DamagedError{manifestName, fmt.Sprintf("schema %d is not known to this version, or it is no case file", c.Manifest.Schema)}
	}
	c.digest = sumOf(manifest)
	want := []entry{stored(manifestName, manifest)}
	if c.Manifest.SignedBy != "" {
		raw, ok := c.files[signatureName]
		if !ok {
			return nil, &DamagedError{signatureName, "missing"}
		}
		if c.Signature, err = checkSignature(raw, c.Manifest.SignedBy, func(string) []byte { return caseText(c.digest) }); err != nil {
			return nil, err
		}
		want = append(want, stored(signatureName, raw))
	}
	for _, p := range c.Manifest.Files {
		content, ok := c.files[p.Name]
		switch {
		case !ok:
			return nil, &DamagedError{p.Name, "missing"}
		case hexSum(content) != p.SHA256 || int64(len(content)) != p.Size:
			return nil, &DamagedError{p.Name, "its content is not what was written"}
		}
		want = append(want, stored(p.Name, content))
	}
	for _, e := range entries {
		if !slices.ContainsFunc(want, func(w entry) bool { return w.name == e.name }) {
			return nil, &DamagedError{e.name, "not in the manifest"}
		}
	}
	if again, err := zipBytes(want); err != nil || !bytes.Equal(again, data) {
		return nil, &DamagedError{archiveName, "its files are whole, but something about or between them is not as we write it"}
	}
	return c, c.openBundles()
}

func (c *Case) openBundles() error {
	for _, p := range c.Manifest.Files {
		if !strings.HasPrefix(p.Name, "bundles/") {
			continue
		}
		b, err := Read(c.files[p.Name])
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		c.Bundles = append(c.Bundles, b)
	}
	return nil
}

// Digest is the SHA-256 of the manifest, which vouches for every file.
func (c *Case) Digest() string { return c.digest }

// File returns a file by its name; nil when there is none.
func (c *Case) File(name string) []byte { return c.files[name] }

// CheckKey says whether the case file was signed by a key, as [Bundle.CheckKey] does.
func (c *Case) CheckKey(key ed25519.PublicKey) error {
	return checkKey("case file", c.Signature, key)
}
