package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pc "pecrawler"
	"pecrawler/store"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// A person keeps the name of the first sign-in, and nobody else gets it.
func TestNamesBelongToAccounts(t *testing.T) { both(t, testNamesBelongToAccounts) }

func testNamesBelongToAccounts(t *testing.T, place string) {
	s, _ := open(t, place)
	welcome := func(subject, name string) (string, error) {
		return s.Welcome(t.Context(), subject, store.Account{Name: name, Roles: "reader", Last: noon})
	}
	for _, c := range []struct {
		subject, name, want string
		err                 error
	}{
		{"a", "ann", "ann", nil}, {"a", "ann", "ann", nil}, {"a", "ann married", "ann", nil}, {"b", "ann", "", store.ErrNameTaken}, {"b", "bob", "bob", nil}, {"a", "bob", "ann", nil},
	} {
		if got, err := welcome(c.subject, c.name); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s as %s: %q, %v; want %q, %v", c.subject, c.name, got, err, c.want, c.err)
		}
	}
	if n, _, err := s.VerifyAudit(t.Context()); n != 5 || err != nil {
		t.Errorf("%d entries of the log, %v; want one for each that was let in", n, err)
	}
}

// Sessions are ended again and again, of one person and no other, and the log says by whom.
func TestEndSessions(t *testing.T) { both(t, testEndSessions) }

func testEndSessions(t *testing.T, place string) {
	s, _ := open(t, place)
	for _, at := range []time.Time{noon, noon.Add(time.Hour)} {
		if err := s.EndSessions(t.Context(), "ann", "lee", at); err != nil {
			t.Fatal(err)
		}
		if got, err := s.SessionsEnded(t.Context(), "ann"); err != nil || !got.Equal(at) {
			t.Errorf("ended %v, %v; want %v", got, err, at)
		}
	}
	if got, err := s.SessionsEnded(t.Context(), "bob"); err != nil || !got.IsZero() {
		t.Errorf("of somebody else: %v, %v", got, err)
	}
	log, err := s.Audit(t.Context(), 0, 10)
	if err != nil || len(log) != 2 || log[0].Act != "end-sessions" || log[0].Who != "lee" || log[0].Subject != "ann" {
		t.Errorf("the log: %+v, %v", log, err)
	}
}

// A token is good until it expires or is revoked, and each use is logged.
func TestTokens(t *testing.T) { both(t, testTokens) }

func testTokens(t *testing.T, place string) {
	s, _ := open(t, place)
	if err := s.PutToken(t.Context(), store.Token{ID: "id", Name: "case system", Role: "reader", MadeBy: "ann", Made: noon, Expires: noon.Add(time.Hour)}, "secret"); err != nil {
		t.Fatal(err)
	}
	use := func(id, secret string, at time.Time) error {
		_, err := s.UseToken(t.Context(), id, secret, "GET /api", at)
		return err
	}
	for name, err := range map[string]error{
		"unknown": use("other", "secret", noon), "wrong": use("id", "secre", noon), "none": use("id", "", noon), "its hash": use("id", "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b", noon), "late": use("id", "secret", noon.Add(time.Hour)),
	} {
		if !errors.Is(err, store.ErrNoToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := use("id", "secret", noon); err != nil {
		t.Error(err)
	}
	if err := s.RevokeToken(t.Context(), "id", "lee", noon); err != nil {
		t.Error(err)
	}
	if err := s.RevokeToken(t.Context(), "id", "lee", noon); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("revoked twice: %v", err)
	}
	if err := use("id", "secret", noon); !errors.Is(err, store.ErrNoToken) {
		t.Errorf("revoked: %v", err)
	}
	log, err := s.Audit(t.Context(), 0, 10)
	if err != nil || len(log) != 3 || log[1].Who != "token:case system" || log[1].Act != "api" || log[1].Subject != "GET /api" {
		t.Errorf("the log: %+v, %v", log, err)
	}
}

// To refuse somebody is no failure of the database; not to answer is one.
func TestRefusalsAreNoFailures(t *testing.T) { both(t, testRefusalsAreNoFailures) }

func testRefusalsAreNoFailures(t *testing.T, place string) {
	s, _ := open(t, place)
	reg := prometheus.NewRegistry()
	reg.MustRegister(s)
	failed := func() (n float64) {
		t.Helper()
		all, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if f.GetName() == "pecrawler_store_errors_total" {
				for _, m := range f.GetMetric() {
					n += m.GetCounter().GetValue()
				}
			}
		}
		return n
	}
	_, unknown := s.UseToken(t.Context(), "no", "secret", "GET /api", noon)
	_, first := s.Welcome(t.Context(), "a", store.Account{Name: "ann", Last: noon})
	_, second := s.Welcome(t.Context(), "b", store.Account{Name: "ann", Last: noon})
	var many error
	for i := range store.MostViews + 1 {
		many = s.SaveView(t.Context(), "ann", store.View{Name: fmt.Sprint(i)})
	}
	if first != nil {
		t.Fatal(first)
	}
	for _, c := range []struct{ got, want error }{
		{unknown, store.ErrNoToken}, {second, store.ErrNameTaken}, {many, store.ErrTooMany},
		{s.RevokeToken(t.Context(), "no", "lee", noon), store.ErrNotFound},
		{s.Release(t.Context(), "s1", "a.example", "ann", noon), store.ErrTaken},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
	if n := failed(); n != 0 {
		t.Errorf("%v failures are counted, and the database had none", n)
	}
	s.Close()
	if err := s.Note(t.Context(), store.Entry{At: noon, Who: "ann", Act: "view"}); err == nil || failed() != 1 {
		t.Errorf("%v, and %v failures are counted, want 1", err, failed())
	}
}

func TestViews(t *testing.T) { both(t, testViews) }

func testViews(t *testing.T, place string) {
	s, _ := open(t, place)
	for i := range store.MostViews {
		if err := s.SaveView(t.Context(), "ann", store.View{Name: fmt.Sprintf("%02d", i), Filter: "rule=x"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SaveView(t.Context(), "ann", store.View{Name: "one more"}); !errors.Is(err, store.ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
	if err := s.SaveView(t.Context(), "ann", store.View{Name: "07", Filter: "rule=y"}); err != nil {
		t.Error(err)
	}
	if err := s.DropView(t.Context(), "bob", "07"); err != nil {
		t.Error(err)
	}
	vs, err := s.Views(t.Context(), "ann")
	if err != nil || len(vs) != store.MostViews || vs[7].Filter != "rule=y" {
		t.Errorf("ann's: %+v, %v", vs, err)
	}
	if vs, err := s.Views(t.Context(), "bob"); err != nil || len(vs) != 0 {
		t.Errorf("bob's: %+v, %v", vs, err)
	}
}

// Cases are handed out as they stand, and never to who must not decide on them.
func TestAssign(t *testing.T) { both(t, testAssign) }

func testAssign(t *testing.T, place string) {
	s, _ := open(t, place)
	if err := s.CreateSweep(t.Context(), store.Sweep{ID: "one", Agree: 1, Created: noon}, nil); err != nil {
		t.Fatal(err)
	}
	var picks []store.Pick
	for _, site := range []string{"free.example", "taken.example", "second.example", "decided.example"} {
		v := pc.Verdict{Schema: 1, Sweep: "one", Site: site, Overall: pc.Flagged, Outcome: pc.Assessed}
		if err := s.PutWord(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		picks = append(picks, store.Pick{Sweep: "one", Site: site})
		if site == "second.example" || site == "decided.example" {
			r := store.Reading{By: "ann", At: noon, Verdict: store.VerdictDigest(v), Sampled: site == "second.example", Site: store.Decision{Act: store.Uphold}}
			if err := s.Decide(t.Context(), "one", site, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Take(t.Context(), "one", "taken.example", "bob", "", noon); err != nil {
		t.Fatal(err)
	}
	left, err := s.Assign(t.Context(), "lee", "ann", append(picks, store.Pick{Sweep: "one", Site: "none.example"}), noon)
	if err != nil || len(left) != 4 || left[0].Site != "taken.example" || left[1].Site != "second.example" || left[2].Site != "decided.example" {
		t.Errorf("left: %+v, %v", left, err)
	}
	picks[1].From = "bob"
	if left, err := s.Assign(t.Context(), "lee", "cyd", picks[1:3], noon); err != nil || len(left) != 0 {
		t.Errorf("knowingly: %+v, %v", left, err)
	}
	for site, who := range map[string]string{"free.example": "ann", "taken.example": "cyd", "second.example": "cyd", "decided.example": ""} {
		if c, err := s.Case(t.Context(), "one", site); err != nil || c.Assignee != who {
			t.Errorf("%s: %q has it, want %q; %v", site, c.Assignee, who, err)
		}
	}
	log, err := s.Audit(t.Context(), 0, 1)
	if err != nil || log[0].Act != "assign" || log[0].Who != "lee" || log[0].Detail != "to cyd" {
		t.Errorf("the log: %+v, %v", log, err)
	}
}
