package review

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"

	pc "pecrawler"
	"pecrawler/evidence"
	"pecrawler/store"
)

// item shows one piece of raw evidence. Asking for its masked values is a POST,
// because it is an act that is logged before they are shown.
func (h *Handler) item(c *call) error {
	o, err := h.shelf.open(c.r.Context(), c.r.PathValue("digest"))
	if err != nil {
		return h.absent(err)
	}
	node := ""
	if n := c.r.URL.Query().Get("node"); n != "" {
		node = "#" + n
	}
	p, ok := placeOf(pc.Ref(c.r.PathValue("scenario") + "/" + c.r.PathValue("kind") + "/" + c.r.PathValue("n") + node))
	if !ok {
		return store.ErrNotFound
	}
	reveal := c.r.Method == http.MethodPost
	it := itemOf(o, p, reveal)
	if it == nil {
		return store.ErrNotFound
	}
	act := "view"
	if reveal {
		act = "reveal"
	}
	if err := h.note(c.r.Context(), c.Person, act, o.Digest()+"/"+it.Ref, o.Visit().ID()); err != nil {
		return err
	}
	return h.show(c, "item.html", clean(it.Title, 80), "", it)
}

// absent tells a bundle that is not there from one that is damaged.
func (h *Handler) absent(err error) error {
	var damaged *evidence.DamagedError
	if errors.As(err, &damaged) {
		return err
	}
	h.log.Warn("bundle for the review page", "err", err)
	return store.ErrNotFound
}

func (h *Handler) bundle(c *call) error {
	digest := c.r.PathValue("digest")
	raw, err := h.vault.Bytes(c.r.Context(), digest)
	if err != nil {
		return h.absent(err)
	}
	return h.download(c, digest, "zip", "application/zip", raw)
}

func (h *Handler) har(c *call) error {
	o, err := h.shelf.open(c.r.Context(), c.r.PathValue("digest"))
	if err != nil {
		return h.absent(err)
	}
	var b bytes.Buffer
	if err := evidence.WriteHAR(&b, o.Bundle); err != nil {
		return err
	}
	return h.download(c, o.Digest(), "har", "application/json", b.Bytes())
}

func (h *Handler) wacz(c *call) error {
	o, err := h.shelf.open(c.r.Context(), c.r.PathValue("digest"))
	if err != nil {
		return h.absent(err)
	}
	var b bytes.Buffer
	if err := evidence.WriteWACZ(&b, o.Bundle); err != nil {
		return err
	}
	return h.download(c, o.Digest(), "wacz", "application/wacz", b.Bytes())
}

// download hands out a file that holds values: that is logged, too.
func (h *Handler) download(c *call, digest, form, mime string, raw []byte) error {
	if err := h.note(c.r.Context(), c.Person, "download", digest, form); err != nil {
		return err
	}
	hd := c.w.Header()
	hd.Set("Content-Type", mime)
	hd.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", strings.TrimPrefix(digest, "sha256:")+"."+form))
	_, err := c.w.Write(raw)
	return err
}

func (h *Handler) screen(c *call) error {
	o, err := h.shelf.open(c.r.Context(), c.r.PathValue("digest"))
	if err != nil {
		return h.absent(err)
	}
	capture := o.Captures()[pc.Scenario(c.r.PathValue("scenario"))]
	n, err := strconv.Atoi(c.r.PathValue("n"))
	if capture == nil || err != nil || n < 0 || n >= len(capture.Pages) {
		return store.ErrNotFound
	}
	return picturePart(c, o, capture.Pages[n].Screen)
}

func (h *Handler) whole(c *call) error {
	o, err := h.shelf.open(c.r.Context(), c.r.PathValue("digest"))
	if err != nil {
		return h.absent(err)
	}
	capture := o.Captures()[pc.Scenario(c.r.PathValue("scenario"))]
	if capture == nil {
		return store.ErrNotFound
	}
	return picturePart(c, o, capture.Whole)
}

// picturePart sends a picture of the bundle; anything else in it is not for a browser.
func picturePart(c *call, o *opened, name string) error {
	mime := map[string]string{".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}[path.Ext(name)]
	if mime == "" {
		return store.ErrNotFound
	}
	raw, err := o.Part(name)
	if err != nil {
		return store.ErrNotFound
	}
	c.w.Header().Set("Content-Type", mime)
	c.w.Header().Set("Cache-Control", "private, max-age=86400, immutable") // the digest names the content
	_, err = c.w.Write(raw)
	return err
}
