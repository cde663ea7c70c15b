package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"gocloud.dev/blob"
)

// Event is an entry of the record that the vault keeps of a bundle, beside it:
// when it was held or released, and when it was removed. Entries are only ever
// added.
type Event struct {
	Act    string    `json:"act"` // hold, release, expire
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// The acts of an [Event].
const (
	ActHold    = "hold"    // never to be removed
	ActRelease = "release" // ends every hold before it
	ActExpire  = "expire"  // about to be removed, its time being over
)

const maxReason = 2000 // bytes

// recordKey is where entry n of a bundle's record lies. The first has n = 1.
func recordKey(bundle string, n int) string {
	return fmt.Sprintf("%s.record/%04d.json", strings.TrimSuffix(bundle, ".zip"), n)
}

// Record returns the events of a bundle, the oldest first.
func (v *Vault) Record(ctx context.Context, digest string) ([]Event, error) {
	k, err := key(digest)
	if err != nil {
		return nil, err
	}
	var events []Event
	for {
		name := recordKey(k, len(events)+1)
		raw, err := v.bucket.ReadAll(ctx, name)
		if notFound(err) {
			return events, nil
		}
		var e Event
		if err == nil {
			err = json.Unmarshal(raw, &e)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		events = append(events, e)
	}
}

// Note adds an event to a bundle's record: a hold or a release, with its reason.
func (v *Vault) Note(ctx context.Context, digest, act, reason string) error {
	if reason = strings.TrimSpace(reason); reason == "" || len(reason) > maxReason {
		return fmt.Errorf("%s %s: a reason of 1 to %d bytes is wanted", act, digest, maxReason)
	}
	k, err := key(digest)
	if err != nil {
		return err
	}
	if ok, err := v.bucket.Exists(ctx, k); err != nil || !ok {
		return errors.Join(fmt.Errorf("%s %s: it is not in the evidence store", act, digest), err)
	}
	raw, err := json.Marshal(Event{act, time.Now().UTC().Truncate(time.Millisecond), reason})
	if err != nil {
		return err
	}
	for { // somebody else may add one at the same time
		events, err := v.Record(ctx, digest)
		if err != nil {
			return err
		}
		if err = v.create(ctx, recordKey(k, len(events)+1), raw); !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
}

// heldBy is the last hold that was not released.
func heldBy(events []Event) (hold Event, held bool) {
	for _, e := range events {
		switch e.Act {
		case ActHold:
			hold, held = e, true
		case ActRelease:
			held = false
		}
	}
	return hold, held
}

// Fate is what [Vault.Expire] did with a bundle.
type Fate struct {
	Digest  string
	Site    string    // "" when the bundle was not opened
	Sealed  time.Time // zero when the bundle was not opened
	Removed bool      // or would be, in a dry run
	Newer   bool      // kept, because its time is not over
	Why     string
}

// Expire removes the bundles that were sealed before a time, are not held, and
// that keep gives no reason to keep. It tells the fate of each. A bundle that
// does not open is kept, for somebody to look at. With dry, nothing is removed.
func (v *Vault) Expire(ctx context.Context, before time.Time, keep func(*Bundle) (why string), dry bool, tell func(Fate)) error {
	return v.each(ctx, func(o *blob.ListObject, digest string) error {
		f := Fate{Digest: digest, Newer: true}
		if o.ModTime.Before(before) {
			var err error
			if f, err = v.fate(ctx, digest, before, keep); err != nil {
				return err
			}
		}
		if f.Removed && !dry {
			if err := v.remove(ctx, o.Key, f); err != nil {
				return err
			}
		}
		tell(f)
		return nil
	})
}

// Each calls do with the digest of every bundle, until it fails.
func (v *Vault) Each(ctx context.Context, do func(digest string) error) error {
	return v.each(ctx, func(_ *blob.ListObject, digest string) error { return do(digest) })
}

func (v *Vault) each(ctx context.Context, do func(o *blob.ListObject, digest string) error) error {
	list := v.bucket.List(&blob.ListOptions{Prefix: "sha256/"})
	for {
		o, err := list.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list the evidence store: %w", err)
		}
		if digest, ok := digestOfKey(o.Key); ok {
			if err := do(o, digest); err != nil {
				return err
			}
		}
	}
}

// digestOfKey is the bundle that lies under a key, if one does.
func digestOfKey(k string) (digest string, ok bool) {
	digest = "sha256:" + strings.TrimSuffix(path.Base(k), ".zip")
	again, err := key(digest)
	return digest, err == nil && again == k
}

// fate decides on a bundle.
func (v *Vault) fate(ctx context.Context, digest string, before time.Time, keep func(*Bundle) string) (Fate, error) {
	f := Fate{Digest: digest}
	b, err := v.Open(ctx, digest)
	if _, damaged := errors.AsType[*DamagedError](err); damaged {
		f.Why = err.Error()
		return f, nil
	}
	if err != nil {
		return f, err
	}
	f.Site, f.Sealed = b.Visit().Site, b.Manifest().SealedAt
	if !f.Sealed.Before(before) {
		f.Newer = true
		return f, nil
	}
	events, err := v.Record(ctx, digest)
	if err != nil {
		return f, err
	}
	if hold, held := heldBy(events); held {
		f.Why = fmt.Sprintf("held since %s: %s", hold.At.Format(time.DateOnly), hold.Reason)
		return f, nil
	}
	if f.Why = keep(b); f.Why != "" {
		return f, nil
	}
	f.Removed, f.Why = true, "sealed before "+before.UTC().Format(time.DateOnly)+", not held, not needed"
	return f, nil
}

// remove notes that a bundle is removed, and removes it.
func (v *Vault) remove(ctx context.Context, k string, f Fate) error {
	if err := v.Note(ctx, f.Digest, ActExpire, f.Why); err != nil {
		return err
	}
	events, err := v.Record(ctx, f.Digest)
	if err != nil {
		return err
	}
	if _, held := heldBy(events); held {
		return fmt.Errorf("remove %s: it was held at this moment", f.Digest)
	}
	if err := v.bucket.Delete(ctx, k); err != nil {
		return fmt.Errorf("remove %s: %w", f.Digest, err)
	}
	return nil
}
