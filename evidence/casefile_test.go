package evidence_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pecrawler/evidence"
)

func caseFile(t *testing.T, signer evidence.Signer) []byte {
	t.Helper()
	vault, err := evidence.OpenVault(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer vault.Close()
	digest, err := evidence.Seal(t.Context(), vault, draft(t))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := vault.Bytes(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	m := evidence.CaseManifest{Sweep: "s", Site: "a.example", MadeBy: "ann", MadeAt: time.Unix(1, 0)}
	if err := evidence.WriteCase(t.Context(), &b, m, map[string][]byte{"README.txt": []byte("read me"), "letters/1.txt": []byte("Dear"), "bundles/1.zip": raw}, signer); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// No byte of a case file is free, signed or not, and the file that was changed is
// named.
func TestCaseFile(t *testing.T) {
	key, err := evidence.OpenKey(filepath.Join(t.TempDir(), "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for name, signer := range map[string]evidence.Signer{"signed": key, "not signed": nil} {
		t.Run(name, func(t *testing.T) {
			data := caseFile(t, signer)
			c, err := evidence.ReadCase(data)
			if err != nil || c.Manifest.Site != "a.example" || len(c.Bundles) != 1 || string(c.File("letters/1.txt")) != "Dear" || (c.Signature != nil) != (signer != nil) {
				t.Fatalf("%+v, %v", c, err)
			}
			if err := c.CheckKey(key.Public()); (err == nil) != (signer != nil) {
				t.Errorf("the key: %v", err)
			}
			err = c.CheckKey(make(ed25519.PublicKey, ed25519.PublicKeySize))
			if err == nil {
				t.Error("any key is taken for the one that signed")
			}
			if _, damaged := errors.AsType[*evidence.DamagedError](err); damaged != (signer == nil) {
				t.Errorf("a whole file that another key signed: %v", err)
			}
			for i := range data {
				flipped := bytes.Clone(data)
				flipped[i] ^= 1
				if _, err := evidence.ReadCase(flipped); err == nil {
					t.Fatalf("byte %d of %d is free", i, len(data))
				}
			}
			flipped := bytes.Clone(data)
			flipped[bytes.Index(data, []byte("Dear"))] ^= 1
			var damaged *evidence.DamagedError
			if _, err := evidence.ReadCase(flipped); !errors.As(err, &damaged) || damaged.Part != "letters/1.txt" {
				t.Errorf("the letter was changed, and what is named is: %v", err)
			}
			for _, more := range [][]byte{data[:len(data)-1], append(bytes.Clone(data), 0), nil} {
				if _, err := evidence.ReadCase(more); err == nil {
					t.Error("bytes that are missing or too many are not seen")
				}
			}
		})
	}
}

// The signature of a case file is not one of a bundle with the same digest, nor
// the other way round.
func TestABundleIsNoCaseFile(t *testing.T) {
	data := caseFile(t, nil)
	if _, err := evidence.Read(data); err == nil {
		t.Error("a case file was read as a bundle")
	}
	c, err := evidence.ReadCase(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.ReadCase(c.File("bundles/1.zip")); err == nil {
		t.Error("a bundle was read as a case file")
	}
	for _, name := range []string{"../a", "/a", "manifest.json", "a b", ""} {
		if err := evidence.WriteCase(t.Context(), new(bytes.Buffer), evidence.CaseManifest{}, map[string][]byte{name: nil}, nil); err == nil {
			t.Errorf("%q is a name", name)
		}
	}
}

func TestAttachments(t *testing.T) {
	for name, where := range map[string]string{"folder": t.TempDir(), "bucket": bucket(t)} {
		t.Run(name, func(t *testing.T) {
			v, err := evidence.OpenVault(t.Context(), where)
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			digest, err := v.Attach(t.Context(), []byte("a reply"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.Attach(t.Context(), []byte("a reply")); err != nil {
				t.Errorf("the same again: %v", err)
			}
			if got, err := v.Attached(t.Context(), digest); err != nil || string(got) != "a reply" {
				t.Errorf("%q, %v", got, err)
			}
			for _, no := range []string{"", "sha256:..", strings.Replace(digest, digest[7:9], "00", 1)} {
				if _, err := v.Attached(t.Context(), no); err == nil {
					t.Errorf("%q is there", no)
				}
			}
			if err := v.Each(t.Context(), func(digest string) error { return errors.New(digest) }); err != nil {
				t.Errorf("it is taken for a bundle: %v", err)
			}
		})
	}
}
