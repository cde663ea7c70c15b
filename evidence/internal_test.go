package evidence

import "context"

// Put is the vault's put, for the tests.
func Put(ctx context.Context, v *Vault, digest string, data []byte) error {
	return v.put(ctx, digest, data)
}
