package review

import (
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"pecrawler/store"
)

// replyDoc is what a step of a reply holds.
type replyDoc struct {
	Name   string `json:"name,omitempty"` // that the file had
	Size   int    `json:"size,omitempty"` // bytes
	Digest string `json:"sha256,omitempty"`
	Note   string `json:"note,omitempty"`
}

// mostReply bounds a file, in bytes.
const mostReply = 20 << 20

// mostName bounds the name of a file, in characters.
const mostName = 120

// addReply keeps what the site answered, with a note.
func (h *Handler) addReply(c *call) error {
	f, err := h.followedCase(c)
	if err != nil {
		return err
	}
	doc := replyDoc{Note: strings.TrimSpace(c.r.PostFormValue("note"))}
	wrong := func(field, text string) error {
		return h.followPage(c, http.StatusUnprocessableEntity, formErrors{{field, text}}, doc.Note)
	}
	if len([]rune(doc.Note)) > mostNote {
		return wrong("note", fmt.Sprintf("Keep the note under %d characters", mostNote))
	}
	file, head, err := c.r.FormFile("file")
	switch {
	case err == nil && head.Size > 0:
		defer file.Close()
		raw, err := io.ReadAll(io.LimitReader(file, mostReply+1))
		if err != nil {
			return err
		}
		if len(raw) > mostReply {
			return wrong("file", fmt.Sprintf("The file is larger than %d megabytes. Split it, or note where it is kept", mostReply>>20))
		}
		doc.Name, doc.Size = clean(path.Base(strings.ReplaceAll(head.Filename, `\`, "/")), mostName), len(raw)
		if doc.Digest, err = h.opt.Attachments.Attach(c.r.Context(), raw); err != nil {
			return err
		}
	case doc.Note == "":
		return wrong("file", "Choose a file, or write what the site said into the note")
	}
	if _, err := h.addStep(c, f, store.StepReply, doc, time.Time{}, 0); err != nil {
		return err
	}
	http.Redirect(c.w, c.r, f.Base+"#replies", http.StatusSeeOther)
	return nil
}

// replyFile hands out what the site sent: as a file of no type, under a name of
// ours, so that nothing takes it for anything.
func (h *Handler) replyFile(c *call) error {
	f, err := h.followedCase(c)
	if err != nil {
		return err
	}
	s, err := f.step(c.r.PathValue("n"), store.StepReply)
	if err != nil {
		return err
	}
	doc, err := docOf[replyDoc](s)
	if err != nil {
		return err
	}
	if doc.Digest == "" {
		return store.ErrNotFound
	}
	raw, err := h.opt.Attachments.Attached(c.r.Context(), doc.Digest)
	if err != nil {
		return err
	}
	return h.handOut(c, f, fmt.Sprintf("reply %d", s.N), replyName(s.N, doc), "application/octet-stream", raw)
}

// replyName is the name of a reply's file: ours, with the ending that it had.
func replyName(n int, d replyDoc) string {
	end := strings.ToLower(path.Ext(d.Name))
	if len(end) > 6 || fileName(end) != end {
		end = ""
	}
	return fmt.Sprintf("reply-%d%s", n, end)
}
