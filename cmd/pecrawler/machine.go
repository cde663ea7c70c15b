package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"pecrawler/evidence"
)

// machine counts, when it is asked, what a process leans on and cannot mend
// itself: disk, clock, certificates, the servers of the cluster.
type machine struct {
	folders map[string]string // by what lies there: data, evidence
	certs   map[string]string // files, by the flag that names them
	nats    []string          // host:port

	free, size, clockOK, clockErr, expiry, reachable, build *prometheus.Desc
}

// watchMachine registers what is counted of the machine, once a process.
func (o *options) watchMachine(reg prometheus.Registerer) error {
	folders := map[string]string{"data": o.out}
	if v := o.vaultPath(); !strings.Contains(v, "://") {
		folders["evidence"] = v
	}
	err := reg.Register(newMachine(folders, o.certificates(), natsServers(o.nats)))
	if already := (prometheus.AlreadyRegisteredError{}); errors.As(err, &already) {
		return nil
	}
	return err
}

// certificates are the files whose expiry is watched, by flag.
func (o *options) certificates() map[string]string {
	return map[string]string{"ca": o.ca, "nats-ca": o.login.CA, "nats-cert": o.login.Cert}
}

func newMachine(folders, certs map[string]string, nats []string) *machine {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("pecrawler_"+name, help, labels, nil)
	}
	return &machine{folders: folders, certs: certs, nats: nats,
		free:      desc("disk_free_bytes", "Bytes that can still be written where something of ours lies: data, evidence.", "folder"),
		size:      desc("disk_size_bytes", "Bytes of the disk on which something of ours lies: data, evidence.", "folder"),
		clockOK:   desc("clock_synchronised", "1 when the kernel holds its clock to be synchronised."),
		clockErr:  desc("clock_max_error_seconds", "How wrong the clock may be at most, as the kernel says."),
		expiry:    desc("certificate_expiry_timestamp_seconds", "When the first certificate of a file expires, by the flag that names the file.", "file"),
		reachable: desc("nats_server_reachable", "1 when a server of --nats took a connection just now.", "server"),
		build:     desc("build_info", "Always 1: the version of this process.", "version"),
	}
}

// Describe implements [prometheus.Collector].
func (m *machine) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.free, m.size, m.clockOK, m.clockErr, m.expiry, m.reachable, m.build} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector]. What cannot be read is left out:
// a number that is made up would hide that.
func (m *machine) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(m.build, 1, toolVersion())
	for name, dir := range m.folders {
		if free, size, err := diskSpace(dir); err == nil {
			gauge(m.free, free, name)
			gauge(m.size, size, name)
		}
	}
	if c := evidence.ReadClock(); c.Source == "adjtimex" {
		gauge(m.clockOK, boolean(c.Synchronised))
		gauge(m.clockErr, float64(c.MaxErrorUS)/1e6)
	}
	for name, file := range m.certs {
		if at, err := firstExpiry(file); err == nil {
			gauge(m.expiry, float64(at.Unix()), name)
		}
	}
	var wg sync.WaitGroup
	for _, s := range m.nats {
		wg.Go(func() { gauge(m.reachable, boolean(reachable(s) == nil), s) })
	}
	wg.Wait()
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// diskSpace is what an ordinary user can still write below a folder, and the
// size of its disk. The folder need not be there yet.
func diskSpace(dir string) (free, size float64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, fmt.Errorf("ask for the space below %s: %w", dir, err)
	}
	return float64(st.Bavail) * float64(st.Bsize), float64(st.Blocks) * float64(st.Bsize), nil
}

// firstExpiry is when the first certificate of a PEM file expires.
func firstExpiry(file string) (first time.Time, err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return first, err
	}
	for {
		var b *pem.Block
		if b, raw = pem.Decode(raw); b == nil {
			break
		}
		if b.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return first, fmt.Errorf("read a certificate of %s: %w", file, err)
		}
		if first.IsZero() || c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	if first.IsZero() {
		return first, fmt.Errorf("%s has no certificate", file)
	}
	return first, nil
}

// natsServers are the addresses of the servers that --nats names.
func natsServers(urls string) []string {
	var out []string
	for _, s := range strings.Split(urls, ",") {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		if !strings.Contains(s, "://") {
			s = "nats://" + s
		}
		u, err := url.Parse(s)
		if err != nil || u.Hostname() == "" {
			continue
		}
		port := u.Port()
		if port == "" {
			port = "4222"
		}
		out = append(out, net.JoinHostPort(u.Hostname(), port))
	}
	return out
}

func reachable(server string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second) // a scrape has no context of its own here
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", server)
	if err != nil {
		return err
	}
	return c.Close()
}
