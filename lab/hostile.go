package lab

import (
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf16"
)

//go:embed hostile
var hostileFiles embed.FS

// streams are answers that no file could hold, by the name that a site of
// hostile/ gives. They end when the visitor goes.
var streams = map[string]func(w http.ResponseWriter, r *http.Request){
	"nodes": func(w http.ResponseWriter, _ *http.Request) {
		head(w, "Many Things")
		for i := range 100_000 {
			fmt.Fprintf(w, "<i>%d</i>", i)
		}
	},
	"big": func(w http.ResponseWriter, _ *http.Request) {
		head(w, "Long Read")
		line := "<p>" + strings.Repeat("and so it went on, ", 500) + "</p>\n"
		for n := 0; n < 50_000_000; n += len(line) {
			if _, err := io.WriteString(w, line); err != nil {
				return
			}
		}
	},
	"bomb": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		head(w, "")
		z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			return
		}
		block := strings.Repeat("<!-- nothing -->", 1<<16)
		for n := 0; n < 1_000_000_000; n += len(block) {
			if _, err := io.WriteString(z, block); err != nil {
				return
			}
		}
		z.Close()
	},
	"endless": func(w http.ResponseWriter, r *http.Request) {
		head(w, "Never Ends")
		for {
			if _, err := io.WriteString(w, "<p>and another thing</p>\n"); err != nil {
				return
			}
			http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	},
	"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	"latin1": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=iso-8859-1")
		io.WriteString(w, "<!doctype html><title>Old Letters</title><h1>Caf\xe9 cr\xe8me, na\xefve, d\xe9j\xe0 vu, \xa35</h1>")
	},
	"utf16": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		text := utf16.Encode([]rune("\ufeff<!doctype html><title>Wide Letters</title><h1>Croeso, bienvenue, 歡迎</h1>"))
		for _, u := range text {
			w.Write([]byte{byte(u), byte(u >> 8)})
		}
	},
}

// head begins a page. With an empty title its text is not written: the body is
// encoded by the caller.
func head(w http.ResponseWriter, title string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if title != "" {
		fmt.Fprintf(w, "<!doctype html><title>%s</title><h1>%s</h1>\n", title, title)
	}
}
