package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pecrawler/evidence"
)

// What doctor examines of the machine. Each says what to do.

// advice is a fault that visits may do well without mending.
type advice struct{ error }

// userNamespaces tries what Chromium's sandbox begins with.
func userNamespaces() error {
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID}
	err := cmd.Run()
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: Chromium's sandbox needs user namespaces. In a container give it deploy/seccomp/chromium.json; on the machine set user.max_user_namespaces above 0 and, on Ubuntu, kernel.apparmor_restrict_unprivileged_userns to 0", err)
}

func sharedMemory() (string, error) {
	_, size, err := diskSpace("/dev/shm")
	if err != nil {
		return "", err
	}
	said := fmt.Sprintf("%.0f MiB in /dev/shm", size/(1<<20))
	if size < 256<<20 {
		return said, advice{fmt.Errorf("%s: pages crash with so little; want 1 GiB (--shm-size 1g, or an emptyDir in memory)", said)}
	}
	return said, nil
}

// fonts: without them text has boxes for letters, and its size is wrong. They are
// those of the image (Dockerfile), and of deploy/setup.sh.
func fonts(ctx context.Context) (string, error) {
	var missing, packages []string
	for _, want := range []struct{ what, pattern, pack string }{
		{"what sites ask for", "Liberation Sans", "fonts-liberation"},
		{"Welsh", "Noto Sans:lang=cy", "fonts-noto-core"},
		{"emoji", ":lang=und-zsye", "fonts-noto-color-emoji"},
		{"Chinese, Japanese and Korean", ":lang=zh:lang=ja:lang=ko", "fonts-wqy-microhei"},
	} {
		out, err := exec.CommandContext(ctx, "fc-list", want.pattern, "family").Output()
		if errors.Is(err, exec.ErrNotFound) {
			return "not known: there is no fc-list", nil
		}
		if err != nil {
			return "", fmt.Errorf("fc-list: %w", err)
		}
		if len(out) == 0 {
			missing, packages = append(missing, want.what), append(packages, want.pack)
		}
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("there is no font for %s; install %s", strings.Join(missing, ", "), strings.Join(packages, " "))
	}
	return "for Latin with Welsh, Chinese, Japanese, Korean and emoji", nil
}

// names asks the resolver. A resolver that cannot be asked is no fault where a
// proxy finds the names.
func (o *options) names(ctx context.Context) (string, error) {
	if u := o.upstream(); u != nil {
		return askProxy(ctx, u)
	}
	r, of := o.resolver()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	begin := time.Now()
	ips, err := r.LookupNetIP(ctx, "ip", "www.gov.uk.")
	if err != nil {
		err = fmt.Errorf("%s does not find www.gov.uk: %w; name another with --dns, or a --proxy that finds names (the test web needs neither)", of, err)
		if o.dns == "" {
			err = advice{err} // a machine without the internet can sweep the test web
		}
		return "", err
	}
	for _, ip := range ips {
		if ip = ip.Unmap(); ip.IsPrivate() || ip.IsLoopback() || ip.IsUnspecified() {
			return "", fmt.Errorf("%s says that www.gov.uk is at %s, which is not on the internet; visits would be refused. Name another with --dns", of, ip)
		}
	}
	return fmt.Sprintf("%s answers in %d ms", of, time.Since(begin).Milliseconds()), nil
}

// resolver is who finds names, and what people call it.
func (o *options) resolver() (r *net.Resolver, of string) {
	if o.dns == "" {
		return net.DefaultResolver, "the system's resolver"
	}
	addr := o.dns
	if a, err := netip.ParseAddr(addr); err == nil {
		addr = netip.AddrPortFrom(a, 53).String()
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}, addr
}

// askProxy asks a proxy for a way to a site, as every visit does. One that
// takes the connection may still be no proxy, or not ours.
func askProxy(ctx context.Context, proxy *url.URL) (string, error) {
	addr := proxy.Host
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", fmt.Errorf("the proxy does not answer: %w; is --proxy right, and is it up?", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	const site = "www.gov.uk:443"
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: site}, Host: site, Header: http.Header{}}
	if pass, ok := proxy.User.Password(); ok {
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(proxy.User.Username()+":"+pass)))
	}
	if err := req.Write(conn); err != nil {
		return "", fmt.Errorf("the proxy at %s hangs up: %w", addr, err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return "", fmt.Errorf("what answers at %s is no http proxy: %w; is the port of --proxy right?", addr, err)
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		return "found by the proxy of --proxy, which reaches " + site, nil
	case resp.StatusCode == http.StatusProxyAuthRequired:
		return "", fmt.Errorf("the proxy at %s wants another name or password: %s", addr, resp.Status)
	case resp.StatusCode < 500:
		return "", fmt.Errorf("the proxy at %s refuses us: %s; does it take our address, and is the port of --proxy right?", addr, resp.Status)
	}
	return "", advice{fmt.Errorf("the proxy at %s answers but does not reach %s: %s (that of the test web reaches its own sites only)", addr, site, resp.Status)}
}

// serversUp tries each server of --nats: a cluster that has lost one still
// answers, and the client says nothing.
func serversUp(urls string) error {
	var faults []error
	for _, s := range natsServers(urls) {
		if err := reachable(s); err != nil {
			faults = append(faults, fmt.Errorf("the server %s takes no connection: %w", s, err))
		}
	}
	return errors.Join(faults...)
}

func clock() (string, error) {
	c := evidence.ReadClock()
	if c.Source != "adjtimex" {
		return "not known: " + c.Source, nil
	}
	if !c.Synchronised {
		return "", advice{errors.New("the kernel does not hold it to be synchronised, and bundles will say so; run chrony or systemd-timesyncd on the machine")}
	}
	return fmt.Sprintf("synchronised, wrong by %d ms at most", c.MaxErrorUS/1000), nil
}

// leastFree is what a machine needs to go on for some hours; a bundle has megabytes.
const leastFree = 2 << 30

// leastTemp is what browsers need for their profiles, which go when they end.
const leastTemp = 1 << 30

func disks(out, vault string) (string, error) {
	places := []string{out, os.TempDir()}
	if !strings.Contains(vault, "://") {
		places = append(places, vault)
	}
	var said []string
	var faults []error
	seen := map[unix.Fsid]bool{}
	for _, p := range places {
		var st unix.Statfs_t
		if err := unix.Statfs(p, &st); err != nil {
			continue // the check of the folder says it
		}
		if seen[st.Fsid] {
			continue
		}
		seen[st.Fsid] = true
		free, _, err := diskSpace(p)
		if err != nil {
			return "", err
		}
		said = append(said, fmt.Sprintf("%.1f GiB are free at %s", free/(1<<30), p))
		least := leastFree
		if p == os.TempDir() {
			least = leastTemp
		}
		if free < float64(least) {
			faults = append(faults, fmt.Errorf("only %.0f MiB are free at %s, want %d; make room (pecrawler bundle expire) or use another disk", free/(1<<20), p, least>>20))
		}
	}
	return strings.Join(said, ", "), errors.Join(faults...)
}

// expiries looks at the certificates of the flags.
func expiries(files map[string]string, now time.Time) (string, error) {
	var said []string
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if files[name] == "" {
			continue
		}
		at, err := firstExpiry(files[name])
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("--%s: %w", name, err))
		case at.Before(now):
			faults = append(faults, fmt.Errorf("--%s expired on %s; make a new one (docs/operate.md)", name, at.Format(time.DateOnly)))
		default:
			said = append(said, fmt.Sprintf("--%s until %s", name, at.Format(time.DateOnly)))
		}
	}
	if len(said) == 0 && len(faults) == 0 {
		return "none are used", nil
	}
	return strings.Join(said, ", "), errors.Join(faults...)
}
