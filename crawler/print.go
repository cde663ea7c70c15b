package crawler

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// PrintPDF prints a page of ours with Chromium: a profile that is thrown away,
// no network, and no longer than the context lasts. chrome is the program's
// path; "" is searched for, and where there is none the error is ErrNoChrome.
func PrintPDF(ctx context.Context, chrome string, html []byte) (pdf []byte, err error) {
	path, err := findChrome(chrome)
	if err != nil {
		return nil, err
	}
	sweepProfiles("")
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", profilePrefix, os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("make a profile folder for Chromium: %w", err)
	}
	defer func() {
		for range 20 { // a dying child can still write for a moment
			if os.RemoveAll(dir) == nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	in, out := filepath.Join(dir, "page.html"), filepath.Join(dir, "page.pdf")
	if err := os.WriteFile(in, html, 0o600); err != nil {
		return nil, fmt.Errorf("print: %w", err)
	}
	cmd := exec.CommandContext(ctx, path, "--headless=new", "--user-data-dir="+filepath.Join(dir, "profile"), "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--disable-breakpad", "--disable-sync",
		// Nothing listens on port 9: the page needs no network, and what the browser wants of its own ends there.
		"--proxy-server=http://127.0.0.1:9", "--proxy-bypass-list=<-loopback>",
		"--no-pdf-header-footer", "--generate-pdf-document-outline", "--print-to-pdf="+out, "file://"+in)
	var said tail
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir, "TMPDIR="+dir, "DBUS_SESSION_BUS_ADDRESS=disabled:")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 { // its sandbox needs an ordinary user
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		if err := errors.Join(os.Lchown(dir, nobody, nobody), os.Lchown(in, nobody, nobody)); err != nil {
			return nil, fmt.Errorf("print: %w", err)
		}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	// Pdeathsig follows the thread that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	if cmd.Process != nil {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what is left of its group
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("print with %s: %w", path, context.Cause(ctx))
	}
	if err != nil {
		return nil, fmt.Errorf("print with %s: %w: %s", path, err, lastLine(said.String()))
	}
	if pdf, err = os.ReadFile(out); err != nil || !strings.HasPrefix(string(pdf[:min(len(pdf), 5)]), "%PDF-") {
		return nil, fmt.Errorf("print with %s: it made no PDF: %s", path, lastLine(said.String()))
	}
	return pdf, nil
}
