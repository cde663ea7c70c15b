package evidence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// attachedKey is where an attachment lies.
func attachedKey(digest string) (string, error) {
	k, err := key(digest)
	return "attached/" + strings.TrimSuffix(strings.TrimPrefix(k, "sha256/"), ".zip"), err
}

// Attach keeps a file that belongs to a case and is no bundle: a letter as it was
// fixed, a reply as it came. It is named by the SHA-256 of its bytes, and never
// changed; the same file again is no error. Expire leaves it alone. It may be another
// vault than that of the bundles, which need not be writable then.
func (v *Vault) Attach(ctx context.Context, data []byte) (digest string, err error) {
	digest = sumOf(data)
	k, err := attachedKey(digest)
	if err == nil {
		err = v.create(ctx, k, data)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("attach %s: %w", digest, err)
	}
	return digest, nil
}

// Attached returns an attachment, or an error that tells that it is not what was
// attached under this digest.
func (v *Vault) Attached(ctx context.Context, digest string) ([]byte, error) {
	k, err := attachedKey(digest)
	if err != nil {
		return nil, err
	}
	data, err := v.bucket.ReadAll(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("read the attachment %s: %w", digest, err)
	}
	if sumOf(data) != digest {
		return nil, fmt.Errorf("read the attachment %s: %w", digest, &DamagedError{k, "its content is not what was attached"})
	}
	return data, nil
}
