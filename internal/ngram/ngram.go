// Package ngram is a linear model over the words and letters of short texts: it
// counts which parts of words speak for which class, and no more, so that each
// of its answers can be taken apart into what every word contributed.
//
// A model is made by [Train], and the same rows give the same bytes. It is a
// function of its input.
package ngram

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
)

// The lengths of the runs of letters that are looked at.
const (
	shortest = 2
	longest  = 5
	maxRunes = 160 // of a text; what lies beyond is prose
)

// Model weighs features for each class.
type Model struct {
	Classes []string
	bits    uint
	scale   []float64 // of the weights of a class
	weights []int8    // of a feature for a class: [feature*len(Classes)+class]
	bias    []float64
}

// feature is a part of a text, and the words that it overlaps.
type feature struct {
	at       uint32
	value    float64
	from, to int // words; to is one behind the last
}

// Words splits a text as the model does.
func Words(text string) []string {
	runes := 0
	cut := strings.IndexFunc(text, func(rune) bool { runes++; return runes > maxRunes })
	if cut >= 0 {
		text = text[:cut]
	}
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && r != '\'' && r != '×' && r != '+' && r != '£' && r != '€' && r != '%' && r != '/'
	})
}

// hash is FNV-1a.
func hash(h uint32, s string) uint32 {
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}

const seed = 2166136261

// features of a text: its words, pairs of words, runs of letters, its first and
// last word, its length, and the hints, which are what else is known of it.
func features(bits uint, text string, hints []string) []feature {
	words := Words(text)
	mask := uint32(1)<<bits - 1
	var out []feature
	add := func(value float64, from, to int, kind string, parts ...string) {
		h := hash(seed, kind)
		for _, p := range parts {
			h = hash(h, p)
			h = (h ^ 0xff) * 16777619
		}
		h ^= h >> 15 // the low bits are what is kept
		h *= 2246822519
		h ^= h >> 13
		out = append(out, feature{h & mask, value, from, to})
	}
	for i, w := range words {
		w = digits(w)
		words[i] = w
		add(1, i, i+1, "w", w)
		if i > 0 {
			add(1, i-1, i+1, "b", words[i-1], w)
		}
		rs := []rune("^" + w + "$")
		for n := shortest; n <= longest; n++ {
			for k := 0; k+n <= len(rs); k++ {
				add(.5, i, i+1, "c", string(rs[k:k+n]))
			}
		}
	}
	// However long a text is, its words together weigh the same.
	sum := 0.0
	for _, f := range out {
		sum += float64(f.value * f.value)
	}
	if sum > 0 {
		norm := 1 / math.Sqrt(sum)
		for i := range out {
			out[i].value = float64(out[i].value * norm)
		}
	}
	if n := len(words); n > 0 {
		add(.3, 0, 1, "first", words[0])
		add(.3, n-1, n, "last", words[n-1])
		add(.3, 0, n, "length", []string{"1", "2", "3", "4", "5", "6-8", "9-12", "13+"}[length(n)])
	}
	for _, h := range hints {
		add(.5, 0, len(words), "hint", h)
	}
	return out
}

func length(n int) int {
	switch {
	case n <= 5:
		return n - 1
	case n <= 8:
		return 5
	case n <= 12:
		return 6
	}
	return 7
}

// digits makes all numbers one.
func digits(w string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return '0'
		}
		return r
	}, w)
}

func (m *Model) scores(fs []feature) []float64 {
	k := len(m.Classes)
	sums := make([]float64, k)
	for _, f := range fs {
		row := m.weights[int(f.at)*k:][:k]
		for c, w := range row {
			sums[c] += float64(f.value * float64(w))
		}
	}
	for c := range sums {
		sums[c] = float64(sums[c]*m.scale[c]) + m.bias[c]
	}
	return sums
}

// Predict gives the probability of each class. Hints are what else is known of
// the text; they must be of the kinds that the model was trained with.
func (m *Model) Predict(text string, hints []string) []float64 {
	return softmax(m.scores(features(m.bits, text, hints)))
}

func softmax(s []float64) []float64 {
	top := slices.Max(s)
	sum := 0.0
	for i := range s {
		s[i] = math.Exp(s[i] - top)
		sum += s[i]
	}
	for i := range s {
		s[i] /= sum
	}
	return s
}

// Part is what a word of a text contributes to a class.
type Part struct {
	Word   string
	Points float64 // for the class, against the mean of all classes
}

// Explain says what each word of a text contributes to a class, the strongest first.
func (m *Model) Explain(text string, class int) []Part {
	words := Words(text)
	out := make([]Part, len(words))
	for i, w := range words {
		out[i].Word = w
	}
	k := len(m.Classes)
	for _, f := range features(m.bits, text, nil) {
		mean := 0.0
		for c := range k {
			mean += float64(float64(m.weights[int(f.at)*k+c])*m.scale[c]) / float64(k)
		}
		points := float64(f.value * (float64(float64(m.weights[int(f.at)*k+class])*m.scale[class]) - mean))
		for i := f.from; i < f.to && f.to > f.from; i++ {
			out[i].Points += points / float64(f.to-f.from)
		}
	}
	slices.SortStableFunc(out, func(a, b Part) int {
		switch {
		case a.Points > b.Points:
			return -1
		case a.Points < b.Points:
			return 1
		}
		return 0
	})
	return out
}

// magic begins a stored model.
const magic = "ngram1\n"

// Bytes is the model as it is stored.
func (m *Model) Bytes() []byte {
	var b bytes.Buffer
	b.WriteString(magic)
	fmt.Fprintf(&b, "%d %s\n", m.bits, strings.Join(m.Classes, " "))
	put := func(f float64) { binary.Write(&b, binary.LittleEndian, float32(f)) } // a buffer takes all
	for c := range m.Classes {
		put(m.scale[c])
		put(m.bias[c])
	}
	for _, w := range m.weights {
		b.WriteByte(byte(w))
	}
	return b.Bytes()
}

// Read reads a stored model.
func Read(raw []byte) (*Model, error) {
	rest, ok := bytes.CutPrefix(raw, []byte(magic))
	head, rest, ok2 := bytes.Cut(rest, []byte("\n"))
	if !ok || !ok2 {
		return nil, errors.New("it is no model")
	}
	names := strings.Fields(string(head))
	m := &Model{}
	if len(names) < 3 {
		return nil, errors.New("the model names no classes")
	}
	if _, err := fmt.Sscanf(names[0], "%d", &m.bits); err != nil || m.bits > 20 {
		return nil, fmt.Errorf("the model has %q bits", names[0])
	}
	m.Classes = names[1:]
	k := len(m.Classes)
	if want := 8*k + k<<m.bits; len(rest) != want {
		return nil, fmt.Errorf("the model has %d bytes, want %d", len(rest), want)
	}
	get := func() float64 {
		f := math.Float32frombits(binary.LittleEndian.Uint32(rest))
		rest = rest[4:]
		return float64(f)
	}
	for range k {
		m.scale, m.bias = append(m.scale, get()), append(m.bias, get())
	}
	m.weights = make([]int8, len(rest))
	for i, b := range rest {
		m.weights[i] = int8(b)
	}
	return m, nil
}
