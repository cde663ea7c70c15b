package review

import (
	"context"
	"sync"

	"github.com/golang/groupcache/lru"

	pc "pecrawler"
	"pecrawler/evidence"
)

// opened is a verified bundle with the opinions that the classifier of this
// program has of it.
type opened struct {
	*evidence.Bundle
	Opinions pc.Annotations
}

// shelf keeps the bundles that were opened last: a page shows a dozen pictures
// of the same one, and verifying it costs more than showing them.
type shelf struct {
	vault    *evidence.Vault
	opinions func(*evidence.Bundle) pc.Annotations
	mu       sync.Mutex
	kept     *lru.Cache
}

func newShelf(v *evidence.Vault, opinions func(*evidence.Bundle) pc.Annotations) *shelf {
	return &shelf{vault: v, opinions: opinions, kept: lru.New(6)}
}

func (s *shelf) open(ctx context.Context, digest string) (*opened, error) {
	s.mu.Lock()
	got, ok := s.kept.Get(digest)
	s.mu.Unlock()
	if ok {
		return got.(*opened), nil
	}
	b, err := s.vault.Open(ctx, digest)
	if err != nil {
		return nil, err
	}
	o := &opened{Bundle: b}
	if s.opinions != nil {
		o.Opinions = s.opinions(b)
	}
	s.mu.Lock()
	s.kept.Add(digest, o)
	s.mu.Unlock()
	return o, nil
}
