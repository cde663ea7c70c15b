package crawler

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	jsonv2 "github.com/chromedp/cdproto/cdp/jsonv2"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// ErrNoChrome means that there is no browser to start.
var ErrNoChrome = errors.New("no Chromium found: install it (Debian: apt-get install chromium) or name it with --chrome PATH")

// nobody is the user that the browser runs as when we are root: its sandbox
// needs an ordinary user.
const nobody = 65534

// Browser is one running Chromium. Scenarios run in it side by side, each in a
// browser context of its own that starts empty and is thrown away.
type Browser struct {
	cfg        Config
	log        *slog.Logger
	met        *metrics
	worn       atomic.Bool // is to be replaced as soon as nobody uses it
	cmd        *exec.Cmd
	dir        string // profile, certificates, temporary files; removed by Close
	wire       *wire
	root       session
	blackhole  *httptest.Server // the browser's own background traffic ends here
	background atomic.Int64     // requests that ended there
	Version    string           // as the browser names itself, e.g. "Chrome/156.0.8078.79"
	UserAgent  string
	ThirdParty bool // a third-party cookie was proved to work

	mu     sync.Mutex
	tabs   map[cdp.BrowserContextID]*tab
	stderr tail
	exited chan struct{}
}

// tail keeps the last bytes that the browser wrote, for error messages.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if n := len(t.b) - 4096; n > 0 {
		t.b = t.b[n:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.b))
}

// findChrome prefers the program itself to Debian's wrapper script, which adds
// flags of its own.
func findChrome(path string) (string, error) {
	candidates := []string{"/usr/lib/chromium/chromium", "chromium", "chromium-browser", "google-chrome"}
	if path != "" {
		candidates = []string{path}
	}
	for _, c := range candidates {
		if p, err := exec.LookPath(c); err == nil {
			return p, nil
		}
	}
	if path != "" {
		return "", fmt.Errorf("%s: %w", path, ErrNoChrome)
	}
	return "", ErrNoChrome
}

// profilePrefix begins the name of a browser's folder; the process that made it follows.
const profilePrefix = "pecrawler-chrome-"

// sweepProfiles removes the browser folders of processes that were killed
// before they could.
func sweepProfiles(dir string) {
	if dir == "" {
		dir = os.TempDir()
	}
	found, _ := filepath.Glob(filepath.Join(dir, profilePrefix+"*-*"))
	for _, f := range found {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(f), profilePrefix), "-")
		if pid, err := strconv.Atoi(owner); err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			os.RemoveAll(f)
		}
	}
}

// flags are the command line of the browser; each that is not the default of
// every automation has its reason beside it.
func flags(cfg Config, blackhole, dir string) []string {
	fs := []string{
		"--headless=new",
		"--remote-debugging-pipe",
		"--user-data-dir=" + filepath.Join(dir, "profile"),
		"--no-first-run", "--no-default-browser-check", "--disable-default-apps", "--disable-sync", "--disable-extensions",
		"--disable-background-networking", "--disable-component-update", "--disable-client-side-phishing-detection",
		"--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
		"--disable-hang-monitor", "--disable-ipc-flooding-protection", "--disable-prompt-on-repost", "--disable-breakpad",
		"--metrics-recording-only", "--no-service-autorun", "--password-store=basic", "--use-mock-keychain", "--mute-audio", "--hide-scrollbars",
		// One flag holds all features: Chrome reads only the last one. The popup pages cost half the CPU of a visit and show nothing.
		"--disable-features=Translate,OptimizationHints,OptimizationGuideOnDeviceModel,MediaRouter,DialMediaRouteProvider,AutofillServerCommunication,CertificateTransparencyComponentUpdater,InterestFeedContentSuggestions,WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup,PreloadTopChromeWebUI",
		// Frames stay in one process, so that one snapshot shows them all in one coordinate space. A context lives for one scenario and holds no secret.
		"--disable-site-isolation-trials",
		// Some consent managers hide themselves from browsers that say they are driven.
		"--disable-blink-features=AutomationControlled",
		"--blink-settings=availableHoverTypes=2,primaryHoverType=2,availablePointerTypes=4,primaryPointerType=4",
		// Pages reach the network through their context's proxy only. The browser's own traffic goes to a listener that refuses it.
		"--proxy-server=" + blackhole, "--proxy-bypass-list=<-loopback>",
		"--webrtc-ip-handling-policy=disable_non_proxied_udp", "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
		"--disable-quic", "--dns-prefetch-disable",
		"--lang=" + cfg.Locale, "--accept-lang=" + cfg.Locale + "," + strings.Split(cfg.Locale, "-")[0],
		"--window-size=" + strconv.Itoa(cfg.Width) + "," + strconv.Itoa(cfg.Height),
	}
	if cfg.UserAgent != "" {
		fs = append(fs, "--user-agent="+cfg.UserAgent)
	}
	return append(fs, "about:blank")
}

// preferences that no flag can set: Debian's build blocks third-party cookies by default.
const preferences = `{"profile":{"cookie_controls_mode":0,"block_third_party_cookies":false},"webrtc":{"ip_handling_policy":"disable_non_proxied_udp"}}`

// startBrowser starts Chromium and proves that it is fit for evidence: it
// answers, a third-party cookie is stored, and pages are in the sandbox. The context bounds the start only.
func startBrowser(ctx context.Context, cfg Config, log *slog.Logger, met *metrics) (_ *Browser, err error) {
	path, err := findChrome(cfg.Chrome)
	if err != nil {
		return nil, err
	}
	sweepProfiles(cfg.TempDir)
	dir, err := os.MkdirTemp(cfg.TempDir, fmt.Sprintf("%s%d-", profilePrefix, os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("make a profile folder for Chromium: %w", err)
	}
	b := &Browser{cfg: cfg, log: log, met: met, dir: dir, tabs: map[cdp.BrowserContextID]*tab{}, exited: make(chan struct{})}
	b.blackhole = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b.background.Add(1)
		http.Error(w, "the browser's own traffic ends here", http.StatusForbidden)
	}))
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if b.cfg.UserAgent == "" {
		// The version of the running browser is not known before it runs, and the flag is the only
		// setting that reaches frames, workers and headers alike: ask the program for its version.
		out, verr := exec.CommandContext(ctx, path, "--version").Output()
		if v, ok := majorVersion(string(out)); verr == nil && ok {
			b.cfg.UserAgent = b.cfg.userAgent(v)
		}
	}
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	if err := b.launch(path); err != nil {
		return nil, err
	}
	v, err := cdp.Call(ctx, b.root, browser.GetVersion, cdp.Empty{})
	if err != nil {
		return nil, b.explain(fmt.Errorf("start %s: %w", path, err))
	}
	b.Version, b.UserAgent = v.Product, v.UserAgent
	if _, err := cdp.Call(ctx, b.root, target.SetAutoAttach, autoAttach(false)); err != nil {
		return nil, b.explain(fmt.Errorf("attach to %s: %w", path, err))
	}
	if err := b.selfTest(ctx); err != nil {
		return nil, b.explain(fmt.Errorf("self-test of %s: %w", b.Version, err))
	}
	go b.watchMemory(cfg.Memory)
	log.Info("browser started", "version", b.Version, "pid", b.cmd.Process.Pid, "third_party_cookies", b.ThirdParty)
	return b, nil
}

func majorVersion(s string) (string, bool) {
	for f := range strings.FieldsSeq(s) {
		if major, _, ok := strings.Cut(f, "."); ok {
			if _, err := strconv.Atoi(major); err == nil {
				return major, true
			}
		}
	}
	return "", false
}

// explain adds what the browser itself said, when it died.
func (b *Browser) explain(err error) error {
	select {
	case <-b.exited:
		if s := b.stderr.String(); s != "" {
			return fmt.Errorf("%w; it ended and said: %s", err, lastLine(s))
		}
	case <-time.After(200 * time.Millisecond):
	}
	return err
}

func lastLine(s string) string {
	lines := strings.Split(s, "\n")
	return lines[len(lines)-1]
}

// prepare makes the profile: preferences, and the extra CA if there is one.
func (b *Browser) prepare(ctx context.Context) error {
	def := filepath.Join(b.dir, "profile", "Default")
	nss := filepath.Join(b.dir, ".pki", "nssdb")
	for _, d := range []string{def, nss, filepath.Join(b.dir, "tmp")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fmt.Errorf("make the browser's profile: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(def, "Preferences"), []byte(preferences), 0o600); err != nil {
		return fmt.Errorf("write the browser's preferences: %w", err)
	}
	if b.cfg.CAFile != "" {
		for _, args := range [][]string{
			{"-N", "--empty-password", "-d", "sql:" + nss},
			{"-A", "-d", "sql:" + nss, "-n", "pecrawler extra CA", "-t", "C,,", "-i", b.cfg.CAFile},
		} {
			out, err := exec.CommandContext(ctx, "certutil", args...).CombinedOutput()
			if errors.Is(err, exec.ErrNotFound) {
				return errors.New("--ca needs the program certutil (Debian: apt-get install libnss3-tools)")
			}
			if err != nil {
				return fmt.Errorf("trust %s: %w: %s", b.cfg.CAFile, err, lastLine(strings.TrimSpace(string(out))))
			}
		}
	}
	if os.Geteuid() == 0 {
		return filepath.WalkDir(b.dir, func(p string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(p, nobody, nobody)
		})
	}
	return nil
}

func (b *Browser) launch(path string) error {
	inR, inW, err := os.Pipe()
	if err != nil {
		return err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return errors.Join(err, inR.Close(), inW.Close())
	}
	b.cmd = exec.Command(path, flags(b.cfg, b.blackhole.URL, b.dir)...)
	b.cmd.ExtraFiles = []*os.File{inR, outW}
	b.cmd.Stdout, b.cmd.Stderr = &b.stderr, &b.stderr
	b.cmd.WaitDelay = time.Second
	b.cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool {
		return strings.HasPrefix(s, "HOME=") || strings.HasPrefix(s, "XDG_") || strings.HasPrefix(s, "TMPDIR=") || strings.HasPrefix(s, "DBUS_") || strings.HasPrefix(s, "DISPLAY=")
	}), "HOME="+b.dir, "TMPDIR="+filepath.Join(b.dir, "tmp"), "TZ="+b.cfg.Timezone, "DBUS_SESSION_BUS_ADDRESS=disabled:")
	// The whole tree is a process group of its own, so that all of it can be ended; it dies with us, kill -9 included.
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		b.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	started := make(chan error)
	go func() {
		// Pdeathsig follows the thread that started the process, so this goroutine keeps its thread until the process ends.
		runtime.LockOSThread()
		if err := b.cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		b.cmd.Wait()
		close(b.exited)
	}()
	err = <-started
	inR.Close()
	outW.Close()
	if err != nil {
		inW.Close()
		outR.Close()
		b.cmd = nil
		close(b.exited)
		return fmt.Errorf("start %s: %w", path, err)
	}
	b.wire = newWire(chromedp.NewPipeConn(wide{bufio.NewReaderSize(outR, 64<<10), outR}, inW), func(*wire) handler { return b.event })
	b.root = session{w: b.wire}
	go b.wire.read()
	return nil
}

// wide reads as much at once as a pipe holds; the connection by itself reads 4 KB
// at a time, and the tree of a page has a hundred times that.
type wide struct {
	*bufio.Reader
	io.Closer
}

// Close ends the browser, its whole process group, and removes its folder.
func (b *Browser) Close() {
	if b.cmd != nil {
		b.kill()
		<-b.exited
		b.wire.tr.Close()
		<-b.wire.down
	}
	if b.blackhole != nil {
		b.blackhole.Close()
	}
	// A dying child can still write for a moment.
	for range 20 {
		if os.RemoveAll(b.dir) == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// event routes what the browser itself says: new targets go to the tab of
// their browser context.
func (b *Browser) event(method string, params jsonv2.Value) {
	if method != target.AttachedToTarget.Method {
		return
	}
	e, ok := decode[target.EventAttachedToTarget](params)
	if !ok {
		return
	}
	b.mu.Lock()
	t := b.tabs[e.TargetInfo.BrowserContextID]
	b.mu.Unlock()
	s := session{b.wire, e.SessionID}
	if t == nil {
		s.Send("Runtime.runIfWaitingForDebugger", nil) // the window of the start, not ours
		return
	}
	t.attached(s, e)
}

// autoAttach are the parameters with which every new target is paused at its
// start until the instruments are live.
func autoAttach(inPage bool) target.SetAutoAttachParams {
	yes := true
	filter := target.Filter{{Exclude: true, Type: "browser"}, {Exclude: true, Type: "tab"}, {Exclude: true, Type: "browser_ui"}}
	if inPage { // these attach through the browser too: once is enough
		filter = append(filter, target.FilterEntry{Exclude: true, Type: "service_worker"}, target.FilterEntry{Exclude: true, Type: "shared_worker"})
	}
	return target.SetAutoAttachParams{AutoAttach: true, WaitForDebuggerOnStart: true, Flatten: &yes, Filter: append(filter, target.FilterEntry{})}
}

// selfTest proves that a third-party cookie is stored, because "no third-party
// cookie was set" would be a false finding otherwise. It uses a page of ours on
// loopback; 127.0.0.1 and localhost are two sites, and localhost is
// trustworthy enough for Secure cookies.
func (b *Browser) selfTest(ctx context.Context) error {
	mux := http.NewServeMux()
	srv := httptest.NewUnstartedServer(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, port, _ := strings.Cut(r.Host, ":")
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><title>self-test</title><img src="http://localhost:%s/set" width="1" height="1">`, port)
	})
	mux.HandleFunc("/set", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "third=party; SameSite=None; Secure; Path=/")
		w.Header().Set("Content-Type", "image/gif")
	})
	srv.Start()
	defer srv.Close()
	bc, err := cdp.Call(ctx, b.root, target.CreateBrowserContext, target.CreateBrowserContextParams{ProxyServer: "direct://"})
	if err != nil {
		return err
	}
	defer b.root.Send("Target.disposeBrowserContext", target.DisposeBrowserContextParams(bc))
	t := newTab(b, bc.BrowserContextID, "")
	if err := t.open(ctx); err != nil {
		return err
	}
	defer t.forget()
	if _, err := cdp.Call(ctx, t.page, page.Navigate, page.NavigateParams{URL: srv.URL + "/"}); err != nil {
		return err
	}
	for range 100 {
		cs, err := cdp.Call(ctx, b.root, storage.GetCookies, storage.GetCookiesParams{BrowserContextID: bc.BrowserContextID})
		if err != nil {
			return err
		}
		if slices.ContainsFunc(cs.Cookies, func(c *network.Cookie) bool { return c.Name == "third" }) {
			b.ThirdParty = true
			return b.sandboxed()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.New("the browser does not store third-party cookies, so its evidence would be false")
}
