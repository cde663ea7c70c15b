package review

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"pecrawler/store"
)

// Programs get in by tokens: pec_ID_SECRET. The beginning lets scanners for
// secrets find one that was published by mistake.
const tokenMark = "pec_"

// tokenRoles are what a program may be: decisions are people's.
func tokenRoles() []Role { return []Role{Reader, Launcher} }

func tokenDays() [][2]string {
	return [][2]string{{"720h", "30 days"}, {"2160h", "90 days"}, {"8760h", "A year"}}
}

// bearer is the program that asks by a token. It has answered when ok is false.
func (h *Handler) bearer(w http.ResponseWriter, r *http.Request) (s session, ok bool) {
	addr := h.address(r)
	if h.shut(w, r, addr) {
		return s, false
	}
	rest, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "+tokenMark)
	id, secret, _ := strings.Cut(rest, "_")
	if !h.gate.allow("token "+id+addr, sessionRate, sessionBurst) {
		h.busy(w, r)
		return s, false
	}
	t, err := h.store.UseToken(r.Context(), id, secret, r.Method+" "+clean(r.URL.Path, shownRunes), h.opt.Now())
	if errors.Is(err, store.ErrNoToken) {
		h.met.signIns.WithLabelValues("failed").Inc()
		h.gate.wrong(addr)
		w.Header().Set("WWW-Authenticate", "Bearer")
		h.problem(w, r, http.StatusUnauthorized, "No such token", "It is unknown, was revoked, or has expired.")
		return s, false
	}
	if err != nil {
		h.failed(w, r, err)
		return s, false
	}
	return session{Person: Person{tokenPrefix + t.Name, []Role{Role(t.Role)}}}, true
}

// tokenRow is a token as its page shows it.
type tokenRow struct {
	store.Token
	State string
}

func (h *Handler) tokens(c *call) error { return h.tokensPage(c, http.StatusOK, "", nil) }

// tokensPage shows the tokens; fresh is one that was just made, shown this once.
func (h *Handler) tokensPage(c *call, status int, fresh string, faults formErrors) error {
	list, err := h.store.Tokens(c.r.Context())
	if err != nil {
		return err
	}
	var rows []tokenRow
	for _, t := range list {
		state := "good"
		switch {
		case !t.Revoked.IsZero():
			state = "revoked"
		case !h.opt.Now().Before(t.Expires):
			state = "expired"
		}
		rows = append(rows, tokenRow{t, state})
	}
	name := c.r.PostFormValue("name")
	if fresh != "" {
		name = "" // for the next one
	}
	return h.render(c.w, status, "tokens.html", &view{Title: "Access of programs", Here: "tokens", Who: &c.session, D: map[string]any{"Rows": rows, "Fresh": fresh, "Days": tokenDays(), "Errors": faults, "Name": name}})
}

// makeToken makes a token and shows it once.
func (h *Handler) makeToken(c *call) error {
	name, role := strings.TrimSpace(c.r.PostFormValue("name")), Role(c.r.PostFormValue("role"))
	var faults formErrors
	if !ValidName(name) || len(name) > 60 {
		faults = append(faults, formError{"name", "Say in up to 60 plain characters which program it is for"})
	}
	if !slices.Contains(tokenRoles(), role) {
		faults = append(faults, formError{"role", "Choose what the program may do"})
	}
	var age time.Duration
	for _, d := range tokenDays() {
		if d[0] == c.r.PostFormValue("age") {
			age, _ = time.ParseDuration(d[0])
		}
	}
	if age == 0 {
		faults = append(faults, formError{"age", "Choose how long it is good"})
	}
	if len(faults) > 0 {
		return h.tokensPage(c, http.StatusUnprocessableEntity, "", faults)
	}
	now := h.opt.Now()
	fresh, err := MakeToken(c.r.Context(), h.store, store.Token{Name: name, Role: string(role), MadeBy: c.Name, Made: now, Expires: now.Add(age)})
	if err != nil {
		return err
	}
	return h.tokensPage(c, http.StatusCreated, fresh, nil)
}

// MostToken is how long a token may be good.
const MostToken = 365 * 24 * time.Hour

// MakeToken gives a program access and returns what it has to send with each
// request, which is kept nowhere. The id of the token is made here; all else says
// t, which is an error when there is no such access.
func MakeToken(ctx context.Context, st *store.Store, t store.Token) (fresh string, err error) {
	if !ValidName(t.Name) || len(t.Name) > 60 || !slices.Contains(tokenRoles(), Role(t.Role)) || !t.Expires.After(t.Made) || t.Expires.Sub(t.Made) > MostToken {
		return "", fmt.Errorf("a token is for a program of a plain name of up to 60 characters, is one of %s, and is good for a year at most", roleWords(tokenRoles(), ", "))
	}
	t.ID = rand.Text()[:12]
	secret := rand.Text() + rand.Text()
	if err := st.PutToken(ctx, t, secret); err != nil {
		return "", err
	}
	return tokenMark + t.ID + "_" + secret, nil
}

// revokeToken ends a token now.
func (h *Handler) revokeToken(c *call) error {
	if err := h.store.RevokeToken(c.r.Context(), c.r.PostFormValue("id"), c.Name, h.opt.Now()); err != nil {
		return err
	}
	http.Redirect(c.w, c.r, "/tokens", http.StatusSeeOther)
	return nil
}
