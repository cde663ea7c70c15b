package pecrawler

import (
	"encoding/json"
	"time"
)

// CaptureSchema is the version of [Capture] that this code writes. It is raised
// when old readers would misread new captures; old ones stay readable for ever.
const CaptureSchema = 1

// Capture is what Chrome showed in one scenario: facts, never opinions.
// Offsets named At are milliseconds since Started. Blobs (page trees, screens)
// lie beside it in the bundle and are named by their path there.
type Capture struct {
	Schema      int                 `json:"schema"`
	Scenario    Scenario            `json:"scenario"`
	Started     time.Time           `json:"started"` // UTC, when navigation was asked for
	Ended       time.Time           `json:"ended"`
	Environment Environment         `json:"environment"`
	Load        Load                `json:"load"`
	FinalURL    string              `json:"final_url"`
	Status      int                 `json:"status"` // HTTP status of the main document
	Marks       []Mark              `json:"marks"`
	Acts        []Act               `json:"acts"`
	Requests    []Request           `json:"requests"`
	Storage     []StorageItem       `json:"storage"`
	Pages       []Snapshot          `json:"pages"`            // one per checkpoint that looked at the page
	Access      []AccessNode        `json:"access,omitempty"` // what assistive technology is told of the banner's controls
	Whole       string              `json:"whole,omitempty"`  // path of the picture of the whole page in the bundle
	Writes      []Write             `json:"writes,omitempty"` // by scripts, as they happened
	Sockets     []Socket            `json:"sockets,omitempty"`
	Hosts       []Host              `json:"hosts,omitempty"`   // reached for, as the egress proxy and Chrome saw it
	Reads       []Read              `json:"reads,omitempty"`   // of what tells one device from another
	Canary      *Canary             `json:"canary,omitempty"`  // nil: made before there were instruments
	Missing     map[Artifact]string `json:"missing"`           // what could not be gathered, and why
	Consent     []ConsentState      `json:"consent,omitempty"` // what the page's consent interfaces said
}

// Environment is what the capture was made with. An appeal can turn on it.
type Environment struct {
	Tool              string   `json:"tool"`   // version of pecrawler
	Chrome            string   `json:"chrome"` // as the browser names itself
	Flags             []string `json:"flags"`
	UserAgent         string   `json:"user_agent"`
	Locale            string   `json:"locale"`
	Timezone          string   `json:"timezone"`
	Width             int      `json:"width"` // viewport, CSS pixels
	Height            int      `json:"height"`
	Mobile            bool     `json:"mobile,omitempty"`     // the visitor is on a telephone
	GPC               bool     `json:"gpc,omitempty"`        // the visitor sends Global Privacy Control
	ThirdPartyCookies bool     `json:"third_party_cookies"`  // proved by a self-test when the browser started
	Proxy             string   `json:"proxy,omitempty"`      // upstream of the egress proxy, without credentials
	DNS               string   `json:"dns,omitempty"`        // the resolver that was named; "": the system's, or the upstream proxy's
	Background        int      `json:"background,omitempty"` // requests of the browser itself, not of a page, that were refused meanwhile
}

// Host is a host that the page reached for. Two witnesses tell of it: the egress
// proxy, which made the connections, and Chrome, which reported the requests. A
// zero of one beside a number of the other is a fact too: Chrome answers some
// requests itself, and opens some connections that it then does not use.
type Host struct {
	Name        string   `json:"name"`
	CNAMEs      []string `json:"cnames,omitempty"`    // the names that it is an alias of, in order
	Unknown     string   `json:"unknown,omitempty"`   // why the aliases are not known
	Addresses   []string `json:"addresses,omitempty"` // connected to; none behind an upstream proxy, which resolves names itself
	Connections int      `json:"connections"`         // tunnels and plain requests that the proxy made
	Refused     string   `json:"refused,omitempty"`   // why it did not make one: the last reason
	Requests    int      `json:"requests"`            // that Chrome reported and no cache answered
}

// Artifact is a kind of thing that a capture gathers. A rule that needs an
// artifact which is missing is unavailable, never a pass.
type Artifact string

// The artifacts of a capture. ArtifactAct is the scenario's own act: it is
// missing when no control to press was found, and so is ArtifactWithdraw.
const (
	ArtifactRequests Artifact = "requests"
	ArtifactStorage  Artifact = "storage"
	ArtifactPage     Artifact = "page"
	ArtifactScreen   Artifact = "screen"
	ArtifactAct      Artifact = "act"
	ArtifactWithdraw Artifact = "withdraw" // the way back after accepting, and what followed
	ArtifactWrites   Artifact = "writes"   // and reads: what the instruments in the page report
	ArtifactConsent  Artifact = "consent"  // what consent interfaces say; a page without any misses nothing
	ArtifactSettings Artifact = "settings" // what the settings say that refusing does not lead through; a banner that offers none misses nothing
)

// Mark is a named instant of a capture.
type Mark struct {
	Name MarkName `json:"name"`
	At   int64    `json:"at"`
}

// MarkName is the closed list of instants.
type MarkName string

// The marks, in the order in which they can occur.
const (
	MarkLoad      MarkName = "load"      // load event of the first document
	MarkHalted    MarkName = "halted"    // a script that kept the page from answering was ended; can occur anywhere
	MarkStirred   MarkName = "stirred"   // the mouse was moved and its wheel turned, because nothing asked by itself
	MarkSettled   MarkName = "settled"   // quiet; the state before any choice has been recorded
	MarkActed     MarkName = "acted"     // the last click of the choice has been dispatched
	MarkAfter     MarkName = "after"     // quiet after the choice
	MarkReload    MarkName = "reload"    // reload asked for
	MarkInner     MarkName = "inner"     // navigation to an inner page asked for
	MarkWithdraw  MarkName = "withdraw"  // the way back is looked for
	MarkWithdrawn MarkName = "withdrawn" // the last click of the withdrawal has been dispatched
	MarkReturn    MarkName = "return"    // reload after the withdrawal asked for
	MarkDone      MarkName = "done"
	MarkOpened    MarkName = "opened" // the settings were opened to see what they say, when all else had been recorded
)

// Act is one thing done to a page by trusted input events, recorded as a fact:
// what was pressed, where, on whose advice, and what followed.
type Act struct {
	Kind     string  `json:"kind"`           // click, scroll, or escape: the key
	Goal     Goal    `json:"goal,omitempty"` // what was to be reached; "" in old captures: the scenario's own
	Purpose  Action  `json:"purpose"`
	Text     string  `json:"text"`            // the control's visible text
	Page     int     `json:"page"`            // index into Capture.Pages of the snapshot that the choice was made on
	After    int     `json:"after,omitempty"` // index of the first one taken after the act; 0: none
	Node     int     `json:"node"`            // index into that page's nodes
	Box      Box     `json:"box"`
	X        float64 `json:"x"`
	Y        float64 `json:"y"`
	At       int64   `json:"at"`
	Chooser  string  `json:"chooser"` // version of what chose the control
	Why      string  `json:"why"`
	Effect   string  `json:"effect"` // gone: the control vanished; changed: page or storage changed; none
	Evidence string  `json:"evidence,omitempty"`
}

// Request is one request of the page, redirects as requests of their own.
type Request struct {
	ID         int               `json:"id"` // index in Capture.Requests: the Ref is "idle/requests/17"
	URL        string            `json:"url"`
	Method     string            `json:"method"`
	Type       string            `json:"type"` // Document, Script, Image, XHR, Fetch, Ping, ...
	At         int64             `json:"at"`
	Frame      string            `json:"frame"`               // URL of the frame's document
	Initiator  string            `json:"initiator,omitempty"` // URL of the script or document that caused it
	Stack      []string          `json:"stack,omitempty"`     // "function url:line:column", innermost first
	RedirectOf int               `json:"redirect_of"`         // id of the request that redirected here; -1 otherwise
	Status     int               `json:"status"`              // 0: no response seen
	MIME       string            `json:"mime,omitempty"`
	RemoteIP   string            `json:"remote_ip,omitempty"`
	Failed     string            `json:"failed,omitempty"` // Chrome's error text
	Body       string            `json:"body,omitempty"`   // request body, at most 4 KiB
	Headers    map[string]string `json:"headers,omitempty"`
	CookiesOut []string          `json:"cookies_out,omitempty"` // names of the cookies sent
	SetCookies []SetCookie       `json:"set_cookies,omitempty"`

	Worker      string       `json:"worker,omitempty"`       // URL of the worker that made it
	PreflightOf *int         `json:"preflight_of,omitempty"` // id of the request that it asks leave for
	CookiesKept []KeptCookie `json:"cookies_kept,omitempty"` // those that were there and not sent
	BodySize    int64        `json:"body_size,omitempty"`    // of a request body that is longer than Body
	BodySHA256  string       `json:"body_sha256,omitempty"`  // of the whole of it
	Bytes       int64        `json:"bytes,omitempty"`        // received over the network, headers included
	Took        int64        `json:"took,omitempty"`         // milliseconds until the last byte or the failure; 0: not seen, or less than one
	From        string       `json:"from,omitempty"`         // memory-cache, disk-cache, prefetch-cache, service-worker; "": the network
	Events      int          `json:"events,omitempty"`       // messages of an event stream
	Content     string       `json:"content,omitempty"`      // path of the response's body in the bundle, e.g. "idle/bodies/0.html"
}

// KeptCookie is a cookie that Chrome has for the address and did not send.
type KeptCookie struct {
	Name    string   `json:"name"`
	Reasons []string `json:"reasons"` // Chrome's
}

// Socket is one WebSocket. Beyond the budgets messages are not counted.
type Socket struct {
	ID            int         `json:"id"` // index in Capture.Sockets: the Ref is "idle/sockets/0"
	URL           string      `json:"url"`
	Worker        string      `json:"worker,omitempty"`
	Initiator     string      `json:"initiator,omitempty"`
	Stack         []string    `json:"stack,omitempty"`
	At            int64       `json:"at"`
	Status        int         `json:"status"` // of the handshake; 0: none seen
	Failed        string      `json:"failed,omitempty"`
	CookiesOut    []string    `json:"cookies_out,omitempty"`
	SetCookies    []SetCookie `json:"set_cookies,omitempty"` // as the handshake's answer has them
	Sent          int         `json:"sent"`                  // messages
	SentBytes     int64       `json:"sent_bytes"`
	Received      int         `json:"received"`
	ReceivedBytes int64       `json:"received_bytes"`
	First         []Message   `json:"first,omitempty"` // the first few messages
}

// Message is one message on a [Socket].
type Message struct {
	At      int64  `json:"at"`
	Out     bool   `json:"out,omitempty"`
	Payload string `json:"payload"` // at most 1 KiB
}

// SetCookie is one Set-Cookie line and what Chrome did with it.
type SetCookie struct {
	Line     string   `json:"line"`
	Blocked  []string `json:"blocked,omitempty"`  // Chrome's reasons; empty: stored
	Exempted string   `json:"exempted,omitempty"` // Chrome's reason to store it although it would be blocked
}

// StorageKind says where a value is kept.
type StorageKind string

// The kinds of storage.
const (
	Cookie         StorageKind = "cookie"
	LocalStorage   StorageKind = "local"
	SessionStorage StorageKind = "session"
	IndexedDB      StorageKind = "indexeddb"
	CacheStorage   StorageKind = "cache"
)

// StorageItem is one stored value as first seen; a later change of its value
// is a Write. Values are evidence: kept in the bundle, never logged.
type StorageItem struct {
	ID        int         `json:"id"` // index in Capture.Storage: the Ref is "idle/storage/3"
	Kind      StorageKind `json:"kind"`
	Host      string      `json:"host"` // cookie domain without the dot, or the origin's host
	Name      string      `json:"name"`
	Value     string      `json:"value"`
	Path      string      `json:"path,omitempty"`
	Expires   time.Time   `json:"expires,omitzero"` // zero: session, or no end
	Lifetime  int64       `json:"lifetime_s,omitempty"`
	Secure    bool        `json:"secure,omitempty"`
	HTTPOnly  bool        `json:"http_only,omitempty"`
	SameSite  string      `json:"same_site,omitempty"`
	Partition string      `json:"partition,omitempty"`
	SetBy     string      `json:"set_by,omitempty"` // URL of the response or script that set it, where known
	Request   int         `json:"request"`          // id of the request whose response set it; -1: none
	Write     *int        `json:"write,omitempty"`  // id of the write that set it; nil: none was seen
	First     MarkName    `json:"first"`            // the checkpoint at which it was first seen
	At        int64       `json:"at"`               // when it was first seen
	Changed   []MarkName  `json:"changed,omitempty"`
	Gone      MarkName    `json:"gone,omitempty"` // the checkpoint at which it was no longer there
}

// Write is one call with which a script changed what is stored. It says what
// was asked for; [StorageItem] says what was there in the end.
type Write struct {
	ID     int         `json:"id"` // index in Capture.Writes: the Ref is "idle/writes/5"
	Kind   StorageKind `json:"kind"`
	Op     string      `json:"op"`               // set, delete, clear; open, put, add
	Host   string      `json:"host"`             // of the document's or worker's origin; "" when it has none
	Name   string      `json:"name"`             // of the cookie, key, database or cache
	Entry  string      `json:"entry,omitempty"`  // within it: object store and key, or the cached address
	Value  string      `json:"value,omitempty"`  // at most 4 KiB; of a cookie the whole line
	Frame  string      `json:"frame"`            // URL of the document or worker
	Script string      `json:"script,omitempty"` // URL of the script that made the call; "": not seen
	Stack  []string    `json:"stack,omitempty"`  // "function url:line:column", innermost first
	At     int64       `json:"at"`
}

// Read is a call, or many alike, with which a script learnt something of the
// device or of what is stored.
type Read struct {
	ID     int      `json:"id"`               // index in Capture.Reads
	API    string   `json:"api"`              // e.g. "HTMLCanvasElement.toDataURL"
	Detail string   `json:"detail,omitempty"` // the parameter asked for, the font measured
	Frame  string   `json:"frame"`
	Script string   `json:"script,omitempty"` // "": calls beyond the first few, which are only counted
	Stack  []string `json:"stack,omitempty"`  // of the first call
	Count  int      `json:"count"`
	At     int64    `json:"at"` // of the first call
}

// ConsentState is what one consent interface of the page said at a checkpoint.
// It is the page's word: compare it with what was stored and sent.
type ConsentState struct {
	Mark MarkName        `json:"mark"`
	At   int64           `json:"at"`
	API  string          `json:"api"`  // tcf, gpp, usp, google.commands, onetrust.groups, ...
	Data json.RawMessage `json:"data"` // at most 16 KiB
}

// Canary proves that the instruments were live: each document and worker in
// which a script could run says so itself before its first script.
type Canary struct {
	Documents int                 `json:"documents"`        // and workers in which a script could run
	Reported  int                 `json:"reported"`         // of these
	Silent    []string            `json:"silent,omitempty"` // origins of those that did not report
	Beyond    map[StorageKind]int `json:"beyond,omitempty"` // writes that were only counted, because a document made too many
}

// Snapshot names what was looked at in one checkpoint.
type Snapshot struct {
	Mark   MarkName `json:"mark"`
	At     int64    `json:"at"`
	Layer  int      `json:"layer"` // 1: what the page showed by itself; 2: after opening settings
	URL    string   `json:"url"`
	Tree   string   `json:"tree"`   // path of the page tree in the bundle, e.g. "idle/pages/0.json"
	Screen string   `json:"screen"` // path of the picture in the bundle; "" when missing
}

// Page is the composed tree of a document as Chrome rendered it: frames and
// shadow roots, closed ones too, stand under their hosts. Boxes are CSS pixels
// in viewport coordinates of the top window at the moment of the snapshot.
type Page struct {
	URL     string   `json:"url"`
	Title   string   `json:"title"`
	Lang    string   `json:"lang"` // of the html element
	Width   int      `json:"width"`
	Height  int      `json:"height"`            // viewport
	Nodes   []Node   `json:"nodes"`             // in document order; the parent always comes before the child
	Scripts []string `json:"scripts,omitempty"` // URLs of scripts in the tree
}

// Node is an element or a text of a [Page].
type Node struct {
	Parent  int               `json:"p"` // index of the parent; -1 for the root
	Tag     string            `json:"t"` // lower case; "#text" for text, "#shadow" for a shadow root, "#document" for a frame's document
	Text    string            `json:"x,omitempty"`
	Attrs   map[string]string `json:"a,omitempty"`
	Box     *Box              `json:"b,omitempty"` // nil: not laid out, so not visible
	Style   *Style            `json:"s,omitempty"` // nil on texts and on what is not laid out
	Paint   int               `json:"o,omitempty"` // paint order; higher is painted later
	Backend int64             `json:"n,omitempty"` // Chrome's backend node id, to act on it in the same capture
	Click   bool              `json:"c,omitempty"` // has a click listener or is clickable by nature
	Checked *bool             `json:"k,omitempty"` // live state of a checkbox or radio
	Value   string            `json:"v,omitempty"` // live value of an input button
	Frame   string            `json:"f,omitempty"` // on "#document": the frame's URL
}

// Style is the part of an element's computed style that prominence needs.
// Colours are as Chrome writes them, e.g. "rgb(0, 0, 0)".
type Style struct {
	Display    string  `json:"d,omitempty"`
	Visibility string  `json:"v,omitempty"`
	Opacity    float64 `json:"o"` // of the element itself
	Position   string  `json:"p,omitempty"`
	ZIndex     string  `json:"z,omitempty"`
	Color      string  `json:"c,omitempty"`
	Background string  `json:"b,omitempty"`
	Border     string  `json:"r,omitempty"` // border-top-width
	FontPx     float64 `json:"f,omitempty"`
	Weight     string  `json:"w,omitempty"`
	Decoration string  `json:"l,omitempty"`
	Cursor     string  `json:"u,omitempty"`
	Pointer    string  `json:"e,omitempty"` // pointer-events
}

// AccessNode is what assistive technology is told of a node of a page: its
// computed role and name, as Chrome gives them.
type AccessNode struct {
	Page        int               `json:"page"` // index into Capture.Pages
	Node        int               `json:"node"` // index into that page's nodes
	Role        string            `json:"role"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Ignored     bool              `json:"ignored,omitempty"` // assistive technology is not told of it
	Focusable   bool              `json:"focusable,omitempty"`
	State       map[string]string `json:"state,omitempty"` // checked, pressed, expanded, disabled, hidden, modal
}

// Box is a rectangle in CSS pixels.
type Box struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
	W float64 `json:"w"`
	H float64 `json:"h"`
}

// Empty tells whether the box covers nothing.
func (b Box) Empty() bool { return b.W < 1 || b.H < 1 }

// Area is the box's area in square CSS pixels.
func (b Box) Area() float64 { return b.W * b.H }

// Contains tells whether a point lies in the box.
func (b Box) Contains(x, y float64) bool {
	return x >= b.X && x < b.X+b.W && y >= b.Y && y < b.Y+b.H
}

// Intersect is the part that both boxes cover.
func (b Box) Intersect(o Box) Box {
	x, y := max(b.X, o.X), max(b.Y, o.Y)
	r := Box{x, y, min(b.X+b.W, o.X+o.W) - x, min(b.Y+b.H, o.Y+o.H) - y}
	if r.W <= 0 || r.H <= 0 {
		return Box{X: x, Y: y}
	}
	return r
}

// PhaseAt tells in which phase of the capture an offset lies.
func (c *Capture) PhaseAt(at int64) Phase {
	acted, ok := c.Mark(MarkActed)
	if !ok || at < acted {
		return PhaseBefore
	}
	switch c.Scenario {
	case Reject:
		return PhaseReject
	case Accept:
		if back, ok := c.Mark(MarkWithdrawn); ok && at >= back {
			return PhaseWithdraw
		}
		return PhaseAccept
	}
	return PhaseBefore // whoever closes a banner or goes on has chosen nothing
}

// Own tells whether an act belongs to the scenario's own goal.
func (c *Capture) Own(a *Act) bool { return a.Goal == "" || a.Goal == c.Scenario.Goal() }

// Mark returns the offset of the first mark of that name.
func (c *Capture) Mark(name MarkName) (at int64, ok bool) {
	for _, m := range c.Marks {
		if m.Name == name {
			return m.At, true
		}
	}
	return 0, false
}

// Look is what colly saw before Chrome came: the plain HTTP answer of the site.
type Look struct {
	URL       string   `json:"url"`
	FinalURL  string   `json:"final_url"`
	Status    int      `json:"status"`
	MIME      string   `json:"mime"`
	Redirects []string `json:"redirects,omitempty"`
	Robots    string   `json:"robots"` // allowed, disallowed, absent, unreadable
	Policies  []string `json:"policies,omitempty"`
	Inner     []string `json:"inner,omitempty"` // links to pages of the same site
	Texts     []Text   `json:"texts,omitempty"` // of the first policies that are the site's own
	Load      Load     `json:"load"`
	Title     string   `json:"title,omitempty"`
	Bytes     int      `json:"bytes"`
}

// Text is what a page says to a reader without scripts.
type Text struct {
	URL    string `json:"url"`
	Status int    `json:"status"` // 0: no answer
	Title  string `json:"title,omitempty"`
	Text   string `json:"text,omitempty"` // at most 60 KiB
}
