package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"pecrawler/crawler"
	"pecrawler/lab"
	"pecrawler/queue"
	"pecrawler/store"
)

// options are the settings of every command. A flag's name is its name in the
// YAML file of --config too; the command line has precedence.
type options struct {
	out        string
	store      string
	storeFile  string
	agree      int
	slots      int
	name       string
	fresh      bool
	plan       lab.Plan
	lab        bool
	nats       string
	natsListen string
	login      queue.Login
	replicas   int
	agreeAfter time.Duration
	gap        time.Duration
	perAddress int
	listen     string
	proxy      string
	dns        string
	ca         string
	allow      prefixes
	robots     string
	userAgent  string
	locale     string
	timezone   string
	chrome     string
	mobile     bool
	gpc        bool
	settle     time.Duration
	evidence   string
	signingKey string
	tsa        string
	memory     int // MiB
	verbose    bool
	config     string

	set map[string]bool // given by a flag or the file
}

// prefixes is a repeatable flag.
type prefixes []netip.Prefix

func (p *prefixes) String() string {
	var s []string
	for _, x := range *p {
		s = append(s, x.String())
	}
	return strings.Join(s, ",")
}

func (p *prefixes) Set(v string) error {
	for _, s := range strings.Split(v, ",") {
		x, err := netip.ParsePrefix(strings.TrimSpace(s))
		if err != nil {
			return errors.New("want an address range such as 10.0.0.0/8")
		}
		*p = append(*p, x.Masked())
	}
	return nil
}

// Groups of flags, so that a command has only those that mean something to it.
const (
	forData    = 1 << iota // where results lie
	forVisits              // how sites are looked at
	forList                // what a sweep is
	forSweep               // a sweep in this process
	forCluster             // which NATS
	forQueue               // a NATS server of our own
	forServe               // where pages are served
	forLab                 // which sites the test web has
	forVault               // where bundles lie, for what makes no visits
)

// parse reads flags (before, between and after the arguments) and the file.
func parse(e env, cmd string, groups int, args []string) (*options, []string, error) {
	return parseWith(e, cmd, groups, args, func(*flag.FlagSet) {})
}

// parseWith is parse for a command that has flags of its own.
func parseWith(e env, cmd string, groups int, args []string, own func(*flag.FlagSet)) (*options, []string, error) {
	o := &options{set: map[string]bool{}}
	fs := flag.NewFlagSet(cmd, flag.ContinueOnError)
	fs.SetOutput(e.stderr)
	own(fs)
	if groups&forData != 0 {
		fs.StringVar(&o.out, "out", "./pecrawler-data", "data `folder`: store, evidence, queue, verdicts.jsonl")
		fs.StringVar(&o.store, "store", "", "database: a file, or `postgres://user@host/database` with the password in PGPASSWORD; the variable PECRAWLER_STORE, or a file in the data folder, when not given")
		fs.StringVar(&o.storeFile, "store-file", "", "`file` with what --store would say, if it has a password; or the variable PECRAWLER_STORE_FILE")
	}
	if groups&forList != 0 {
		fs.IntVar(&o.agree, "agree", 2, "visits that must agree before a site is flagged")
		later := time.Duration(0)
		if groups&forSweep == 0 {
			later = time.Hour
		}
		fs.DurationVar(&o.agreeAfter, "agree-after", later, "shortest time from a visit that raised suspicion to the next of the site")
		fs.StringVar(&o.name, "name", "", "`name` of the sweep (a-z, 0-9 and -); made from the list and the time when not given")
	}
	if groups&forSweep != 0 {
		fs.BoolVar(&o.fresh, "fresh", false, "begin a new sweep even if one of the same list was left unfinished")
		fs.BoolVar(&o.lab, "lab", false, "serve the test web on loopback and sweep that")
	}
	if groups&forVisits != 0 {
		fs.IntVar(&o.slots, "slots", 4*runtime.NumCPU(), "visits at the same time")
		fs.StringVar(&o.proxy, "proxy", "", "upstream http proxy, e.g. a UK exit, as a `URL`")
		fs.StringVar(&o.dns, "dns", "", "`address` of the resolver, also asked which names are aliases; the system's unless given")
		fs.StringVar(&o.ca, "ca", "", "extra trusted certificate authority, PEM `file`")
		fs.Var(&o.allow, "allow", "special address `range` that pages may reach, e.g. 10.0.0.0/8; may be repeated")
		fs.StringVar(&o.robots, "robots", "record", "honour or record robots.txt")
		fs.StringVar(&o.userAgent, "user-agent", "", "user agent; the browser's own desktop one when not given")
		fs.StringVar(&o.locale, "locale", "en-GB", "language of the visitor")
		fs.StringVar(&o.timezone, "timezone", "Europe/London", "time zone of the visitor")
		fs.BoolVar(&o.mobile, "mobile", false, "the visitor is on a telephone")
		fs.BoolVar(&o.gpc, "gpc", false, "the visitor sends Global Privacy Control")
		fs.StringVar(&o.chrome, "chrome", "", "`path` of Chromium; searched for when not given")
		fs.DurationVar(&o.settle, "settle", 5*time.Second, "shortest watch of a page after it has loaded")
		fs.IntVar(&o.memory, "browser-memory", 0, "`MiB` that Chromium may hold: it is replaced before that, and a page that goes beyond is ended; 2048, and more with many slots, when not given")
		fs.StringVar(&o.signingKey, "signing-key", "", "private Ed25519 key that bundles are signed by, PEM `file`; one is made in the data folder when not given")
		fs.StringVar(&o.tsa, "tsa", "", "`URL` of an RFC 3161 time-stamping authority that witnesses each bundle; none when not given")
	}
	if groups&(forVisits|forVault) != 0 {
		fs.StringVar(&o.evidence, "evidence", "", "where bundles lie: a folder or a bucket's `URL`, e.g. s3://name?region=eu-west-2; in the data folder when not given")
	}
	if groups&forCluster != 0 {
		own := ""
		if groups&forQueue != 0 {
			own = "; an embedded server when not given"
		}
		fs.StringVar(&o.nats, "nats", "", "`URL` of a NATS cluster, several with commas between them"+own)
		fs.StringVar(&o.login.NKey, "nats-nkey", "", "`file` with the seed of this user's key, see deploy/nats")
		fs.StringVar(&o.login.CA, "nats-ca", "", "certificate authority of the cluster, PEM `file`")
		fs.StringVar(&o.login.Cert, "nats-cert", "", "certificate that is shown to the cluster, PEM `file`")
		fs.StringVar(&o.login.Key, "nats-cert-key", "", "key of that certificate, PEM `file`")
		fs.IntVar(&o.replicas, "nats-replicas", 1, "servers that keep each message, of streams that are made now: 1, 3 or 5")
	}
	if groups&forQueue != 0 {
		fs.StringVar(&o.natsListen, "nats-listen", "", "`host:port` on which the embedded server admits more workers")
	}
	if groups&forCluster != 0 && groups&forVisits != 0 {
		fs.DurationVar(&o.gap, "gap", 2*time.Second, "shortest time between two visits of one registrable domain, over all workers; the test web does without unless given")
		fs.IntVar(&o.perAddress, "per-address", 4, "visits at the same time of sites behind one address, over all workers, 0 for no limit; addresses of large networks that are known take ten times as many. The test web does without unless given, and so does --proxy without --dns")
	}
	if groups&forLab != 0 {
		fs.BoolVar(&o.plan.Written, "written", true, "the test web has the sites that are written by hand")
		fs.BoolVar(&o.plan.Hostile, "hostile", false, "the test web has sites that attack the browser, the network or the reader")
		fs.IntVar(&o.plan.Lawful, "lawful", 0, "`number` of generated lawful sites in the test web")
		fs.BoolVar(&o.plan.Mutants, "mutants", false, "the test web has a site for every fault of every consent manager")
		fs.Uint64Var(&o.plan.Seed, "seed", 1, "`number` that the generated sites are made from")
	}
	if groups&forServe != 0 {
		fs.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`host:port` of the review page and /metrics")
	}
	fs.BoolVar(&o.verbose, "verbose", false, "log what is done, not only what went wrong")
	fs.StringVar(&o.config, "config", "", "YAML `file` with the same settings as the flags")
	fs.Usage = func() {
		fmt.Fprintf(e.stderr, "Usage: pecrawler %s [flags]", cmd)
		if i := slices.IndexFunc(commands(), func(c command) bool { return c.name == cmd }); i >= 0 {
			fmt.Fprintf(e.stderr, " %s\n\n%s\n\n", commands()[i].args, commands()[i].does)
		} else {
			fmt.Fprintln(e.stderr)
		}
		fs.PrintDefaults()
	}
	rest, err := parseInterspersed(fs, args)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, nil, err
		}
		return nil, nil, errUsage // the flag package has said what is wrong
	}
	fs.Visit(func(f *flag.Flag) { o.set[f.Name] = true })
	if store.HasPassword(o.store) {
		return nil, nil, usage("--store has a password, which every user of this machine can read there: put it into PGPASSWORD, or the whole into --store-file or PECRAWLER_STORE")
	}
	if o.config != "" {
		if err := o.readFile(fs, o.config); err != nil {
			return nil, nil, usage("%v", err)
		}
	}
	if err := o.validate(groups); err != nil {
		return nil, nil, usage("%v", err)
	}
	if groups&forData != 0 {
		if err := o.findStore(); err != nil {
			return nil, nil, usage("%v", err)
		}
	}
	return o, rest, nil
}

// findStore settles where the store is.
func (o *options) findStore() error {
	if o.store != "" && o.storeFile != "" {
		return errors.New("--store and --store-file say the same: want one of them")
	}
	if o.store == "" && o.storeFile == "" {
		o.store, o.storeFile = os.Getenv("PECRAWLER_STORE"), os.Getenv("PECRAWLER_STORE_FILE")
	}
	if o.storeFile != "" {
		raw, err := os.ReadFile(o.storeFile)
		if err != nil {
			return fmt.Errorf("--store-file: %w", err)
		}
		if o.store = strings.TrimSpace(string(raw)); o.store == "" {
			return fmt.Errorf("--store-file: %s is empty", o.storeFile)
		}
	}
	if o.store == "" {
		o.store = storePath(o.out)
	}
	return nil
}

// parseInterspersed lets flags stand after arguments, where people put them.
func parseInterspersed(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if fs.NArg() == 0 {
			return rest, nil
		}
		if n := len(args) - fs.NArg(); n > 0 && args[n-1] == "--" {
			return append(rest, fs.Args()...), nil
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
}

// readFile sets from a YAML file what the command line did not set.
func (o *options) readFile(fs *flag.FlagSet, name string) error {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	m := doc.Content[0]
	if m.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: want lines of the form \"agree: 2\"", name, m.Line)
	}
	var faults []error
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, val := m.Content[i], m.Content[i+1]
		if fs.Lookup(key.Value) == nil || key.Value == "config" {
			faults = append(faults, fmt.Errorf("%s:%d: there is no setting %q", name, key.Line, key.Value))
			continue
		}
		if o.set[key.Value] {
			continue
		}
		vals := []*yaml.Node{val}
		if val.Kind == yaml.SequenceNode {
			vals = val.Content
		}
		for _, v := range vals {
			if v.Kind != yaml.ScalarNode {
				faults = append(faults, fmt.Errorf("%s:%d: %s wants a plain value", name, v.Line, key.Value))
			} else if err := fs.Set(key.Value, v.Value); err != nil {
				faults = append(faults, fmt.Errorf("%s:%d: %s: %q: %w", name, v.Line, key.Value, v.Value, err))
			}
		}
		o.set[key.Value] = true
	}
	return errors.Join(faults...)
}

// validate reports all faults at once.
func (o *options) validate(groups int) error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if groups&forList != 0 {
		if o.agree < 1 || o.agree > 10 {
			bad("--agree %d: want 1 to 10", o.agree)
		}
		if o.agreeAfter < 0 || o.agreeAfter > 30*24*time.Hour {
			bad("--agree-after %v: want 0 to 720h", o.agreeAfter)
		}
	}
	if groups&forCluster != 0 {
		if !slices.Contains([]int{1, 3, 5}, o.replicas) {
			bad("--nats-replicas %d: want 1, 3 or 5", o.replicas)
		}
		if (o.login.Cert == "") != (o.login.Key == "") {
			bad("--nats-cert and --nats-cert-key go together")
		}
	}
	if groups&forLab != 0 && (o.plan.Lawful < 0 || o.plan.Lawful > lab.MostLawful) {
		bad("--lawful %d: want 0 to %d", o.plan.Lawful, lab.MostLawful)
	}
	if groups&forVisits != 0 {
		if o.slots < 1 || o.slots > 256 {
			bad("--slots %d: want 1 to 256", o.slots)
		}
		if o.robots != "honour" && o.robots != "record" {
			bad("--robots %q: want honour or record", o.robots)
		}
		if _, err := time.LoadLocation(o.timezone); err != nil {
			bad("--timezone %q: want a name such as Europe/London", o.timezone)
		}
		if o.proxy != "" {
			if u, err := url.Parse(o.proxy); err != nil || u.Scheme != "http" || u.Host == "" {
				bad("--proxy: want http://host:port")
			}
		}
		if _, err := netip.ParseAddrPort(o.dns); err != nil && o.dns != "" {
			if _, err := netip.ParseAddr(o.dns); err != nil {
				bad("--dns %q: want an address such as 9.9.9.9 or 127.0.0.1:5353", o.dns)
			}
		}
		if o.ca != "" {
			if _, err := os.Stat(o.ca); err != nil {
				bad("--ca: %v", err)
			}
		}
		if o.signingKey != "" {
			if _, err := os.Stat(o.signingKey); err != nil {
				bad("--signing-key: %v", err)
			}
		}
		if o.tsa != "" {
			if u, err := url.Parse(o.tsa); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
				bad("--tsa: want http://host/path or https://host/path")
			}
		}
		if o.gap < 0 || o.gap > time.Minute {
			bad("--gap %v: want 0 to 1m", o.gap)
		}
		if o.perAddress < 0 || o.perAddress > 1000 {
			bad("--per-address %d: want 0 to 1000", o.perAddress)
		}
		if o.memory != 0 && o.memory < 512 {
			bad("--browser-memory %d: want 512 or more", o.memory)
		}
		if o.settle < 500*time.Millisecond || o.settle > time.Minute {
			bad("--settle %v: want 500ms to 1m", o.settle)
		}
	}
	if groups&forLab != 0 && groups&forSweep != 0 && !o.lab {
		for _, f := range []string{"written", "lawful", "mutants", "hostile", "seed"} {
			if o.set[f] {
				bad("--%s says which sites the test web has; it wants --lab as well", f)
			}
		}
	}
	if o.lab && !o.set["gap"] {
		o.gap = 0
	}
	if o.lab && !o.set["per-address"] {
		o.perAddress = 0
	}
	if o.lab && o.proxy != "" {
		bad("--lab brings its own proxy; leave --proxy out")
	}
	return errors.Join(faults...)
}

// logger writes warnings and errors, with --verbose everything.
func (o *options) logger(w io.Writer) *slog.Logger {
	level := slog.LevelWarn
	if o.verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// browserMemory leaves room for a page in every slot, in MiB.
func (o *options) browserMemory() int {
	if o.memory > 0 {
		return o.memory
	}
	return max(2048, 1024+128*o.slots)
}

// crawlerConfig is how sites are looked at.
func (o *options) crawlerConfig() crawler.Config {
	return crawler.Config{
		Chrome: o.chrome, Tool: toolVersion(), UserAgent: o.userAgent, Locale: o.locale, Timezone: o.timezone, Mobile: o.mobile, GPC: o.gpc,
		CAFile: o.ca, Proxy: o.upstream(), DNS: o.dns, Allow: o.allow, HonourRobot: o.robots == "honour",
		Memory: int64(o.browserMemory()) << 20, Floor: o.settle, Late: 2 * o.settle, Cap: 3 * o.settle,
	}
}

// upstream is the proxy that visits leave by, with its port, so that tunnels, plain
// http and doctor ask the same one; nil: there is none.
func (o *options) upstream() *url.URL {
	if o.proxy == "" {
		return nil
	}
	u, _ := url.Parse(o.proxy) // validate has seen it
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), "8080")
	}
	return u
}

// sameSettings is what must be the same for a sweep to be gone on with.
func (o *options) sameSettings() map[string]any {
	proxy := o.proxy
	if u, err := url.Parse(o.proxy); err == nil && u.User != nil {
		u.User = nil
		proxy = u.String()
	}
	if o.lab {
		proxy = "the test web"
	}
	same := map[string]any{"agree": o.agree, "robots": o.robots, "user_agent": o.userAgent, "locale": o.locale, "timezone": o.timezone, "proxy": proxy, "settle": o.settle.String(), "mobile": o.mobile, "gpc": o.gpc}
	if o.agreeAfter > 0 { // left out otherwise, as it was before there was such a setting
		same["agree_after"] = o.agreeAfter.String()
	}
	return same
}

// cluster is the configuration of a connection to a running cluster.
func (o *options) cluster(role queue.Role, log *slog.Logger) queue.Config {
	return queue.Config{URL: o.nats, Role: role, Login: o.login, Replicas: o.replicas, Gap: o.gap, Log: log}
}

// visiting is cluster for who makes visits.
func (o *options) visiting(role queue.Role, log *slog.Logger) (queue.Config, error) {
	c := o.cluster(role, log)
	var err error
	c.Behind, err = o.behind()
	return c, err
}

// needsCluster is for commands that are of no use without one.
func (o *options) needsCluster(what string) error {
	if o.nats == "" {
		return usage("--nats URL names the cluster %s", what)
	}
	return nil
}
