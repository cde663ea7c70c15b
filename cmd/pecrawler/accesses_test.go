package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pecrawler/store"
)

// Sessions are ended and tokens made and revoked on the command line, and the log
// has all of it.
func TestAccess(t *testing.T) {
	out := t.TempDir()
	st, err := store.Open(t.Context(), filepath.Join(out, "pecrawler.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Welcome(t.Context(), "issuer 1", store.Account{Name: "ann@regulator.example", Roles: "lead", Last: time.Now()}); err != nil {
		t.Fatal(err)
	}
	ask := func(want int, args ...string) string {
		t.Helper()
		code, stdout, stderr := pecrawler(t.Context(), t, "", append([]string{"access", "--out", out}, args...)...)
		if code != want {
			t.Errorf("%q: status %d, want %d\n%s", args, code, want, stderr)
		}
		return stdout
	}
	if got := ask(0, "people"); !strings.Contains(got, "ann@regulator.example") || !strings.Contains(got, "lead") {
		t.Errorf("people: %q", got)
	}
	begin := time.Now().Truncate(time.Millisecond)
	ask(0, "end", "ann@regulator.example")
	if at, err := st.SessionsEnded(t.Context(), "ann@regulator.example"); err != nil || at.Before(begin) {
		t.Errorf("ended at %v, %v", at, err)
	}
	token := strings.TrimSpace(ask(0, "--role", "launcher", "--days", "7", "make-token", "case system"))
	parts := strings.Split(token, "_")
	if len(parts) != 3 || parts[0] != "pec" {
		t.Fatalf("the token is %q", token)
	}
	if got, err := st.UseToken(t.Context(), parts[1], parts[2], "test", time.Now()); err != nil || got.Role != "launcher" || got.Name != "case system" {
		t.Errorf("the token is good for %+v, %v", got, err)
	}
	if got := ask(0, "tokens"); !strings.Contains(got, parts[1]) || strings.Contains(got, parts[2]) {
		t.Errorf("tokens: %q", got)
	}
	ask(0, "revoke-token", parts[1])
	if _, err := st.UseToken(t.Context(), parts[1], parts[2], "test", time.Now()); err == nil {
		t.Error("a token that was revoked is good")
	}
	ask(1, "revoke-token", parts[1])
	for _, args := range [][]string{{}, {"end"}, {"end", ""}, {"people", "ann"}, {"make-token", "token:x"}, {"--role", "lead", "make-token", "x"}, {"--days", "366", "make-token", "x"}, {"--days", "0", "make-token", "x"}} {
		ask(2, args...)
	}
	log, err := st.Audit(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	acts := map[string]bool{}
	for _, e := range log {
		acts[e.Act] = acts[e.Act] || strings.Contains(e.Who, "command line")
	}
	if !acts["end-sessions"] || !acts["make-token"] || !acts["revoke-token"] {
		t.Errorf("the log: %+v", log)
	}
}
