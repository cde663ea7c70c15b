package lab

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"strings"
)

// made returns a body that no file has to hold, and its media type: "jpeg
// 640x400" or "png 320x200" is a picture, "script 24" a script of 24 KiB with
// some work in it. The same name, the same body.
func made(what, name string) (body, mime string, err error) {
	h := fnv.New64a()
	h.Write([]byte(name))
	r := rand.New(rand.NewPCG(h.Sum64(), 3))
	kind, size, _ := strings.Cut(what, " ")
	var w, ht int
	switch kind {
	case "jpeg", "png":
		if n, _ := fmt.Sscanf(size, "%dx%d", &w, &ht); n != 2 || w < 1 || ht < 1 || w > 4000 || ht > 4000 {
			return "", "", fmt.Errorf("make %q: want a size such as 640x400", what)
		}
		var b bytes.Buffer
		if kind == "jpeg" {
			err = jpeg.Encode(&b, photo(r, w, ht), &jpeg.Options{Quality: 80})
		} else {
			err = png.Encode(&b, photo(r, w, ht))
		}
		return b.String(), "image/" + kind, err
	case "script":
		if n, _ := fmt.Sscanf(size, "%d", &w); n != 1 || w < 1 || w > 1000 {
			return "", "", fmt.Errorf("make %q: want a size in KiB", what)
		}
		return script(r, w<<10), "text/javascript; charset=utf-8", nil
	}
	return "", "", fmt.Errorf("make %q: want jpeg, png or script", what)
}

// photo is as costly to store and to draw as a photograph: soft shapes with
// grain over them.
func photo(r *rand.Rand, w, h int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	a, b, c := r.Float64(), r.Float64(), r.Float64()
	for y := range h {
		for x := range w {
			u, v := float64(x)/float64(w), float64(y)/float64(h)
			grain := r.Float64() * 18
			m.SetRGBA(x, y, color.RGBA{uint8(60 + 120*u*a + 50*v + grain), uint8(70 + 110*v*b + grain), uint8(80 + 90*(1-u)*c + 40*v + grain), 255})
		}
	}
	return m
}

// script is a program of many small functions, a tenth of which are called: as
// with real ones, reading it costs more than running it.
func script(r *rand.Rand, size int) string {
	var b strings.Builder
	b.WriteString("(() => {\n  const made = {};\n  let sum = 0;\n")
	for i := 0; b.Len() < size-400; i++ {
		fmt.Fprintf(&b, "  made.part%d = (list, by) => list.filter((x) => x %% %d !== by).map((x) => ({ id: x, label: \"item-\" + x, weight: (x * %d + by) %% 997 })).sort((p, q) => p.weight - q.weight);\n", i, 2+r.IntN(9), 3+r.IntN(90))
		if i%10 == 0 {
			fmt.Fprintf(&b, "  sum += made.part%d(Array.from({ length: %d }, (_, k) => k), %d).length;\n", i, 100+r.IntN(400), r.IntN(5))
		}
	}
	b.WriteString("  document.documentElement.dataset.sum = String(sum + Number(document.documentElement.dataset.sum || 0));\n})();\n")
	return b.String()
}
