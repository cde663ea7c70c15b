package crawler

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"

	pc "pecrawler"
)

const (
	maxValue = 4 << 10
	maxName  = 500
	maxItems = 2000
	maxKeys  = 200 // of one frame's storage
)

// listStorage is run in an isolated world of each frame, which shares the
// frame's storage and nothing else with the page's scripts. An opaque origin
// has no storage and throws.
const listStorage = `(async () => {
  const out = {local: [], session: [], idb: [], cache: []};
  const list = (kind, get) => { try { const s = get(); for (let i = 0; i < Math.min(s.length, 200); i++) { const k = s.key(i); out[kind].push([k, String(s.getItem(k)).slice(0, 4096)]); } } catch (e) {} };
  list('local', () => localStorage); list('session', () => sessionStorage);
  try { if (indexedDB.databases) for (const d of (await indexedDB.databases()).slice(0, 50)) out.idb.push([d.name, '']); } catch (e) {}
  try { for (const k of (await caches.keys()).slice(0, 50)) out.cache.push([k, '']); } catch (e) {}
  return JSON.stringify(out);
})()`

// jar keeps what has been stored, from checkpoint to checkpoint.
type jar struct {
	items []pc.StorageItem
	index map[string]int
}

// checkpoint reads the cookie jar and the storage of every frame, and merges
// them into the jar. What one frame does not give is named in the error; the
// rest is merged all the same.
func (t *tab) checkpoint(ctx context.Context, j *jar, mark pc.MarkName) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	now, at := time.Now(), t.at()
	if j.index == nil {
		j.index = map[string]int{}
	}
	present := map[int]bool{}
	put := func(it pc.StorageItem) {
		key := strings.Join([]string{string(it.Kind), it.Host, it.Name, it.Path, it.Partition}, "\x00")
		if i, ok := j.index[key]; ok {
			old := &j.items[i]
			if old.Value != it.Value && it.Kind != pc.IndexedDB && it.Kind != pc.CacheStorage {
				old.Value = it.Value
				if !slices.Contains(old.Changed, mark) {
					old.Changed = append(old.Changed, mark)
				}
			}
			old.Gone = ""
			present[i] = true
			return
		}
		if len(j.items) >= maxItems {
			return
		}
		it.ID, it.First, it.At = len(j.items), mark, at
		j.index[key] = it.ID
		present[it.ID] = true
		j.items = append(j.items, it)
	}

	cookies, err := cdp.Call(ctx, t.b.root, storage.GetCookies, storage.GetCookiesParams{BrowserContextID: t.id})
	if err != nil {
		return fmt.Errorf("cookie jar: %w", err)
	}
	for _, c := range cookies.Cookies {
		it := pc.StorageItem{Kind: pc.Cookie, Host: strings.TrimPrefix(c.Domain, "."), Name: c.Name, Value: cut(c.Value, maxValue), Path: c.Path,
			Secure: c.Secure, HTTPOnly: c.HTTPOnly, SameSite: string(c.SameSite), Request: -1}
		if c.PartitionKey != nil {
			it.Partition = c.PartitionKey.TopLevelSite
		}
		if c.Expires > 0 {
			it.Expires = time.UnixMilli(int64(c.Expires * 1000)).UTC()
			it.Lifetime = int64(it.Expires.Sub(now).Round(time.Second).Seconds())
		}
		put(it)
	}
	err = t.frameStorage(ctx, put)
	for i := range j.items {
		if it := &j.items[i]; !present[i] && it.Gone == "" && (err == nil || it.Kind == pc.Cookie) && it.Kind != pc.SessionStorage {
			it.Gone = mark
		}
	}
	return err
}

// frameStorage lists local storage, session storage, IndexedDB and caches of
// each origin among the frames.
func (t *tab) frameStorage(ctx context.Context, put func(pc.StorageItem)) error {
	tree, err := cdp.Call(ctx, t.page, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		return fmt.Errorf("frames: %w", err)
	}
	var failed []string
	seen := map[string]bool{}
	var walk func(*page.FrameTree)
	walk = func(f *page.FrameTree) {
		if f == nil || f.Frame == nil || len(seen) > 50 {
			return
		}
		if u, err := url.Parse(f.Frame.URL); err == nil && (u.Scheme == "http" || u.Scheme == "https") && !seen[u.Scheme+u.Host] {
			seen[u.Scheme+u.Host] = true
			if err := t.listFrame(ctx, f.Frame.ID, u.Hostname(), put); err != nil {
				failed = append(failed, u.Hostname())
			}
		}
		for _, c := range f.ChildFrames {
			walk(c)
		}
	}
	walk(tree.FrameTree)
	if len(failed) > 0 {
		return fmt.Errorf("storage of %s could not be read", strings.Join(failed, ", "))
	}
	return nil
}

func (t *tab) listFrame(ctx context.Context, id cdp.FrameID, host string, put func(pc.StorageItem)) error {
	return t.insist(ctx, 6*time.Second, func(ctx context.Context) error { return t.readFrame(ctx, id, host, put) })
}

func (t *tab) readFrame(ctx context.Context, id cdp.FrameID, host string, put func(pc.StorageItem)) error {
	world, err := cdp.Call(ctx, t.page, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: id, WorldName: "pecrawler"})
	if err != nil {
		return err
	}
	yes := true
	res, err := cdp.Call(ctx, t.page, runtime.Evaluate, runtime.EvaluateParams{Expression: listStorage, ContextID: world.ExecutionContextID, ReturnByValue: &yes, AwaitPromise: &yes})
	if err != nil {
		return err
	}
	if res.ExceptionDetails != nil || res.Result == nil {
		return fmt.Errorf("script failed")
	}
	var text string
	var got map[string][][2]string
	if err := json.Unmarshal(res.Result.Value, &text); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		return err
	}
	for _, k := range []struct {
		key  string
		kind pc.StorageKind
	}{{"local", pc.LocalStorage}, {"session", pc.SessionStorage}, {"idb", pc.IndexedDB}, {"cache", pc.CacheStorage}} {
		for i, kv := range got[k.key] {
			if i < maxKeys {
				put(pc.StorageItem{Kind: k.kind, Host: host, Name: cut(kv[0], maxName), Value: cut(kv[1], maxValue), Request: -1})
			}
		}
	}
	return nil
}
