package crawler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"

	pc "pecrawler"
)

// Render shows a page that was saved to a file, with the folder beside it that
// browsers save with it, and takes its tree. Nothing of it reaches a network.
// Its scripts have run before it was saved, so they run again only if asked.
func (c *Crawler) Render(ctx context.Context, file string, scripts bool) (_ *pc.Page, err error) {
	b, release, err := c.browser(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { release(errors.Is(err, errBrowserGone)) }()
	copied, err := b.lay(file)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(filepath.Dir(copied))
	yes := true
	// Nothing listens on port 9: whatever the page asks for ends there.
	bc, err := cdp.Call(ctx, b.root, target.CreateBrowserContext, target.CreateBrowserContextParams{DisposeOnDetach: &yes, ProxyServer: "http://127.0.0.1:9", ProxyBypassList: "<-loopback>"})
	if err != nil {
		return nil, err
	}
	t := newTab(b, bc.BrowserContextID, file)
	defer b.leave(ctx, t)
	if err := t.open(ctx); err != nil {
		return nil, err
	}
	if _, err := cdp.Call(ctx, t.page, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts}); err != nil {
		return nil, err
	}
	t.mu.Lock()
	loads := t.loads
	t.mu.Unlock()
	res, err := cdp.Call(ctx, t.page, page.Navigate, page.NavigateParams{URL: "file://" + copied})
	if err == nil && res.ErrorText != "" {
		err = errors.New(res.ErrorText)
	}
	if err != nil {
		return nil, fmt.Errorf("show %s: %w", file, err)
	}
	t.waitLoad(ctx, loads, 15*time.Second) // one that is not done by then is looked at as it is
	if scripts {
		t.settle(ctx, 500*time.Millisecond, 500*time.Millisecond, 5*time.Second)
	}
	p, _, err := t.snapshot(ctx, 15*time.Second)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", file, err)
	}
	p.URL = "file://" + file
	return p, nil
}

// maxSaved bounds what is copied of a saved page.
const maxSaved = 100 << 20

// lay copies a saved page to where the browser's user may read it.
func (b *Browser) lay(file string) (string, error) {
	dir, err := os.MkdirTemp(b.dir, "page-")
	if err != nil {
		return "", fmt.Errorf("copy %s: %w", file, err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	left := int64(maxSaved)
	put := func(from, to string) error {
		raw, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if left -= int64(len(raw)); left < 0 {
			return fmt.Errorf("%s and what was saved with it is more than %d MiB", file, maxSaved>>20)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, raw, 0o644)
	}
	out := filepath.Join(dir, "page.html") // by this ending the browser knows what it is
	err = put(file, out)
	stem := strings.TrimSuffix(file, filepath.Ext(file))
	for _, beside := range []string{stem + "_files", stem + ".files"} {
		if err != nil {
			break
		}
		err = filepath.WalkDir(beside, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && path == beside {
				return filepath.SkipDir
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			rel, err := filepath.Rel(filepath.Dir(file), path)
			if err != nil {
				return err
			}
			return put(path, filepath.Join(dir, rel))
		})
	}
	if err != nil {
		os.RemoveAll(dir)
		return "", err
	}
	return out, nil
}
