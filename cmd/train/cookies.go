package main

import (
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"

	pc "pecrawler"
	"pecrawler/classifier"
	"pecrawler/figures"
	"pecrawler/lab"
)

// cookieMarks compares purposes with what consent managers of sites declared.
type cookieMarks struct {
	Cookies, Sites int
	Advertising    []adMarks                 `json:"advertising"`
	Needed         figures.Share             `json:"needed_called_nonexempt"` // declared necessary by most, called non-exempt
	Unknown        figures.Share             `json:"unknown"`
	Table          map[string]map[string]int // declared, said
	Against        map[string]string         // called advertising, and most sites say otherwise: the items, and why
}

// adMarks is one way to ask whether what is called advertising is declared so.
type adMarks struct {
	Against        string       `json:"against"` // whose word is the truth
	Open, HeldBack precisionAnd // by half of the sites, see heldBack
	All            precisionAnd
}

func (m *adMarks) count(site string, said, is bool) {
	m.All.count(said, is)
	if heldBack(site) {
		m.HeldBack.count(said, is)
	} else {
		m.Open.count(said, is)
	}
}

// heldBack tells whether nobody looks at the rows of a site, so that its half of
// the sites tells how lists that were mended after reading the other half do on
// sites not read. It is the last bit of the FNV-1a hash of the name.
func heldBack(site string) bool {
	h := fnv.New32a()
	io.WriteString(h, site)
	return h.Sum32()%2 == 1
}

// declared is one row of the set.
type declared struct {
	label, site, name, owner string // owner is a registrable domain, or "the site's own"
	item                     pc.StorageItem
}

func (d declared) key() string { return d.name + " " + d.owner }

func readDeclared(data string) ([]declared, error) {
	rs, err := table(filepath.Join(data, "classifier", "cookies-cookieblock-dev.tsv"))
	if err != nil || data == "" {
		return nil, err
	}
	var out []declared
	for _, r := range rs {
		host := strings.TrimPrefix(r["domain"], ".")
		life, err := strconv.ParseFloat(r["life_seconds"], 64)
		if err != nil {
			return nil, fmt.Errorf("cookie %s of %s: %w", r["name"], r["site"], err)
		}
		d := declared{label: r["label"], site: r["site"], name: r["name"], owner: host,
			item: pc.StorageItem{Kind: pc.Cookie, Name: r["name"], Host: host, Value: r["value"], Lifetime: int64(life), HTTPOnly: r["httponly"] == "1", Secure: r["secure"] == "1", Request: -1}}
		if s, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
			d.owner = s
		}
		if d.owner == r["site"] || strings.HasSuffix(r["domain"], r["site"]) || strings.HasSuffix(r["site"], "."+d.owner) {
			d.owner = "the site's own"
		}
		out = append(out, d)
	}
	return out, nil
}

// votes is what sites declare a cookie to be. Each site has one word on each
// cookie: its first.
type votes map[string]map[string]string // cookie, site, label

// most is what more than half of at least n sites say, without one site; "": they do not.
func (v votes) most(key, without string, n int) string {
	of := map[string]int{}
	all := 0
	for site, label := range v[key] {
		if site != without {
			of[label]++
			all++
		}
	}
	for _, l := range slices.Sorted(maps.Keys(of)) {
		if all >= n && 2*of[l] > all {
			return l
		}
	}
	return ""
}

func (a *accuracy) cookies(data string, cls *classifier.Classifier) error {
	rows, err := readDeclared(data)
	if err != nil || rows == nil {
		a.Missing = append(a.Missing, "cookies with what sites declare (DATA/classifier/cookies-cookieblock-dev.tsv)")
		return err
	}
	m := &cookieMarks{Table: map[string]map[string]int{}, Against: map[string]string{}}
	a.Cookies = m
	v := votes{}
	sites := map[string]bool{}
	for _, d := range rows {
		sites[d.site] = true
		if v[d.key()] == nil {
			v[d.key()] = map[string]string{}
		}
		if v[d.key()][d.site] == "" {
			v[d.key()][d.site] = d.label
		}
	}
	m.Cookies, m.Sites = len(rows), len(sites)
	own := adMarks{Against: "the word of the site itself"}
	byMost := make([]adMarks, 3) // of two sites, three, four
	for i := range byMost {
		byMost[i].Against = fmt.Sprintf("the word of most of at least %d sites", i+2)
	}
	sure := adMarks{Against: "the word of most of at least 2 sites; only what is sure enough to flag (0.8)"}
	others := adMarks{Against: "to compare: what most other sites declare, against the word of the site itself"}
	for _, d := range rows {
		p := cls.StorageRow(d.site, &d.item, true)
		ad := p.Class == pc.NonExemptAdvertising
		m.Unknown.Count(p.Class == pc.Unknown)
		if m.Table[d.label] == nil {
			m.Table[d.label] = map[string]int{}
		}
		m.Table[d.label][string(p.Class)]++
		own.count(d.site, ad, d.label == "advertising")
		if len(v[d.key()]) > 1 {
			others.count(d.site, v.most(d.key(), d.site, 1) == "advertising", d.label == "advertising")
		}
		for i := range byMost {
			if w := v.most(d.key(), "", i+2); w != "" {
				byMost[i].count(d.site, ad, w == "advertising")
			}
		}
		w := v.most(d.key(), "", 2)
		if w == "" {
			continue
		}
		sure.count(d.site, ad && p.Confidence >= .8, w == "advertising")
		if ad && w != "advertising" {
			m.Against[fmt.Sprintf("`%s` of %s, declared %s", d.name, d.owner, w)] = p.Why
		}
		if w == "necessary" {
			m.Needed.Count(p.Class.NonExempt())
		}
	}
	m.Advertising = append([]adMarks{own}, append(byMost, sure, others)...)
	return nil
}

// byMost are the marks against what most of at least n sites declare.
func (m *cookieMarks) byMost(n int) precisionAnd { return m.Advertising[n-1].All }

func (m *cookieMarks) markdown(w io.Writer) {
	if m == nil {
		return
	}
	p := func(format string, args ...any) { fmt.Fprintf(w, format, args...) }
	p("\n## Purposes of cookies\n\n%d cookies of %d sites, compared with what the consent manager of the site declares (CookieBlock, 2021). A declaration is a webmaster's\nword, and webmasters differ: `_gcl_au`, Google's advertising cookie, is declared necessary by some of these sites. The more sites declare the same\ncookie of the same owner, the better is what most of them say. Sites are halved by a hash of their name: rows of one half were read when lists\nwere mended, the other half is held back.\n\n", m.Cookies, m.Sites)
	p("| advertising, against | precision | recall | read half | held back |\n|---|---|---|---|---|\n")
	short := func(x precisionAnd) string {
		return fmt.Sprintf("P %.3f R %.3f", x.Precision.Value(), x.Recall.Value())
	}
	for _, x := range m.Advertising {
		p("| %s | %s | %s | %s | %s |\n", x.Against, percent(x.All.Precision), percent(x.All.Recall), short(x.Open), short(x.HeldBack))
	}
	p("\nCookies that many sites declare are also those that are best known, so the rows for three and four sites flatter as well as correct. The last\nrow is not of this classifier: it shows how far the word of a single site can be foretold by somebody who knows what all the others declare.\n\n")
	p("- declared necessary by most, and called non-exempt: %s\n- answered unknown: %s\n\n", percent(m.Needed), percent(m.Unknown))
	if len(m.Against) > 0 {
		p("Called advertising although most sites that declare them say otherwise, with what speaks for it, for the reader to judge:\n\n")
		for _, item := range slices.Sorted(maps.Keys(m.Against)) {
			p("- %s: %s\n", item, m.Against[item])
		}
		p("\n")
	}
	lab.MarkdownCounts(w, " declared ", m.Table)
}
