package review

import (
	"net/http"
	"time"
)

// sessionRow is somebody who is signed in.
type sessionRow struct {
	Name, Does  string
	Began, Seen time.Time
	Asked       time.Time // when the provider last said what they may do; zero: nobody is asked
	Own         bool
}

// sessions lists who is signed in.
func (h *Handler) sessions(c *call) error {
	var rows []sessionRow
	for _, s := range h.door.signedIn() {
		ended, err := h.ended(c.r.Context(), s)
		if err != nil {
			return err
		}
		if ended {
			continue
		}
		row := sessionRow{Name: s.Name, Does: s.Does(), Began: s.began, Seen: s.seen, Own: s.key == c.key}
		if s.grant != nil {
			roles, said := s.grant.now()
			row.Does, row.Asked = Person{Roles: roles}.Does(), said
		}
		rows = append(rows, row)
	}
	return h.show(c, "sessions.html", "Who is signed in", "sessions", map[string]any{"Rows": rows, "SSO": h.sso != nil})
}

// endSessions ends all sessions of somebody, at once.
func (h *Handler) endSessions(c *call) error {
	name := c.r.PostFormValue("name")
	if !ValidName(name) {
		return &refusal{http.StatusUnprocessableEntity, "Nobody is called that", "Go back and choose somebody from the list."}
	}
	if err := h.store.EndSessions(c.r.Context(), name, c.Name, h.opt.Now()); err != nil {
		return err
	}
	http.Redirect(c.w, c.r, "/sessions", http.StatusSeeOther)
	return nil
}
