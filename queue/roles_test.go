package queue_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	pc "pecrawler"
	"pecrawler/queue"
)

// secure starts a server with the configuration of deploy/nats, and returns how
// each role logs in.
func secure(t *testing.T) (url string, login func(queue.Role) queue.Login) {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, role := range []string{"admin", "launcher", "worker", "collector", "reviewer", "exporter", "sys"} {
		kp, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		pub, _ := kp.PublicKey()
		seed, _ := kp.Seed()
		t.Setenv("PECRAWLER_"+strings.ToUpper(role), pub)
		write(role+".nk", seed)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// One certificate is authority, server and client; what it proves here is that all three are asked for.
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	crt := write("tls.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	pkey := write("tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	for k, v := range map[string]string{"SERVER": "nats-0", "STORE": filepath.Join(dir, "js"), "TLS_CERT": crt, "TLS_KEY": pkey, "TLS_CA": crt} {
		t.Setenv("PECRAWLER_"+k, v)
	}
	o, err := server.ProcessConfigFile(filepath.Join("..", "deploy", "nats", "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	o.Host, o.Port, o.HTTPPort, o.NoSigs, o.NoLog = "127.0.0.1", -1, 0, true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server did not start")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s.ClientURL(), func(r queue.Role) queue.Login {
		return queue.Login{NKey: filepath.Join(dir, string(r)+".nk"), CA: crt, Cert: crt, Key: pkey}
	}
}

// Each role can do its work with the ready-made configuration.
func TestRolesCanDoTheirWork(t *testing.T) {
	url, login := secure(t)
	ctx := t.Context()
	as := func(r queue.Role) *queue.Queue {
		q, err := queue.Open(ctx, queue.Config{URL: url, Role: r, Login: login(r), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
		if err != nil {
			t.Fatalf("%s: %v", r, err)
		}
		t.Cleanup(q.Close)
		return q
	}
	must := func(who queue.Role, what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %s: %v", who, what, err)
		}
	}
	must(queue.Admin, "makes the streams", as(queue.Admin).Fix(ctx))
	l, c, w := as(queue.Launcher), as(queue.Collector), as(queue.Worker)

	if err := launch(t, l, sweep("test"), 3); err != nil {
		t.Fatal(err)
	}
	must(queue.Launcher, "pauses", l.Pause(ctx, "test"))
	must(queue.Launcher, "resumes", l.Resume(ctx, "test"))
	d, err := l.NewSchedule(ctx, queue.Schedule{Name: "weekly", Priority: 5, Due: time.UnixMilli(1000)})
	must(queue.Launcher, "begins a schedule", err)
	must(queue.Launcher, "adds to it", d.Add(ctx, queue.Entry{Site: "a.example"}))
	s, err := d.Finish(ctx)
	must(queue.Launcher, "schedules", err)
	must(queue.Launcher, "changes a schedule", l.ChangeSchedule(ctx, "weekly", func(s *queue.Schedule) error { return nil }))
	_, err = c.Repeat(ctx, s, s.Due)
	must(queue.Collector, "launches what is scheduled", err)
	must(queue.Collector, "notes that", c.ChangeSchedule(ctx, "weekly", func(s *queue.Schedule) error { s.Due = time.Time{}; return nil }))
	if all, err := c.Schedules(ctx); err != nil || len(all) != 1 || !all[0].Due.IsZero() {
		t.Errorf("collector: schedules %+v, %v", all, err)
	}
	must(queue.Launcher, "removes a schedule", l.RemoveSchedule(ctx, "weekly"))
	must(queue.Launcher, "asks", l.Ask(ctx, queue.Command{Do: queue.DoRevisit, Sweep: "test", Site: "s0.example"}))

	collect, stop := context.WithCancel(ctx)
	got := make(chan string, 10)
	done := make(chan error, 1)
	go func() {
		done <- c.Collect(collect, queue.Handler{
			List:    func(context.Context, string, []queue.Entry) error { got <- "list"; return nil },
			Result:  func(context.Context, pc.Verdict) error { got <- "result"; return nil },
			Dead:    func(context.Context, queue.DeadVisit) error { got <- "dead"; return nil },
			Command: func(context.Context, queue.Command) error { got <- "command"; return nil },
		})
	}()
	vs := visits(4)
	must(queue.Collector, "adds visits", c.AddVisits(ctx, vs[:2]))
	must(queue.Collector, "adds a visit of later", c.AddVisitAt(ctx, vs[2], time.Now().Add(time.Hour)))
	must(queue.Collector, "adds an urgent visit", c.AddUrgent(ctx, vs[3]))
	if n, err := c.Later(ctx, "test"); err != nil || n != 1 {
		t.Errorf("collector: %d visits of later, %v", n, err)
	}

	j := next(t, w)
	must(queue.Worker, "publishes a result", w.PublishResult(ctx, pc.Verdict{Sweep: "test", Site: j.Visit.Site, Visit: 1}))
	must(queue.Worker, "acknowledges", j.Done(ctx))
	must(queue.Worker, "gives up", next(t, w).Dead(ctx, "test"))
	must(queue.Worker, "gives back", next(t, w).Return(0))
	must(queue.Worker, "takes a lease", w.TryLease(ctx))

	seen := map[string]bool{}
	for len(seen) < 4 {
		select {
		case s := <-got:
			seen[s] = true
		case <-time.After(10 * time.Second):
			t.Fatalf("the collector got only %v", seen)
		}
	}
	stop()
	must(queue.Collector, "collects", <-done)
	must(queue.Collector, "gives last words", c.PublishVerdict(ctx, pc.Verdict{Sweep: "test", Site: "a.example", Visits: 2, Overall: pc.Flagged}))
	must(queue.Collector, "reports", c.Report(ctx, "test", queue.Progress{Sites: 3}))
	if all, err := c.Sweeps(ctx); err != nil || len(all) != 2 {
		t.Errorf("collector: sweeps %v, %v", all, err)
	}

	ls := letters(t, l)
	if len(ls) != 1 {
		t.Fatalf("launcher: %d dead letters", len(ls))
	}
	must(queue.Launcher, "makes a dead visit again", l.Retry(ctx, ls[0]))
	if st, err := l.State(ctx, "test"); err != nil || st.Sites != 3 || st.Later != 1 {
		t.Errorf("launcher: state %+v, %v", st, err)
	}
	must(queue.Launcher, "cancels", l.Cancel(ctx, "test"))
	must(queue.Collector, "ends", c.End(ctx, "test"))

	parts, err := as(queue.Exporter).Check(ctx)
	must(queue.Exporter, "checks", err)
	for _, p := range parts {
		if len(p.Faults) > 0 {
			t.Errorf("%s: %v", p.Name, p.Faults)
		}
	}

	nc := connect(t, url, queue.Reviewer, login(queue.Reviewer), nil)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	cons, err := js.Consumer(ctx, "FLAGGED", "review")
	if err != nil {
		t.Fatalf("reviewer: %v", err)
	}
	msg, err := cons.Next(jetstream.FetchMaxWait(5 * time.Second))
	if err != nil || !strings.Contains(string(msg.Data()), "a.example") {
		t.Fatalf("reviewer reads: %v", err)
	}
	must(queue.Reviewer, "acknowledges", msg.DoubleAck(ctx))
}

func connect(t *testing.T, url string, r queue.Role, l queue.Login, errs chan<- error) *nats.Conn {
	t.Helper()
	key, err := nats.NkeyOptionFromSeed(l.NKey)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(url, key, nats.RootCAs(l.CA), nats.ClientCert(l.Cert, l.Key), nats.CustomInboxPrefix("_INBOX_"+string(r)), nats.PermissionErrOnSubscribe(true),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errs != nil {
				errs <- err
			}
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// What a role must not do, it cannot do: above all a worker cannot launch, and
// cannot forge what the collector or a launcher says.
func TestRolesCanDoNothingElse(t *testing.T) {
	url, login := secure(t)
	ctx := t.Context()
	admin, err := queue.Open(ctx, queue.Config{URL: url, Role: queue.Admin, Login: login(queue.Admin), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := launch(t, admin, sweep("test"), 1); err != nil {
		t.Fatal(err)
	}
	// Somebody without a key, without a certificate, or with a key of no role.
	l := login(queue.Worker)
	cfg := queue.Config{URL: url, Role: queue.Worker, Login: queue.Login{CA: l.CA, Cert: l.Cert, Key: l.Key}, Log: slog.New(slog.DiscardHandler)}
	if _, err := queue.Open(ctx, cfg); err == nil || !strings.Contains(err.Error(), "--nats-nkey") {
		t.Errorf("without a key: %v", err)
	}
	cfg.Login = queue.Login{NKey: l.NKey, CA: l.CA}
	if _, err := queue.Open(ctx, cfg); err == nil {
		t.Error("without a certificate a worker was let in")
	}

	before := counts(t, admin)
	for role, subjects := range map[queue.Role][]string{
		queue.Worker: {"pecrawler.visit.test.x", "pecrawler.urgent.test.x", "pecrawler.later.test.x", "pecrawler.list.evil.1", "pecrawler.control.test.x", "pecrawler.verdict.test.x", "pecrawler.flagged.test.x",
			"$KV.pecrawler_sweeps.test", "$KV.pecrawler_progress.test", "$KV.pecrawler_schedules.test", "$JS.API.DIRECT.GET.KV_pecrawler_schedules.$KV.pecrawler_schedules.test", "$JS.API.STREAM.DELETE.VISITS", "$JS.API.STREAM.PURGE.VISITS", "$JS.API.STREAM.UPDATE.RESULTS",
			"$JS.API.CONSUMER.CREATE.VISITS.thief.pecrawler.visit.test.*", "$JS.API.CONSUMER.CREATE.RESULTS.thief", "$JS.API.CONSUMER.DELETE.VISITS.5-test", "$JS.API.CONSUMER.PAUSE.VISITS.5-test",
			"$JS.API.CONSUMER.MSG.NEXT.RESULTS.collect", "$JS.API.DIRECT.GET.KV_pecrawler_sweeps.$KV.pecrawler_sweeps.test", "$JS.ACK.RESULTS.collect.1.1.1.1.1"},
		queue.Launcher: {"pecrawler.visit.test.x", "pecrawler.later.test.x", "pecrawler.result.test.x", "pecrawler.verdict.test.x", "pecrawler.flagged.test.x", "pecrawler.dead.test.x", "$KV.pecrawler_progress.test",
			"$JS.API.STREAM.DELETE.VISITS", "$JS.API.CONSUMER.CREATE.KV_pecrawler_sweeps.x", "$JS.API.CONSUMER.MSG.NEXT.VISITS.5-test"},
		queue.Collector: {"pecrawler.result.test.x", "pecrawler.control.test.x", "$KV.pecrawler_schedules.test.list.1", "$JS.API.STREAM.PURGE.KV_pecrawler_schedules", "$JS.API.STREAM.DELETE.RESULTS", "$JS.API.CONSUMER.CREATE.RESULTS.x"},
		queue.Reviewer:  {"pecrawler.flagged.test.x", "pecrawler.control.test.x", "pecrawler.visit.test.x", "$JS.API.CONSUMER.CREATE.FLAGGED.x", "$JS.API.CONSUMER.MSG.NEXT.VISITS.5-test", "$JS.API.STREAM.INFO.RESULTS"},
		queue.Exporter:  {"pecrawler.visit.test.x", "pecrawler.result.test.x", "$JS.API.STREAM.DELETE.VISITS", "$JS.API.DIRECT.GET.FLAGGED", "$JS.API.CONSUMER.MSG.NEXT.FLAGGED.review"},
	} {
		errs := make(chan error, 10)
		nc := connect(t, url, role, login(role), errs)
		for _, s := range subjects {
			if err := nc.Publish(s, []byte(`{"sweep":"test","site":"x.example"}`)); err != nil {
				t.Fatal(err)
			}
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-errs:
				if !errors.Is(err, nats.ErrPermissionViolation) {
					t.Errorf("%s: publish to %s: %v", role, s, err)
				}
			case <-time.After(3 * time.Second):
				t.Errorf("%s may publish to %s", role, s)
			}
		}
		for _, s := range []string{">", "pecrawler.>", "pecrawler.flagged.>", "_INBOX_launcher.>", "_INBOX.>", "$KV.>"} {
			if s == "_INBOX_"+string(role)+".>" {
				continue
			}
			sub, err := nc.SubscribeSync(s)
			if err == nil {
				_, err = sub.NextMsg(500 * time.Millisecond)
			}
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s may listen to %s: %v", role, s, err)
			}
		}
	}
	if after := counts(t, admin); after != before {
		t.Errorf("the streams were %s, and are %s", before, after)
	}
}

// counts is how many messages are where, without the counts of deliveries.
func counts(t *testing.T, q *queue.Queue) string {
	t.Helper()
	parts, err := q.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Name + " " + p.Is + " " + strings.Join(p.Faults, ";") + "\n")
	}
	return b.String()
}
