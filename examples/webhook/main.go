// Command webhook is an example of a program that is not part of pecrawler and is
// sent what pecrawler flags: it checks the signature and writes a CSV line for each
// flagged site. It knows nothing but the schema in docs/schema, and what
// https://www.standardwebhooks.com says of signatures.
//
//	WEBHOOK_SECRET=whsec_… webhook -listen 127.0.0.1:9191 >> flagged.csv
//
// It answers after the line is written. So a site may come twice after a crash, and
// none is lost; the id tells a second time from the first.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Site is what this program needs of the document; the schema has more.
type Site struct {
	Schema   int    `json:"schema"`
	Sweep    string `json:"sweep"`
	Site     string `json:"site"`
	Findings []struct {
		Rule    string `json:"rule"`
		Outcome string `json:"outcome"`
	} `json:"findings"`
}

// Limits of what is taken.
const (
	known = 1               // version of the document that this program was written for
	most  = 8 << 20         // bytes of a document
	old   = 5 * time.Minute // a request that is older, or as far ahead, was recorded by somebody
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9191", "`host:port` to listen on; TLS is a proxy's business")
	flag.Parse()
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("WEBHOOK_SECRET"), "whsec_"))
	if err != nil || len(secret) < 24 {
		log.Fatal("WEBHOOK_SECRET: want whsec_ and base64")
	}
	srv := http.Server{Addr: *listen, Handler: &receiver{secret: secret, out: os.Stdout}, ReadTimeout: 20 * time.Second}
	log.Fatal(srv.ListenAndServe())
}

// receiver takes flagged sites. What it has seen is in memory; a real one would ask
// its database for the id.
type receiver struct {
	secret []byte
	out    io.Writer

	mu   sync.Mutex
	seen map[string]bool
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, most))
	if err != nil || req.Method != http.MethodPost {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !r.genuine(req.Header, body, time.Now()) { // before anything of it is read
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var s Site
	if err := json.Unmarshal(body, &s); err != nil || s.Schema > known {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := req.Header.Get("webhook-id")
	if r.seen[id] {
		return // it was taken; say so again
	}
	if err := line(r.out, s); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if r.seen == nil {
		r.seen = map[string]bool{}
	}
	r.seen[id] = true
}

// genuine tells whether a request is from whoever has the secret, and of now.
func (r *receiver) genuine(h http.Header, body []byte, now time.Time) bool {
	id, stamp := h.Get("webhook-id"), h.Get("webhook-timestamp")
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || id == "" || now.Sub(time.Unix(at, 0)).Abs() > old {
		return false
	}
	sum := hmac.New(sha256.New, r.secret)
	sum.Write([]byte(id + "." + stamp + "."))
	sum.Write(body)
	for _, signature := range strings.Fields(h.Get("webhook-signature")) {
		text, ok := strings.CutPrefix(signature, "v1,")
		got, err := base64.StdEncoding.DecodeString(text)
		if ok && err == nil && hmac.Equal(got, sum.Sum(nil)) {
			return true
		}
	}
	return false
}

func line(w io.Writer, s Site) error {
	var failed []string
	for _, f := range s.Findings {
		if f.Outcome == "fail" {
			failed = append(failed, f.Rule)
		}
	}
	c := csv.NewWriter(w)
	if err := c.Write([]string{s.Sweep, s.Site, strings.Join(failed, " ")}); err != nil {
		return err
	}
	c.Flush()
	return c.Error()
}
