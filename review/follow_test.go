package review_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"html"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	pc "pecrawler"
	"pecrawler/crawler"
	"pecrawler/evidence"
	"pecrawler/review"
	"pecrawler/store"
)

const followPath = sitePath + "/follow"

// printed stands for a PDF: it says what was printed.
func printed(_ context.Context, page []byte) ([]byte, error) {
	return append([]byte("%PDF-"), page...), nil
}

// day is the clock of these tests.
var day = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

// upheld is a case that ann has upheld.
func upheld(t *testing.T, opt review.Options, text string) (*pages, *browser) {
	t.Helper()
	p := serveText(t, opt, text)
	b := p.as("ann")
	if code, _ := b.post(sitePath, sitePath+"/decisions", "act", "uphold", "act-reject-more-steps", "uphold"); code != http.StatusOK {
		t.Fatalf("uphold: %d", code)
	}
	return p, b
}

// area is the text in a text field of a page.
func area(page, id string) string {
	m := regexp.MustCompile(`(?s)<textarea[^>]* id="` + id + `"[^>]*>(.*?)</textarea>`).FindStringSubmatch(page)
	if m == nil {
		return ""
	}
	return strings.TrimPrefix(html.UnescapeString(m[1]), "\n")
}

// letter is the letter's page with every gap filled in.
func (b *browser) letter() (text, annex string) {
	b.t.Helper()
	_, page, _ := b.get(followPath + "/letter")
	fill := regexp.MustCompile(`\[\[[^\]]*\]\]`)
	return fill.ReplaceAllString(area(page, "text"), "The Office"), fill.ReplaceAllString(area(page, "annex"), "Mend it")
}

// send fixes a letter from the template.
func (b *browser) send() {
	b.t.Helper()
	if code, _ := b.post(followPath, followPath+"/begin"); code != http.StatusOK {
		b.t.Fatalf("begin: %d", code)
	}
	text, annex := b.letter()
	if code, body := b.post(followPath+"/letter", followPath+"/letter", "text", text, "annex", annex, "deadline", "2026-12-25", "read", "yes", "do", "fix"); code != http.StatusOK || !strings.Contains(body, "until the end of 25 Dec 2026") {
		b.t.Fatalf("fix: %d %.3000s", code, body)
	}
}

func TestNothingIsFollowedUpBeforeADecision(t *testing.T) {
	p := serve(t, review.Options{Sweeps: newCluster()})
	b := p.as("ann")
	_, page, _ := b.get("/queue")
	token := fields(page, "/queue/next").Get("token")
	for _, path := range []string{"/begin", "/letter", "/visit", "/replies"} {
		resp, err := b.PostForm(p.URL+followPath+path, map[string][]string{"token": {token}, "lang": {"en"}, "note": {"x"}, "text": {"x"}, "annex": {"x"}, "do": {"fix"}, "read": {"yes"}, "deadline": {"2099-01-01"}})
		if code, body, _ := b.read(resp, err); code != http.StatusConflict || !strings.Contains(body, "nothing to follow up") {
			t.Errorf("%s: %d", path, code)
		}
	}
	if code, _, _ := b.get(followPath); code != http.StatusConflict {
		t.Errorf("the page: %d", code)
	}
	if steps, err := p.store.Steps(t.Context(), "one", "shop.example"); err != nil || len(steps) > 0 {
		t.Errorf("%+v, %v", steps, err)
	}
}

// From the template to a letter that is fixed: what is missing is said, nothing
// typed is lost, and what went out stays as it was, byte for byte.
func TestALetter(t *testing.T) {
	p, b := upheld(t, review.Options{Print: printed, Now: func() time.Time { return day }}, hostile)
	if _, body, _ := b.get(sitePath); !strings.Contains(body, `href="`+followPath+`"`) {
		t.Error("the site's page does not lead to it")
	}
	if code, _ := b.post(followPath, followPath+"/begin"); code != http.StatusOK {
		t.Fatalf("begin: %d", code)
	}
	_, page, _ := b.get(followPath + "/letter")
	raw, rawAnnex := area(page, "text"), area(page, "annex")
	for _, want := range []string{"25 November 2026", "25 December 2026", "1. d", "[[Name and address of your office]]", "shop.example", "one/shop.example", "2. [[what to change]]"} {
		if !strings.Contains(raw, want) {
			t.Errorf("the first text does not have %q:\n%s", want, raw)
		}
	}
	for _, want := range []string{"(idle/storage/0)", "PECR reg 6(1)", "How to see it yourself: r", "= evidence"} {
		if !strings.Contains(rawAnnex, want) {
			t.Errorf("the annex does not have %q:\n%s", want, rawAnnex)
		}
	}
	save := func(answers ...string) (int, string) {
		return b.post(followPath+"/letter", followPath+"/letter", append([]string{"text", raw, "annex", rawAnnex, "deadline", "2026-12-25", "read", "yes", "do", "fix"}, answers...)...)
	}
	text, annex := b.letter()
	for name, c := range map[string]struct {
		answers []string
		says    string
	}{
		"gaps":            {nil, "Fill in what stands in double brackets"},
		"a gap below":     {[]string{"text", text}, `id="annex-error">Fill in what stands in double brackets: [[what to change]]`},
		"no text":         {[]string{"text", ""}, "Write something"},
		"too long":        {[]string{"text", strings.Repeat("x", 40_001)}, "under 40000 characters"},
		"no deadline":     {[]string{"deadline", "soon"}, "year, month and day, such as 2026-12-25"},
		"a deadline over": {[]string{"deadline", "2026-11-25"}, "a day that is to come"},
		"another day":     {[]string{"text", text, "annex", annex, "deadline", "2026-12-24"}, "does not name the deadline, 24 December 2026"},
		"not read":        {[]string{"text", text, "annex", annex, "read", ""}, "that you have read the letter"},
	} {
		if code, body := save(c.answers...); code != http.StatusUnprocessableEntity || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d, says %q: %v", name, code, c.says, strings.Contains(body, c.says))
		}
	}
	if code, body := save("text", "# My own words\n\u202eevil\x07", "do", "keep"); code != http.StatusOK || !strings.Contains(area(body, "text"), "# My own words\n⟨U+202E⟩evil⟨U+0007⟩") {
		t.Errorf("a draft of one's own: %d %q", code, area(body, "text"))
	}
	for _, form := range []string{"html", "odt", "pdf"} {
		code, body, h := b.get(followPath + "/letters/2/" + form)
		if code != http.StatusOK || !strings.HasPrefix(h.Get("Content-Disposition"), `attachment; filename="draft-shop.example-2.`+form) || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("the draft as %s: %d, %v", form, code, h)
		}
		if form != "odt" && !strings.Contains(body, "NOT SENT") {
			t.Errorf("the draft as %s does not say that it is one", form)
		}
	}
	if code, body := save("after", "1"); code != http.StatusUnprocessableEntity { // faults are said first
		t.Errorf("%d %.200s", code, body)
	}
	if code, body := save("after", "1", "text", text, "annex", annex); code != http.StatusConflict || area(body, "text") != text || !strings.Contains(body, "Nothing of yours was stored") {
		t.Errorf("from an old page: %d", code)
	}
	if code, body := save("text", text, "annex", annex); code != http.StatusOK || !strings.Contains(body, "until the end of 25 Dec 2026") {
		t.Fatalf("fix: %d", code)
	}
	sent := map[string]string{}
	for _, form := range []string{"html", "odt", "pdf"} {
		_, sent[form], _ = b.get(followPath + "/letters/3/" + form)
	}
	if !strings.Contains(sent["html"], "The Office") || strings.Contains(sent["html"], "NOT SENT") || strings.Contains(sent["html"], "<script") || !strings.HasPrefix(sent["pdf"], "%PDF-<!doctype html>") {
		t.Errorf("the letter: %.2000s", sent["html"])
	}
	if !strings.Contains(sent["html"], strings.TrimPrefix(p.Digest, "sha256:")) || !strings.Contains(sent["html"], "idle/screens/0.jpg in the sealed file") {
		t.Error("the letter does not list the evidence")
	}
	if z, err := zip.NewReader(strings.NewReader(sent["odt"]), int64(len(sent["odt"]))); err != nil || z.File[0].Name != "mimetype" {
		t.Errorf("the OpenDocument text: %v", err)
	}
	// A decision that no longer stands, and another letter: the first stays what it was.
	if code, _ := save("text", text+"\n\nAnother", "annex", annex, "do", "keep"); code != http.StatusOK {
		t.Errorf("a draft after the letter: %d", code)
	}
	if code, _ := b.post(sitePath, sitePath+"/decisions", "act", "dismiss", "reason", "exempt", "act-reject-more-steps", "", "act-pre-ad-storage", ""); code != http.StatusOK {
		t.Fatalf("dismiss: %d", code)
	}
	if code, body := save("text", text, "annex", annex); code != http.StatusConflict || !strings.Contains(body, "not upheld") {
		t.Errorf("a letter about what was dismissed: %d", code)
	}
	for _, form := range []string{"html", "odt", "pdf"} {
		if _, body, _ := b.get(followPath + "/letters/3/" + form); body != sent[form] {
			t.Errorf("the letter as %s is another one now", form)
		}
	}
	for _, path := range []string{"/letters/9/html", "/letters/3/exe", "/letters/x/odt", "/replies/3", "/after/one"} {
		if code, _, _ := b.get(followPath + path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	if _, _, err := p.store.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
	if _, body, _ := b.get("/audit"); !strings.Contains(body, "the site is visited again from 26 December 2026") || strings.Contains(body, "The Office") {
		t.Error("the log does not say what was sent, or says all of it")
	}
}

// What people dismissed or doubted is in no letter, and what only a human can
// tell is there when somebody has.
func TestALetterIsAboutWhatWasUpheld(t *testing.T) {
	for name, c := range map[string]struct {
		answers  []string
		has, not string
	}{
		"one dismissed": {[]string{"act-pre-ad-storage", "dismiss", "reason-pre-ad-storage", "exempt", "act-reject-more-steps", "uphold"}, "1. Refusing may take longer.", "PECR reg 6(1)"},
		"one unsure":    {[]string{"act-reject-more-steps", "unsure"}, "1. plain words.", "Refusing may take longer"},
		"nothing said":  {nil, "1. plain words.", "Refusing may take longer"},
	} {
		t.Run(name, func(t *testing.T) {
			p := serveText(t, review.Options{}, "plain words")
			b := p.as("ann")
			if code, _ := b.post(sitePath, sitePath+"/decisions", append(c.answers, "act", "uphold")...); code != http.StatusOK {
				t.Fatal(code)
			}
			b.post(followPath, followPath+"/begin")
			_, page, _ := b.get(followPath + "/letter")
			if all := area(page, "text") + area(page, "annex"); !strings.Contains(all, c.has) || strings.Contains(all, c.not) {
				t.Errorf("has %q: %v, has %q: %v", c.has, strings.Contains(all, c.has), c.not, strings.Contains(all, c.not))
			}
		})
	}
}

// A letter that cannot be made is not stored, and nothing typed is lost.
func TestALetterThatCannotBePrinted(t *testing.T) {
	broken := func(context.Context, []byte) ([]byte, error) { return nil, errors.New("no browser") }
	p, b := upheld(t, review.Options{Print: broken, Now: func() time.Time { return day }}, "plain words")
	b.post(followPath, followPath+"/begin")
	text, annex := b.letter()
	code, body := b.post(followPath+"/letter", followPath+"/letter", "text", text, "annex", annex, "deadline", "2026-12-25", "read", "yes", "do", "fix")
	if code != http.StatusInternalServerError || area(body, "text") != text || !strings.Contains(body, "nothing was stored") {
		t.Errorf("%d", code)
	}
	if steps, err := p.store.Steps(t.Context(), "one", "shop.example"); err != nil || len(steps) != 1 {
		t.Errorf("%+v, %v", steps, err)
	}
}

// A letter that was made where nothing could print has no PDF, and no page leads to
// one.
func TestALetterWithoutAPDF(t *testing.T) {
	_, b := upheld(t, review.Options{Now: func() time.Time { return day }}, "plain words")
	b.send()
	for _, path := range []string{followPath, followPath + "/letter"} {
		if code, body, _ := b.get(path); code != http.StatusOK || !strings.Contains(body, `/letters/2/odt"`) || strings.Contains(body, "/pdf") {
			t.Errorf("%s: %d", path, code)
		}
	}
	if code, _, _ := b.get(followPath + "/letters/2/pdf"); code != http.StatusNotFound {
		t.Errorf("the PDF: %d", code)
	}
}

// After the deadline the site is visited again once, whatever happens between; a
// case that is not upheld any more is left alone.
func TestVisitAfterTheDeadline(t *testing.T) {
	now, fleet := day, newCluster()
	p, b := upheld(t, review.Options{Sweeps: fleet, Now: func() time.Time { return now }}, "plain words")
	b.send()
	attend := func(want int) {
		t.Helper()
		if err := p.handler.AttendOnce(t.Context()); err != nil {
			t.Error(err)
		}
		if len(fleet.launched) != want {
			t.Errorf("%d are launched, want %d", len(fleet.launched), want)
		}
	}
	now = time.Date(2026, 12, 25, 23, 59, 0, 0, time.UTC)
	attend(0)
	b = p.as("ann") // the session is over
	if _, body, _ := b.get("/follow"); !strings.Contains(body, "25 Dec 2026") || strings.Contains(body, ">Over<") {
		t.Error("the list does not have the case, or it is over")
	}
	now = now.Add(time.Minute)
	if _, body, _ := b.get("/revisits.txt"); body != "https://shop.example/\n" {
		t.Errorf("to be visited: %q", body)
	}
	fleet.down = true
	if err := p.handler.AttendOnce(t.Context()); err == nil {
		t.Error("a cluster that is down is not told")
	}
	fleet.down = false
	attend(1)
	for name, l := range fleet.launched {
		if l.Priority != 1 || l.Agree != 2 || !strings.HasPrefix(name, "again-") || strings.Join(fleet.sites[name], " ") != "shop.example" {
			t.Errorf("launched: %+v, %q", l, fleet.sites[name])
		}
	}
	attend(1)
	steps, err := p.store.Steps(t.Context(), "one", "shop.example")
	if err != nil || len(steps) != 3 || steps[2].Kind != store.StepVisit || steps[2].By != "pecrawler" {
		t.Fatalf("steps: %+v, %v", steps, err)
	}
	if _, body, _ := b.get("/revisits.txt"); body != "" {
		t.Errorf("to be visited after it was: %q", body)
	}
	if code, body := b.post(followPath, followPath+"/visit"); code != http.StatusOK || strings.Count(body, "Not there yet") != 2 || len(fleet.launched) != 2 {
		t.Errorf("on request: %d, %d launched", code, len(fleet.launched))
	}
	fleet.down = true
	if code, body := b.post(followPath, followPath+"/visit"); code != http.StatusBadGateway || strings.Contains(body, "secret-host") {
		t.Errorf("on request, with the cluster down: %d", code)
	}
}

// Launched, and then the program died before it could note that.
func TestVisitAfterACrash(t *testing.T) {
	now, fleet := day, newCluster()
	p, b := upheld(t, review.Options{Sweeps: fleet, Now: func() time.Time { return now }}, "plain words")
	b.send()
	now = day.AddDate(0, 3, 0)
	other := newCluster() // what the first try launched
	if err := p.handler.AttendOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, l := range fleet.launched {
		other.launched[name] = l
	}
	p2, b2 := upheld(t, review.Options{Sweeps: other, Now: func() time.Time { return now }}, "plain words")
	now = day
	b2.send()
	now = day.AddDate(0, 3, 0)
	if err := p2.handler.AttendOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if steps, err := p2.store.Steps(t.Context(), "one", "shop.example"); err != nil || len(other.launched) != 1 || steps[len(steps)-1].Kind != store.StepVisit {
		t.Errorf("%d launched, steps %+v, %v", len(other.launched), steps, err)
	}
}

// again is a later look at the site by another sweep.
func (p *pages) again(name string, change func(*pc.Verdict)) {
	p.t.Helper()
	ctx := p.t.Context()
	v, err := p.store.Word(ctx, "one", "shop.example")
	if err != nil {
		p.t.Fatal(err)
	}
	v.Sweep, v.Times.Last = name, day.AddDate(0, 2, 0)
	change(&v)
	one := v
	one.Visit = 1
	if err := errors.Join(p.store.CreateSweep(ctx, store.Sweep{ID: name, Agree: 2, Created: day}, []store.Site{{Site: v.Site}}), p.store.PutResult(ctx, one), p.store.PutWord(ctx, v)); err != nil {
		p.t.Fatal(err)
	}
}

// What is gone, what remains, what is new, and what nobody could see: that is
// never taken for gone.
func TestBeforeAndAfter(t *testing.T) {
	p, b := upheld(t, review.Options{}, hostile)
	p.again("later", func(v *pc.Verdict) {
		v.Overall = pc.Review
		v.Findings = []pc.Finding{{Rule: "pre-ad-storage", Status: "stable", Outcome: pc.Pass}, {Rule: "reject-more-steps", Status: "stable", Outcome: pc.Unavailable}, {Rule: "implied-consent", Status: "stable", Outcome: pc.Fail, Message: hostile}, {Rule: "no-mechanism", Outcome: pc.Pass}}
		v.Storage = append(v.Storage, pc.ItemSummary{Kind: pc.LocalStorage, Name: "fresh_one", Host: "shop.example", Class: pc.NonExemptAdvertising, Phase: pc.PhaseReject})
	})
	p.again("walled", func(v *pc.Verdict) {
		v.Overall, v.Outcome, v.Findings, v.Storage, v.Requests, v.Bundles = pc.NotAssessed, pc.Blocked, []pc.Finding{{Rule: "pre-ad-storage", Outcome: pc.Unavailable}}, nil, nil, nil
	})
	_, body, _ := b.get(followPath)
	for _, name := range []string{"later", "walled"} {
		if !strings.Contains(body, `href="`+followPath+"/after/"+name+`"`) {
			t.Errorf("the page does not lead to %s", name)
		}
	}
	_, body, _ = b.get(followPath + "/after/later")
	for rule, want := range map[string]string{"pre-ad-storage": "Gone", "reject-more-steps": "Could not tell", "implied-consent": "There now", "fresh_one": "New"} {
		_, after, _ := strings.Cut(body, rule)
		after, _, _ = strings.Cut(after, "</tr>")
		if !strings.Contains(after, ">"+want+"<") {
			t.Errorf("%s is not said to be %q: %q", rule, want, after)
		}
	}
	if strings.Contains(body, "no-mechanism") || strings.Contains(body, "<script") || strings.Count(body, "<img ") != 6 || !strings.Contains(body, "1 there now, 1 that nobody can tell, 1 gone") {
		t.Errorf("the page is not as it should be: %d pictures", strings.Count(body, "<img "))
	}
	for _, m := range regexp.MustCompile(` href="#([^"]+)"`).FindAllStringSubmatch(body, -1) {
		if m[1] != "main" && !strings.Contains(body, ` id="`+m[1]+`"`) {
			t.Errorf("nothing has the id %s", m[1])
		}
	}
	_, body, _ = b.get(followPath + "/after/walled")
	if strings.Contains(body, ">Gone<") || !strings.Contains(body, "could not look") || strings.Count(body, ">Could not tell<") != 2 {
		t.Error("what a wall hid is taken for gone")
	}
}

// reply sends a file and a note.
func (b *browser) reply(name string, content []byte, note string) (int, string) {
	b.t.Helper()
	_, page, _ := b.get(followPath)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	w.WriteField("token", fields(page, followPath+"/replies").Get("token"))
	w.WriteField("note", note)
	if name != "" {
		f, err := w.CreateFormFile("file", name)
		if err != nil {
			b.t.Fatal(err)
		}
		f.Write(content)
	}
	w.Close()
	resp, err := b.Post(b.URL+followPath+"/replies", w.FormDataContentType(), &form)
	code, body, _ := b.read(resp, err)
	return code, body
}

// What a site sends is kept as it came and handed out as nothing that anything
// would open.
func TestReplies(t *testing.T) {
	p, b := upheld(t, review.Options{Now: func() time.Time { return day }}, "plain words")
	if code, _ := b.reply("a.txt", []byte("too early"), ""); code != http.StatusForbidden && code != http.StatusConflict { // there is no form yet, and so no token
		t.Errorf("a reply to nothing: %d", code)
	}
	b.send()
	page := []byte(`<script>alert(1)</script>`)
	if code, body := b.reply(`..\..\"evil`+hostile+`.html`, page, hostile); code != http.StatusOK || strings.Contains(body, "<script") || strings.Contains(body, "<img") {
		t.Errorf("a page: %d", code)
	}
	code, body, h := b.get(followPath + "/replies/3")
	if code != http.StatusOK || body != string(page) || h.Get("Content-Type") != "application/octet-stream" || h.Get("Content-Disposition") != `attachment; filename="reply-3.html"` || h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("%d, %q, %v", code, body, h)
	}
	if code, body := b.reply("", nil, "They rang and said that they have changed it"); code != http.StatusOK || !strings.Contains(body, "They rang") {
		t.Errorf("a note alone: %d", code)
	}
	if code, _, _ := b.get(followPath + "/replies/4"); code != http.StatusNotFound {
		t.Errorf("the file of a note alone: %d", code)
	}
	if code, body := b.reply("", nil, " "); code != http.StatusUnprocessableEntity || !strings.Contains(body, "Choose a file") {
		t.Errorf("nothing: %d", code)
	}
	if code, body := b.reply("", nil, strings.Repeat("x", 4001)); code != http.StatusUnprocessableEntity || !strings.Contains(area(body, "note"), "xxx") {
		t.Errorf("a long note: %d", code)
	}
	if code, body := b.reply("big.bin", make([]byte, 20<<20+1), "kept"); code != http.StatusUnprocessableEntity || !strings.Contains(body, "20 megabytes") || area(body, "note") != "kept" {
		t.Errorf("a large file: %d", code)
	}
	if code, _ := b.reply("big.bin", make([]byte, 25<<20), ""); code != http.StatusRequestEntityTooLarge {
		t.Errorf("a larger one: %d", code)
	}
	if steps, err := p.store.Steps(t.Context(), "one", "shop.example"); err != nil || len(steps) != 4 {
		t.Errorf("%d steps, %v", len(steps), err)
	}
}

// The case file has all of it, is whole, and names what somebody changed.
func TestCaseFile(t *testing.T) {
	key, err := evidence.OpenKey(filepath.Join(t.TempDir(), "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	p, b := upheld(t, review.Options{Signer: key, Print: printed, Now: func() time.Time { return day }}, `=HYPERLINK("http://evil.example")`)
	b.send()
	if code, _ := b.reply("answer.pdf", []byte("We have changed it"), "by post"); code != http.StatusOK {
		t.Fatal(code)
	}
	p.again("later", func(v *pc.Verdict) { v.Overall = pc.Clear })
	code, body, h := b.get(followPath + "/case.zip")
	if code != http.StatusOK || h.Get("Content-Disposition") != `attachment; filename="case-shop.example.zip"` {
		t.Fatalf("%d, %v", code, h)
	}
	c, err := evidence.ReadCase([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckKey(key.Public()); err != nil {
		t.Error(err)
	}
	for name, has := range map[string]string{"README.txt": "pecrawler case verify", "case.json": `"act": "uphold"`, "verdicts.jsonl": `"sweep":"later"`, "audit.jsonl": `"act":"letter"`, "letters/2/letter.html": "The Office", "letters/2/letter.odt": "mimetype",
		"letters/2/letter.pdf": "%PDF", "letters/2/letter.txt": "The Office", "drafts/1/letter.txt": "[[Name", "replies/3/reply-3.pdf": "We have changed it", "replies/3/note.txt": "by post",
		"bundles/" + strings.TrimPrefix(p.Digest, "sha256:") + ".zip": "PK", "screens/one-visit-1/idle-screens-0.jpg": "JFIF", "items.csv": "'=HYPERLINK"} {
		if !strings.Contains(string(c.File(name)), has) {
			t.Errorf("%s does not have %q: %.300s", name, has, c.File(name))
		}
	}
	rows, err := csv.NewReader(bytes.NewReader(c.File("items.csv"))).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][3] != `'=HYPERLINK("http://evil.example")` {
		t.Errorf("items: %q, %v", rows, err)
	}
	flipped := []byte(body)
	flipped[bytes.Index(flipped, []byte("We have changed it"))] ^= 1
	var damaged *evidence.DamagedError
	if _, err := evidence.ReadCase(flipped); !errors.As(err, &damaged) || damaged.Part != "replies/3/reply-3.pdf" {
		t.Errorf("what is damaged: %v", err)
	}
	var log []store.Entry
	if err := p.store.AuditEach(t.Context(), func(e store.Entry) error { log = append(log, e); return nil }); err != nil {
		t.Fatal(err)
	}
	if last := log[len(log)-1]; last.Act != "download" || last.Detail != "case file" {
		t.Errorf("the last entry: %+v", last)
	}
}

// The pages of a case in a real browser, wide and narrow, in every state, with
// texts of every attack.
func TestFollowInABrowser(t *testing.T) {
	for name, text := range attacks() {
		t.Run(name, func(t *testing.T) {
			now := day
			p, b := upheld(t, review.Options{Sweeps: newCluster(), Print: printed, Now: func() time.Time { return now }}, text)
			tab := openTab(t, p, "ann")
			look := func(state string, paths ...string) {
				for _, width := range []int64{320, 1440} {
					tab.run(chromedp.EmulateViewport(width, 900))
					for _, path := range paths {
						tab.run(chromedp.Navigate(p.URL + path))
						eval[bool](tab, `document.querySelectorAll("details").forEach(d => d.open = true), true`)
						what := fmt.Sprintf("%s, %s at %d", state, path, width)
						tab.whole(what)
						if name == "markup" {
							tab.accessible(what)
							tab.shot(what)
						}
					}
				}
			}
			look("upheld", followPath, "/follow", sitePath)
			b.post(followPath, followPath+"/begin")
			look("a draft", followPath, followPath+"/letter")
			_, paper, _ := b.get(followPath + "/letters/1/html")
			file := filepath.Join(t.TempDir(), "draft.html")
			if err := os.WriteFile(file, []byte(paper), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, width := range []int64{320, 1440} { // as whoever gets it sees it
				tab.run(chromedp.EmulateViewport(width, 900), chromedp.Navigate("file://"+file))
				what := fmt.Sprintf("the draft itself at %d", width)
				tab.accessible(what)
				if wide := eval[int64](tab, `document.documentElement.scrollWidth`); wide > width || tab.dialogs.Swap(0) > 0 || eval[bool](tab, `document.scripts.length + document.forms.length + document.links.length > 0`) {
					t.Errorf("%s: %d wide, or something ran", what, wide)
				}
				tab.shot(what)
			}
			text2, annex := b.letter()
			if code, _ := b.post(followPath+"/letter", followPath+"/letter", "text", text2, "annex", annex, "deadline", "2026-12-25", "read", "yes", "do", "fix"); code != http.StatusOK {
				t.Fatal(code)
			}
			b.reply(text[:min(len(text), 60)], []byte("x"), text[:min(len(text), 3000)])
			b.post(followPath, followPath+"/visit")
			p.again("later", func(v *pc.Verdict) {
				v.Overall = pc.Review
				v.Findings = []pc.Finding{{Rule: "pre-ad-storage", Status: "stable", Outcome: pc.Pass}, {Rule: "implied-consent", Status: "stable", Outcome: pc.Fail, Message: text}}
				v.Storage = append(v.Storage, pc.ItemSummary{Kind: pc.LocalStorage, Name: text, Host: text, Class: pc.NonExemptAdvertising, Phase: pc.PhaseReject})
			})
			look("a letter", followPath, "/follow", followPath+"/letter", followPath+"/after/later", "/audit")
			// What is wrong with a form.
			tab.run(chromedp.Navigate(p.URL + followPath + "/letter"))
			eval[bool](tab, `document.querySelector("button[value=fix]").click(), true`)
			tab.until(`document.querySelector(".govuk-error-summary") !== null`)
			tab.sound("a letter with errors")
			tab.shot("a letter with errors")
		})
	}
}

// A letter is begun, filled in and fixed by the Tab key alone.
func TestALetterByKeyboard(t *testing.T) {
	p, _ := upheld(t, review.Options{Now: func() time.Time { return day }}, "plain words")
	tab := openTab(t, p, "ann")
	tab.run(chromedp.Navigate(p.URL + sitePath))
	tab.press(`a[href$="/follow"][role=button]`, kb.Enter)
	tab.until(`location.pathname.endsWith("/follow")`)
	tab.press(`form[action$="/begin"] button`, kb.Enter)
	tab.until(`location.pathname.endsWith("/letter")`)
	eval[bool](tab, `["text", "annex"].forEach(id => { const f = document.getElementById(id); f.value = f.value.replace(/\[\[[^\]]*\]\]/g, "The Office") }), true`) // stands for typing
	tab.press(`#read`, " ")
	tab.press(`button[value=fix]`, kb.Enter)
	tab.until(`location.pathname.endsWith("/follow") && document.body.innerText.includes("until the end of 25 Dec 2026")`)
	tab.sound("a letter that is fixed")
}

// A letter with every attack in it, as Chromium prints it: a PDF without anything
// that runs or leads elsewhere.
func TestALetterInPrint(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium")
	}
	print := func(ctx context.Context, page []byte) ([]byte, error) { return crawler.PrintPDF(ctx, "", page) }
	for name, text := range attacks() {
		if name != "markup" && name != "address" {
			continue // the others differ in their letters only
		}
		_, b := upheld(t, review.Options{Print: print, Now: func() time.Time { return day }}, text)
		b.send()
		_, body, _ := b.get(followPath + "/letters/2/pdf")
		if !strings.HasPrefix(body, "%PDF-") {
			t.Errorf("%s: %.20q", name, body)
		}
		for _, no := range []string{"/URI", "/JavaScript", "/JS", "/Launch", "/EmbeddedFile", "/AcroForm", "/SubmitForm"} {
			if strings.Contains(body, no) {
				t.Errorf("%s: the PDF has %s", name, no)
			}
		}
	}
}
