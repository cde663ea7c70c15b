package letter

import (
	"encoding/base64"
	"html/template"
	"io"
)

// page is made for paper: it holds its style and pictures, loads nothing, and
// forbids itself to.
var page = template.Must(template.New("").Funcs(template.FuncMap{
	"jpeg": func(p Picture) template.URL {
		return template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(p.JPEG))
	},
}).Parse(`<!doctype html>
<html lang="{{.D.Lang}}" dir="ltr"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{{.D.Title}}</title>
<style>
@page { size: A4; margin: 22mm 22mm 24mm; {{if .D.Draft}}@top-right { content: "{{.D.Mark}}"; font: bold 10pt arial, "Liberation Sans", sans-serif; } {{end}}@bottom-right { content: counter(page) " / " counter(pages); font: 9pt arial, "Liberation Sans", sans-serif; } }
body { font: 11pt/1.45 arial, "Liberation Sans", sans-serif; color: #0b0c0c; max-width: 42rem; margin: 1.5rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 13pt; margin: 1.4em 0 .4em; line-height: 1.25; } h2 { font-size: 11.5pt; margin: 1.3em 0 .3em; line-height: 1.25; } h1, h2 { break-after: avoid; }
p { margin: 0 0 .8em; orphans: 3; widows: 3; } ul { margin: 0 0 .8em; padding-left: 1.2em; } li { margin-bottom: .3em; }
.draft { border: 2px solid #0b0c0c; padding: .3em .6em; font-weight: bold; }
.annex { break-before: page; }
figure { margin: 0 0 1em; break-inside: avoid; } img { display: block; width: auto; height: auto; max-width: 100%; max-height: 190mm; border: 1px solid #b1b4b6; } figcaption { font-size: 9.5pt; }
dl { margin: 0; } dt { break-after: avoid; } dd { margin: 0 0 .7em; font: 8.5pt/1.3 "Liberation Mono", monospace; }
@media print { body { margin: 0; padding: 0; max-width: none; } .draft { display: none; /* it stands above every page */ } }
</style></head><body><main>{{if .D.Draft}}<p class="draft">{{.D.Mark}}</p>{{end}}
{{template "blocks" .Letter}}
<section class="annex">{{template "blocks" .Annex}}</section></main></body></html>
{{define "blocks"}}{{$d := .D}}{{range .Blocks}}{{if .List}}<ul>{{range .List}}<li>{{.}}</li>{{end}}</ul>
{{else if eq .B.Kind "paragraph"}}<p>{{range $i, $l := .B.Lines}}{{if $i}}<br>{{end}}{{$l}}{{end}}</p>
{{else if eq .B.Kind "heading"}}<h1>{{index .B.Lines 0}}</h1>
{{else if eq .B.Kind "smaller"}}<h2>{{index .B.Lines 0}}</h2>
{{else if eq .B.Kind "pictures"}}{{range $d.Pictures}}<figure><img src="{{jpeg .}}" width="{{.Width}}" height="{{.Height}}" alt="{{.Caption}}"{{if $d.Foreign}} lang="en"{{end}}><figcaption{{if $d.Foreign}} lang="en"{{end}}>{{.Caption}}</figcaption></figure>
{{end}}{{else if eq .B.Kind "proofs"}}<dl>{{range $d.Proofs}}<dt{{if $d.Foreign}} lang="en"{{end}}>{{.What}}</dt><dd>{{.Digest}}</dd>
{{end}}</dl>{{end}}{{end}}{{end}}`))

// part is a block, or the items of a list that follow each other.
type part struct {
	B    block
	List []string
}

func parts(bs []block) []part {
	var out []part
	for _, b := range bs {
		if b.Kind != item {
			out = append(out, part{B: b})
			continue
		}
		if n := len(out); n == 0 || out[n-1].List == nil {
			out = append(out, part{B: b})
		}
		out[len(out)-1].List = append(out[len(out)-1].List, b.Lines...)
	}
	return out
}

type half struct {
	D      Document
	Blocks []part
}

// HTML writes the letter as a page that needs nothing else, fit to be printed.
func (d Document) HTML(w io.Writer) error {
	return page.Execute(w, map[string]any{"D": d, "Letter": half{d, parts(blocks(d.Text))}, "Annex": half{d, parts(d.annex())}})
}
