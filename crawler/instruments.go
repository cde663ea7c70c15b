package crawler

import (
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	jsonv2 "github.com/chromedp/cdproto/cdp/jsonv2"
	"github.com/chromedp/cdproto/debugger"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"

	pc "pecrawler"
)

//go:embed instruments.js
var instrumentsJS string

// Budgets of what the instruments report. Beyond them calls are counted only.
const (
	maxWrites    = 3000
	maxReads     = 3000
	maxDocuments = 2000
	maxStack     = 20
	maxConsole   = 3000    // messages of the page's own
	maxConsoleMB = 8 << 20 // bytes of them
)

// instruments gathers what the script in every document and worker reports; see
// instruments.js. It is guarded by the tab's lock.
type instruments struct {
	token     string
	documents map[documentKey]*document
	beyond    map[pc.StorageKind]int // writes that were only counted
	writes    []pc.Write
	reads     []pc.Read
	index     map[string]int // into reads
	messages  int            // of the page's own on its console
	bytes     int
	deaf      map[target.SessionID]bool // those that flooded their console: nothing of them is listened to any more
}

type documentKey struct {
	s  target.SessionID
	id runtime.ExecutionContextID
}

// document is what scripts run in: a page's or frame's document, or a worker.
type document struct {
	url, origin string
	live        bool
}

func newInstruments() instruments {
	return instruments{token: rand.Text(), documents: map[documentKey]*document{}, index: map[string]int{}, beyond: map[pc.StorageKind]int{}, deaf: map[target.SessionID]bool{}}
}

// source is the script for this scenario. The token is in nothing that a page can read.
func (in *instruments) source() string {
	return strings.Replace(instrumentsJS, "{{token}}", in.token, 1)
}

// report is what the script says.
type report struct {
	Kind  string         `json:"k"` // live, read, more, or the kind of storage written to
	Op    string         `json:"op"`
	Name  string         `json:"n"` // of a read: the call and its detail, a line each
	Value string         `json:"v"`
	Entry string         `json:"e"`
	URL   string         `json:"u"`
	Count map[string]int `json:"c"`
}

// script records one event of the Runtime domain, which comes on the reader.
func (t *tab) script(s session, worker bool, method string, params jsonv2.Value) {
	t.mu.Lock()
	defer t.mu.Unlock()
	in := &t.instruments
	if in.deaf[s.id] {
		return // what was on its way
	}
	switch method {
	case "Runtime.executionContextCreated":
		e, ok := decode[runtime.EventExecutionContextCreated](params)
		if !ok || len(in.documents) >= maxDocuments {
			return
		}
		var aux struct {
			Default bool `json:"isDefault"`
		}
		json.Unmarshal(e.Context.AuxData, &aux) // what is not there is not the main world
		switch key := (documentKey{s.id, e.Context.ID}); {
		case worker:
			in.documents[key] = &document{origin: e.Context.Origin, url: cut(e.Context.Origin, maxURL)} // a worker's is its whole address
		case aux.Default:
			in.documents[key] = &document{origin: e.Context.Origin}
		}
	case "Runtime.consoleAPICalled":
		e, ok := decode[runtime.EventConsoleAPICalled](params)
		if !ok {
			return
		}
		if text, ours := in.ours(e); ours {
			var r report
			if json.Unmarshal([]byte(text), &r) == nil {
				in.take(t.started.UnixMilli(), documentKey{s.id, e.ExecutionContextID}, r, e)
			}
			return
		}
		t.flood(s, len(params))
	case "Runtime.exceptionThrown":
		t.flood(s, len(params))
	}
}

// instrumentWorker pipelines the instruments into a worker that is paused at its
// start, where it answers nothing. Half of its interfaces come only when its
// script is about to run, so the script is stopped there once more.
func (t *tab) instrumentWorker(s session) {
	s.Send("Runtime.enable", nil)
	s.Send("Runtime.evaluate", runtime.EvaluateParams{Expression: t.instruments.source()})
	s.Send("Debugger.enable", nil)
	s.Send("Debugger.setInstrumentationBreakpoint", debugger.SetInstrumentationBreakpointParams{Instrumentation: debugger.SetInstrumentationBreakpointInstrumentationBeforeScriptExecution})
}

// workerPaused completes the instruments of a worker and lets it run; from then
// on nothing stops it, not even a debugger statement.
func (t *tab) workerPaused(s session) {
	s.Send("Runtime.evaluate", runtime.EvaluateParams{Expression: t.instruments.source()})
	s.Send("Debugger.disable", nil)
}

// flood counts what a page says on its console. One that says too much would
// cost more to listen to than it is worth; its storage is still listed.
func (t *tab) flood(s session, size int) {
	in := &t.instruments
	in.messages++
	in.bytes += size
	if in.messages > maxConsole || in.bytes > maxConsoleMB {
		in.deaf[s.id] = true
		s.Send("Runtime.disable", nil)
	}
}

// ours tells our reports from the page's own messages.
func (in *instruments) ours(e runtime.EventConsoleAPICalled) (text string, ok bool) {
	if e.Type != runtime.ConsoleAPICalledTypeDebug || len(e.Args) != 2 {
		return "", false
	}
	var token string
	if json.Unmarshal(e.Args[0].Value, &token) != nil || token != in.token || json.Unmarshal(e.Args[1].Value, &text) != nil {
		return "", false
	}
	return text, true
}

func (in *instruments) take(started int64, k documentKey, r report, e runtime.EventConsoleAPICalled) {
	doc := in.documents[k]
	if doc == nil {
		doc = &document{} // beyond the budget
	}
	at := int64(e.Timestamp.Float64()) - started
	script, stack := caller(e.StackTrace)
	switch r.Kind {
	case "live":
		doc.live = true
		if r.URL != "" {
			doc.url = cut(r.URL, maxURL)
		}
	case "read":
		in.read(doc, r.Name, script, stack, 1, at)
	case "more":
		for key, n := range r.Count {
			if strings.Contains(key, "\n") {
				in.read(doc, key, "", nil, n, at)
			} else {
				in.beyond[pc.StorageKind(key)] += n
			}
		}
	default:
		if len(in.writes) >= maxWrites {
			in.beyond[pc.StorageKind(r.Kind)]++
			return
		}
		w := pc.Write{ID: len(in.writes), Kind: pc.StorageKind(r.Kind), Op: r.Op, Name: cut(r.Name, maxName), Entry: cut(r.Entry, maxName), Value: cut(r.Value, maxValue), Frame: doc.url, Script: script, Stack: stack, At: at}
		if u, err := url.Parse(doc.origin); err == nil {
			w.Host = u.Hostname()
		}
		if w.Kind == pc.Cookie && w.Op == "set" {
			w.Name, _ = cookiePair(w.Value)
			w.Name = cut(w.Name, maxName)
		}
		in.writes = append(in.writes, w)
	}
}

// read adds calls to those alike: the same call from the same script in the same document.
func (in *instruments) read(doc *document, key, script string, stack []string, n int, at int64) {
	api, detail, _ := strings.Cut(key, "\n")
	same := strings.Join([]string{api, detail, doc.url, script}, "\n")
	i, ok := in.index[same]
	if !ok {
		if len(in.reads) >= maxReads {
			return
		}
		i = len(in.reads)
		in.index[same] = i
		in.reads = append(in.reads, pc.Read{ID: i, API: api, Detail: detail, Frame: doc.url, Script: script, Stack: stack, At: at})
	}
	in.reads[i].Count += n
}

// caller names the script that called a native, and how it came there. The
// innermost frames are our own script's.
func caller(st *runtime.StackTrace) (script string, stack []string) {
	if st == nil || len(st.CallFrames) == 0 {
		return "", nil
	}
	own := st.CallFrames[0].ScriptID
	for _, f := range st.CallFrames {
		if f.ScriptID == own {
			continue
		}
		if script == "" {
			script = cut(f.URL, maxURL)
		}
		if len(stack) < maxStack {
			stack = append(stack, frameLine(f))
		}
	}
	return script, stack
}

// cookiePair reads the name and value of a cookie line as browsers do.
func cookiePair(line string) (name, value string) {
	pair, _, _ := strings.Cut(line, ";")
	name, value, ok := strings.Cut(pair, "=")
	if !ok {
		name, value = "", pair
	}
	return strings.TrimSpace(name), strings.TrimSpace(value)
}

// deliver adds what the instruments reported to the capture, with the proof
// that they were live.
func (in *instruments) deliver(c *pc.Capture, missing func(pc.Artifact, string)) {
	c.Writes, c.Reads, c.Canary = slices.Clone(in.writes), slices.Clone(in.reads), &pc.Canary{Beyond: maps.Clone(in.beyond)}
	for _, d := range in.documents {
		c.Canary.Documents++
		switch {
		case d.live:
			c.Canary.Reported++
		case len(c.Canary.Silent) < 20:
			c.Canary.Silent = append(c.Canary.Silent, cut(d.origin, 200))
		}
	}
	switch {
	case len(in.deaf) > 0:
		missing(pc.ArtifactWrites, fmt.Sprintf("the page wrote more than %d messages or %d MiB to its console", maxConsole, maxConsoleMB>>20))
	case len(c.Canary.Silent) > 0:
		missing(pc.ArtifactWrites, "no report came from a document of "+strings.Join(c.Canary.Silent, ", "))
	case c.Canary.Documents == 0:
		missing(pc.ArtifactWrites, "no document reported")
	}
}
