package evidence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // the file:// driver
	_ "gocloud.dev/blob/memblob"  // mem://, for tests
	_ "gocloud.dev/blob/s3blob"   // s3://
	"gocloud.dev/gcerrors"
)

// Vault is where sealed bundles lie: a folder, or any bucket that gocloud.dev
// has a driver for.
type Vault struct {
	bucket *blob.Bucket
	dir    string // set for a folder: written by us, because the driver does not flush to the disk
}

// OpenVault opens the vault at a folder path or a bucket URL. Close it.
func OpenVault(ctx context.Context, where string) (*Vault, error) {
	if strings.Contains(where, "://") && !strings.HasPrefix(where, "file://") {
		b, err := blob.OpenBucket(ctx, where)
		if err != nil {
			return nil, fmt.Errorf("open the evidence store: %w", err)
		}
		return &Vault{bucket: b}, nil
	}
	dir, err := filepath.Abs(strings.TrimPrefix(where, "file://"))
	if err != nil {
		return nil, fmt.Errorf("open the evidence store: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open the evidence store: %w", err)
	}
	b, err := blob.OpenBucket(ctx, (&url.URL{Scheme: "file", Path: dir, RawQuery: "no_tmp_dir=true&metadata=skip"}).String())
	if err != nil {
		return nil, fmt.Errorf("open the evidence store %s: %w", dir, err)
	}
	return &Vault{bucket: b, dir: dir}, nil
}

// Close ends the vault.
func (v *Vault) Close() error { return v.bucket.Close() }

// Reachable says whether the vault is there.
func (v *Vault) Reachable(ctx context.Context) error {
	ok, err := v.bucket.IsAccessible(ctx)
	if err == nil && !ok {
		err = errors.New("there is no such bucket, or it may not be read")
	}
	if err != nil {
		return fmt.Errorf("reach the evidence store: %w", err)
	}
	return nil
}

// key is where a bundle lies. A digest that is none gives an error, so that it
// cannot lead outside the vault.
func key(digest string) (string, error) {
	h, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || len(h) != 64 || strings.Trim(h, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%q is no bundle digest", digest)
	}
	return "sha256/" + h[:2] + "/" + h + ".zip", nil
}

// put writes a bundle once; the same bundle again is no error.
func (v *Vault) put(ctx context.Context, digest string, data []byte) error {
	k, err := key(digest)
	if err != nil {
		return err
	}
	if err := v.create(ctx, k, data); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// create writes what was not there; [fs.ErrExist] tells that something was, and
// stays.
func (v *Vault) create(ctx context.Context, k string, data []byte) error {
	if v.dir != "" {
		name := filepath.Join(v.dir, filepath.FromSlash(k))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		return writeOnce(name, data, 0o444)
	}
	err := v.bucket.WriteAll(ctx, k, data, &blob.WriterOptions{IfNotExist: true})
	if gcerrors.Code(err) == gcerrors.FailedPrecondition {
		return fs.ErrExist
	}
	return err
}

func notFound(err error) bool { return gcerrors.Code(err) == gcerrors.NotFound }

// writeOnce writes a file so that it is whole and on the disk, or not there.
// One that is there already stays as it is, even if another process writes it
// at the same moment; [fs.ErrExist] tells so.
func writeOnce(name string, data []byte, mode os.FileMode) error {
	if _, err := os.Stat(name); err == nil {
		return fs.ErrExist
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".sealing-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), name) // unlike a rename, it does not replace
	}
	return errors.Join(err, os.Remove(f.Name()))
}

// Open reads a bundle from the vault and verifies it: what is opened is what
// was sealed under this digest, or an error says what is damaged.
func (v *Vault) Open(ctx context.Context, digest string) (*Bundle, error) {
	data, err := v.Bytes(ctx, digest)
	if err != nil {
		return nil, err
	}
	b, err := Read(data)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", digest, err)
	}
	if b.digest != digest {
		return nil, fmt.Errorf("open %s: %w", digest, &DamagedError{manifestName, "it is the manifest of " + b.digest})
	}
	return b, nil
}

// ErrRemoved is that a bundle was expired: its record says when and why.
var ErrRemoved = errors.New("it was removed")

// Bytes returns the sealed file as it lies in the vault, not verified. The error
// for one that was expired wraps [ErrRemoved].
func (v *Vault) Bytes(ctx context.Context, digest string) ([]byte, error) {
	k, err := key(digest)
	if err != nil {
		return nil, err
	}
	data, err := v.bucket.ReadAll(ctx, k)
	if notFound(err) {
		if events, _ := v.Record(ctx, digest); len(events) > 0 && events[len(events)-1].Act == ActExpire {
			e := events[len(events)-1]
			err = fmt.Errorf("%w on %s: %s", ErrRemoved, e.At.Format(time.DateOnly), e.Reason)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read bundle %s: %w", digest, err)
	}
	return data, nil
}
