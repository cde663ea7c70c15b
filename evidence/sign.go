package evidence

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Signer holds the key that bundles are signed by: a file here, a key
// management service elsewhere. Sign returns the Ed25519 signature (64 bytes) of
// the message, which is less than 1 KiB. Both may be called from several
// goroutines.
type Signer interface {
	Public() ed25519.PublicKey
	Sign(ctx context.Context, message []byte) ([]byte, error)
}

// What a signature says of the time stamp when there is none.
const (
	noStamp     = "none"        // none was asked for
	failedStamp = "unavailable" // one was asked for and could not be had
)

// Signature is signature.json.
type Signature struct {
	Algorithm string `json:"algorithm"`  // "Ed25519"
	KeyID     string `json:"key_id"`     // see [KeyID]
	PublicKey []byte `json:"public_key"` // PKIX, DER
	Timestamp string `json:"timestamp"`  // "sha256:" and the SHA-256 of timestamp.tsr, or "none", or "unavailable"
	Signature []byte `json:"signature"`
}

// signedText is the message under the signature. Its first line keeps the
// signature from standing for anything but a bundle.
func signedText(digest, timestamp string) []byte {
	return fmt.Appendf(nil, "pecrawler evidence bundle v1\nmanifest %s\ntimestamp %s\n", digest, timestamp)
}

// KeyID names a public key: "sha256:" and the SHA-256 of its PKIX form in DER.
func KeyID(key ed25519.PublicKey) string { return sumOf(pkix(key)) }

func pkix(key ed25519.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		panic(err) // it fails for kinds of keys that it does not know only
	}
	return der
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// sumOf is the SHA-256 as a name: "sha256:" and 64 digits.
func sumOf(data []byte) string { return "sha256:" + hexSum(data) }

// sign makes the content of signature.json.
func sign(ctx context.Context, s Signer, timestamp string, message []byte) ([]byte, error) {
	sig, err := s.Sign(ctx, message)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if !ed25519.Verify(s.Public(), message, sig) {
		return nil, errors.New("sign: the signature that was made does not verify")
	}
	return encodeSignature(Signature{"Ed25519", KeyID(s.Public()), pkix(s.Public()), timestamp, sig})
}

func encodeSignature(s Signature) ([]byte, error) { return json.MarshalIndent(s, "", " ") }

// checkSignature reads signature.json and verifies it over the message that is
// made of its time stamp, by the key that the manifest names.
func checkSignature(raw []byte, signedBy string, message func(timestamp string) []byte) (*Signature, error) {
	damaged := func(why string) (*Signature, error) { return nil, &DamagedError{signatureName, why} }
	s := new(Signature)
	if err := json.Unmarshal(raw, s); err != nil {
		return damaged(err.Error())
	}
	if again, err := encodeSignature(*s); err != nil || !bytes.Equal(again, raw) {
		return damaged("not written as we write it")
	}
	if s.Algorithm != "Ed25519" {
		return damaged(fmt.Sprintf("the algorithm %q is not known to this version", s.Algorithm))
	}
	key, err := parsePublic(s.PublicKey)
	if err != nil {
		return damaged(err.Error())
	}
	if s.KeyID != KeyID(key) || s.KeyID != signedBy {
		return damaged("its key is not the one that the manifest names")
	}
	if !ed25519.Verify(key, message(s.Timestamp), s.Signature) {
		return damaged("it is not the signature of this manifest")
	}
	return s, nil
}

// checkKey says whether a file was signed by a key; s is its signature.
func checkKey(what string, s *Signature, key ed25519.PublicKey) error {
	switch {
	case s == nil:
		return &DamagedError{signatureName, "the " + what + " is not signed"}
	case s.KeyID != KeyID(key):
		return fmt.Errorf("%s: the %s is whole, but it was signed by the key %s, not by %s", signatureName, what, s.KeyID, KeyID(key))
	}
	return nil
}

func parsePublic(der []byte) (ed25519.PublicKey, error) {
	any, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	key, ok := any.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a %T is no Ed25519 key", any)
	}
	return key, nil
}

// fileKey signs by a key that was read from a file.
type fileKey struct{ private ed25519.PrivateKey }

func (k fileKey) Public() ed25519.PublicKey { return k.private.Public().(ed25519.PublicKey) }

func (k fileKey) Sign(_ context.Context, message []byte) ([]byte, error) {
	return ed25519.Sign(k.private, message), nil
}

// ReadKey reads a private Ed25519 key from a PEM file in PKCS #8.
func ReadKey(name string) (Signer, error) {
	der, err := readPEM(name, "PRIVATE KEY")
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	any, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", name, err)
	}
	key, ok := any.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("signing key %s: a %T is no Ed25519 key; make one with: openssl genpkey -algorithm ed25519", name, any)
	}
	return fileKey{key}, nil
}

// ReadPublicKey reads a public Ed25519 key from a PEM file in PKIX.
func ReadPublicKey(name string) (ed25519.PublicKey, error) {
	der, err := readPEM(name, "PUBLIC KEY")
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	key, err := parsePublic(der)
	if err != nil {
		return nil, fmt.Errorf("public key %s: %w", name, err)
	}
	return key, nil
}

func readPEM(name, kind string) ([]byte, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s: want a PEM file that begins with -----BEGIN %s-----", name, kind)
	}
	return block.Bytes, nil
}

// OpenKey reads the signing key of a data folder. The first use makes it, with
// the public key beside it as a file ending in .pub.pem; of several processes
// that make it at the same time one wins.
func OpenKey(name string) (Signer, error) {
	key, err := ReadKey(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(name); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make the signing key: %w", err)
		}
		key, err = ReadKey(name)
	}
	if err != nil {
		return nil, err
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix(key.Public())})
	if err := writeOnce(PublicKeyFile(name), public, 0o644); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("write the public key: %w", err)
	}
	return key, nil
}

// PublicKeyFile is where the public key of a private key's file stands.
func PublicKeyFile(name string) string { return strings.TrimSuffix(name, ".pem") + ".pub.pem" }

func makeKey(name string) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return writeOnce(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}
