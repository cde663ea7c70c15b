package review_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"pecrawler/review"
	"pecrawler/store"
)

// attacks are texts that a page can give us for a name, a title, a button or an
// address, and that were made to run, to deceive or to break the layout.
func attacks() map[string]string {
	return map[string]string{
		"markup":    `</td></table></title></textarea><script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)><iframe srcdoc="<script>alert(4)</script>">`,
		"attribute": `" autofocus onfocus="alert(1)" style="position:fixed;inset:0;background:red" x="`,
		"address":   `javascript:alert(1)//"><a href="javascript:alert(2)">`,
		"template":  "{{.Who.Token}} {{range .}}${alert(1)} <!-- ]]> --> `\\u003cscript\\u003ealert(1)`",
		"direction": "\u202ewoh ot taht si ti \u2066\u2067\u200f\u061c \u202eevil\u202c עברית العربية",
		"climbing":  "Z" + strings.Repeat("\u0301\u0489\u20dd", 200) + "algo",
		"unbroken":  strings.Repeat("W", 5000),
		"invisible": "\u200b\u200c\ufeff\u2060\u00ad \u0000 \u001b[31mred\u001b[0m \u0007\u0008",
		"formula":   `=HYPERLINK("http://evil.example","click")`,
		"ours":      `Decided: uphold </p></main><h1 class="govuk-heading-l">Nothing to see here</h1><form action="http://evil.example">`,
	}
}

// tab is a page in a real browser, signed in.
type tab struct {
	*testing.T
	ctx     context.Context
	pages   *pages
	dialogs atomic.Int32
	axe     string
}

func openTab(t *testing.T, p *pages, who string) *tab {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Chromium")
	}
	axe, err := os.ReadFile("../lab/check/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatalf("axe-core is not installed: run make setup, or npm ci in lab/check: %v", err)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.Flag("headless", "new"))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	alloc, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(stop)
	ctx, stop := chromedp.NewContext(alloc)
	t.Cleanup(stop)
	b := &tab{T: t, ctx: ctx, pages: p, axe: string(axe)}
	b.run(chromedp.Navigate("about:blank"))
	if err := chromedp.Listen(ctx, func(ev any) {
		if _, ok := ev.(*page.EventJavascriptDialogOpening); ok {
			b.dialogs.Add(1)
		}
	}); err != nil {
		t.Fatal(err)
	}
	for _, who2 := range p.handler.People() {
		if who2.Name == who {
			b.run(chromedp.Navigate(p.handler.Invite(p.URL, who2)))
		}
	}
	return b
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.Fatal(err)
	}
}

// eval evaluates an expression, or waits for its promise.
func eval[T any](b *tab, js string) T {
	b.Helper()
	ctx, stop := context.WithTimeout(b.ctx, time.Minute) // a dialog that something opened lets nothing be asked
	defer stop()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatal(err)
	}
	return v
}

// sound checks what has to hold for every page and state of it.
func (b *tab) sound(what string) {
	b.Helper()
	b.accessible(what)
	b.whole(what)
}

// accessible has axe look at the page.
func (b *tab) accessible(what string) {
	b.Helper()
	var found []struct {
		ID    string `json:"id"`
		Help  string `json:"help"`
		Nodes []struct {
			HTML string `json:"html"`
		} `json:"nodes"`
	}
	axe := eval[string](b, b.axe+`; axe.run(document).then(r => JSON.stringify(r.violations))`)
	if err := json.Unmarshal([]byte(axe), &found); err != nil {
		b.Fatal(err)
	}
	for _, v := range found {
		b.Errorf("%s: axe: %s: %s: %d places, e.g. %.200s", what, v.ID, v.Help, len(v.Nodes), v.Nodes[0].HTML)
	}
}

// whole looks for what an attack could do to the page.
func (b *tab) whole(what string) {
	b.Helper()
	broken := eval[string](b, `(() => {
		const out = [];
		if (document.documentElement.scrollWidth > innerWidth) out.push("it is " + document.documentElement.scrollWidth + " wide on a screen of " + innerWidth);
		if (document.scripts.length) out.push("it has scripts");
		if (document.querySelector("iframe, object, embed, [onload], [onerror], [onfocus], [style], a[href^='javascript:' i]")) out.push("it has what only a page of somebody else would have");
		if (document.querySelectorAll("h1").length !== 1) out.push("it has " + document.querySelectorAll("h1").length + " titles");
		const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
		for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) { out.push("two have the id " + id); break; }
		for (const a of document.querySelectorAll("a[href^='#']")) if (!ids.includes(decodeURIComponent(a.getAttribute("href").slice(1)))) out.push("nothing is at " + a.getAttribute("href"));
		for (const f of document.forms) if (new URL(f.action).origin !== location.origin) out.push("a form goes to " + f.action);
		return out.join("; ");
	})()`)
	if broken != "" {
		b.Errorf("%s: %s", what, broken)
	}
	if n := b.dialogs.Swap(0); n > 0 {
		b.Errorf("%s: something ran %d times", what, n)
	}
}

// Every page, wide and narrow, with texts of every attack: nothing runs, nothing
// breaks, and axe finds nothing.
func TestPagesInABrowser(t *testing.T) {
	for name, text := range attacks() {
		t.Run(name, func(t *testing.T) {
			p := serveText(t, review.Options{}, text)
			b := openTab(t, p, "ann")
			for _, width := range []int64{320, 1440} {
				b.run(chromedp.EmulateViewport(width, 900))
				for _, path := range append(p.allPages(), "/nothing-here", "/queue?q="+url.QueryEscape(text)) {
					b.run(chromedp.Navigate(p.URL + path))
					eval[bool](b, `document.querySelectorAll("details").forEach(d => d.open = true), true`)
					b.whole(fmt.Sprintf("%s at %d", path, width))
					if name == "markup" { // the structure is the same for all
						b.accessible(fmt.Sprintf("%s at %d", path, width))
					}
				}
			}
		})
	}
}

// stroke presses keys one after the other. The character comes with its key, as from
// a keyboard: sent by itself, a moment later, that of Enter on a link to a field
// reaches the field, and sends its form.
func stroke(keys string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for _, r := range keys {
			all := kb.Encode(r)
			for _, k := range all {
				if k.Type == kb.KeyChar {
					all[0].Text, all[0].UnmodifiedText = k.Text, k.UnmodifiedText
				}
			}
			for _, k := range all {
				if k.Type == kb.KeyChar {
					continue
				}
				if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, *k); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// press goes to what a selector names by the Tab key alone, and presses a key there.
func (b *tab) press(selector, key string) {
	b.Helper()
	for range 400 {
		b.run(stroke(kb.Tab))
		if !eval[bool](b, fmt.Sprintf(`document.activeElement?.matches(%q) ?? false`, selector)) {
			continue
		}
		if !eval[bool](b, `(() => { const r = document.activeElement.getBoundingClientRect(); return r.bottom > 0 && r.top < innerHeight })()`) {
			b.Errorf("%s has the focus and is not seen", selector)
		}
		b.run(stroke(key))
		return
	}
	b.Fatalf("the Tab key does not lead to %s", selector)
}

// An investigator takes a case, looks at evidence and decides, by keyboard alone.
func TestAWalkByKeyboard(t *testing.T) {
	p := serve(t, review.Options{})
	b := openTab(t, p, "ann")
	at := func(want string) {
		t.Helper()
		var path string
		for i := range 100 {
			if i == 30 || i == 60 { // a key can be lost while a page is laid out anew; whoever sees nothing happen presses again
				b.run(stroke(kb.Enter))
			}
			if path = eval[string](b, `document.readyState === "complete" ? location.pathname + location.hash : ""`); path == want {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("at %s, want %s", path, want)
	}
	at("/")
	b.press(`a[href^="/queue"]`, kb.Enter)
	at("/queue")
	b.press(`form[action="/queue/next"] button`, kb.Enter)
	at(sitePath)
	b.sound("a case that one has")
	b.press(`a[href="#ref-idle-storage-0"]`, kb.Enter)
	at(sitePath + "#ref-idle-storage-0")
	b.press(`a[href$="/idle/storage/0"]`, kb.Enter)
	at("/bundles/" + p.Digest + "/idle/storage/0")
	b.press(`main form button`, kb.Enter)
	var body string
	for range 100 {
		if body = eval[string](b, `document.body ? document.body.innerText : ""`); strings.Contains(body, "secret-value") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !strings.Contains(body, "secret-value") {
		t.Error("the value that was asked for is not there")
	}
	b.sound("an item with its value")
	b.press(`.govuk-back-link`, kb.Enter)
	at(sitePath)
	b.press(`#decide button`, kb.Enter)
	at(sitePath + "/decisions")
	b.sound("a form with errors")
	b.press(`.govuk-error-summary a`, kb.Enter)
	at(sitePath + "/decisions#act")
	b.press(`#act`, " ")
	b.press(`#decide button`, kb.Enter)
	at(sitePath + "#decisions")
	b.sound("a decided case")
	if cs, err := p.store.Case(t.Context(), "one", "shop.example"); err != nil || cs.Status != store.Decided || cs.Act != store.Uphold {
		t.Errorf("decided: %+v, %v", cs, err)
	}
}

// sounds holds the page that is shown against the same as sound, wide and narrow,
// and keeps its pictures.
func (b *tab) sounds(what string) {
	b.Helper()
	for _, width := range []int64{320, 1440} {
		b.run(chromedp.EmulateViewport(width, 900))
		b.sound(fmt.Sprintf("%s at %d", what, width))
		b.shot(fmt.Sprintf("%s-%d", what, width))
	}
}

// shot keeps a picture of the page in the folder that PECRAWLER_KEEP names, for
// people to look at.
func (b *tab) shot(name string) {
	b.Helper()
	dir := os.Getenv("PECRAWLER_KEEP")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, strings.ReplaceAll(name, "/", "_")+".png"), png, 0o644)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// until waits for something that a press of Enter brings. A key can be lost while
// a page is laid out anew; whoever sees nothing happen presses again. A page that
// is just being left answers nothing.
func (b *tab) until(js string) {
	b.Helper()
	for i := range 200 {
		if i == 60 || i == 120 {
			b.run(stroke(kb.Enter))
		}
		ctx, stop := context.WithTimeout(b.ctx, 10*time.Second)
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.readyState === "complete" && (`+js+`)`))
		stop()
		if err == nil && ok {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Fatalf("it does not come to %s; at %s", js, eval[string](b, `location.href`))
}
