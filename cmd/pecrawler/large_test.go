//go:build !race

// Watched for races it is ten times as slow.

package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pc "pecrawler"
	"pecrawler/classifier"
	"pecrawler/evidence"
	"pecrawler/internal/pgtest"
	"pecrawler/review"
	"pecrawler/store"
)

// The page of a site that is as large as the crawler keeps, seen in two visits by
// three scenarios: 360,000 nodes. Opened for the first time it is there within a
// second; of three times the least counts.
func TestTheLargestSite(t *testing.T) {
	if testing.Short() {
		t.Skip("makes two large bundles")
	}
	dir := t.TempDir()
	st, err := store.Open(t.Context(), filepath.Join(dir, "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	vault, err := evidence.OpenVault(t.Context(), filepath.Join(dir, "evidence"))
	if err != nil {
		t.Fatal(err)
	}
	defer vault.Close()
	if err := st.CreateSweep(t.Context(), store.Sweep{ID: "one", Agree: 2, Created: time.Now()}, []store.Site{{Site: "many.example"}}); err != nil {
		t.Fatal(err)
	}
	const box = `"b":{"x":1,"y":2,"w":30,"h":40},"s":{"o":1,"p":"static","c":"rgb(0, 0, 0)","b":"rgba(0, 0, 0, 0)","f":16,"w":"400","u":"auto"}`
	var tree strings.Builder
	tree.WriteString(`{"url":"https://many.example/","title":"Many Things","lang":"en","width":1366,"height":900,"nodes":[{"p":-1,"t":"body",` + box + `}`)
	for i := 1; i < 59_999; i += 2 { // see maxNodes in package crawler
		fmt.Fprintf(&tree, `,{"p":0,"t":"i","n":%d,%s},{"p":%d,"t":"#text","x":"%d","b":{"x":1,"y":2,"w":30,"h":40}}`, i, box, i, i)
	}
	tree.WriteString(`]}`)
	word := pc.Verdict{Schema: 1, Site: "many.example", Sweep: "one", Visits: 2, Outcome: pc.Assessed, Overall: pc.Review}
	for n := 1; n <= 2; n++ {
		d := evidence.NewDraft(pc.Visit{Sweep: "one", Site: "many.example", URL: "https://many.example/", Number: n, Scenarios: pc.Scenarios})
		add := func(name, data string) {
			if err := d.Add(name, []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
		add("look.json", `{"url":"https://many.example/","load":{"outcome":"assessed"}}`)
		for _, s := range pc.Scenarios {
			add(string(s)+"/capture.json", `{"schema":1,"scenario":"`+string(s)+`","load":{"outcome":"assessed"},"pages":[{"mark":"settled","at":5000,"layer":1,"tree":"`+string(s)+`/pages/0.json"}]}`)
			add(string(s)+"/pages/0.json", tree.String())
		}
		digest, err := evidence.Seal(t.Context(), vault, d)
		if err != nil {
			t.Fatal(err)
		}
		v := word
		v.Visit, v.Visits, v.Bundles = n, 1, []string{digest}
		if err := st.PutResult(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.PutWord(t.Context(), word); err != nil {
		t.Fatal(err)
	}
	cls, err := classifier.New()
	if err != nil {
		t.Fatal(err)
	}
	best := time.Hour
	for range 3 {
		pages, err := reviewPages(st, vault, cls, slog.New(slog.DiscardHandler), review.Options{People: people(nil).orMe()})
		if err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewServer(pages)
		defer srv.Close()
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		c := http.Client{Jar: jar}
		get := func(url string) time.Duration {
			begin := pgtest.Work(t, nil)
			resp, err := c.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", url, resp.Status)
			}
			return pgtest.Work(t, nil) - begin
		}
		get(pages.Invite(srv.URL, pages.People()[0]))
		first, again := get(srv.URL+"/sweeps/one/sites/many.example"), get(srv.URL+"/sweeps/one/sites/many.example")
		t.Logf("processor time: first %v, then %v", first, again)
		best = min(best, first)
	}
	// Processor time does not tell how busy the machine is with something else.
	// Visits are opened side by side, so it is at most a second on two cores.
	if best > 2*time.Second {
		t.Errorf("the page took %v of processor time", best)
	}
}
