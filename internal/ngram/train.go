package ngram

import (
	"fmt"
	"math"
	"slices"
)

// Row is a text of known class.
type Row struct {
	Text   string
	Class  string
	Hints  []string
	Weight float64 // 0 is 1
}

// Options of a training.
type Options struct {
	Bits   uint    // 2 to this many features are told apart
	Epochs int     // how often each row is shown
	Rate   float64 // how far one row moves the weights
	Decay  float64 // how strongly weights are kept small
	Smooth float64 // how much of each row's probability belongs to the other classes: labels are wrong now and then
	Sure   float64 // how many times surer the model is than it was trained to be, which takes back what Smooth made it doubt; 0 is 1
}

// Train fits a model to rows. It shows them in an order that depends on their
// number and order only, and rounds every product by itself, so that machines
// which multiply and add in one step do not differ from those which cannot.
func Train(rows []Row, classes []string, o Options) (*Model, error) {
	k := len(classes)
	type example struct {
		fs     []feature
		class  int
		weight float64
	}
	var xs []example
	for _, r := range rows {
		c := slices.Index(classes, r.Class)
		if c < 0 {
			return nil, fmt.Errorf("%q is of class %q, which is none of %v", r.Text, r.Class, classes)
		}
		w := r.Weight
		if w == 0 {
			w = 1
		}
		xs = append(xs, example{features(o.Bits, r.Text, r.Hints), c, w})
	}
	weights := make([]float64, k<<o.Bits)
	squares := make([]float64, k<<o.Bits)
	bias, biasSq := make([]float64, k), make([]float64, k)
	order := make([]int, len(xs))
	for i := range order {
		order[i] = i
	}
	state := uint64(42)
	next := func(n int) int { // splitmix64
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return int((z ^ z>>31) % uint64(n))
	}
	sums := make([]float64, k)
	for range o.Epochs {
		for i := len(order) - 1; i > 0; i-- {
			j := next(i + 1)
			order[i], order[j] = order[j], order[i]
		}
		for _, i := range order {
			x := &xs[i]
			copy(sums, bias)
			for _, f := range x.fs {
				row := weights[int(f.at)*k:][:k]
				for c, w := range row {
					sums[c] += float64(f.value * w)
				}
			}
			p := softmax(sums)
			for c := range p {
				want := o.Smooth / float64(k)
				if c == x.class {
					want += 1 - o.Smooth
				}
				g := float64(x.weight * (p[c] - want))
				if math.Abs(g) < 1e-4 {
					continue
				}
				for _, f := range x.fs {
					at := int(f.at)*k + c
					d := float64(g*f.value) + float64(o.Decay*weights[at])
					squares[at] += float64(d * d)
					weights[at] -= float64(o.Rate*d) / (math.Sqrt(squares[at]) + 1e-6)
				}
				biasSq[c] += float64(g * g)
				bias[c] -= float64(.1*o.Rate*g) / (math.Sqrt(biasSq[c]) + 1e-6)
			}
		}
	}
	m := &Model{Classes: slices.Clone(classes), bits: o.Bits, weights: make([]int8, len(weights)), scale: make([]float64, k), bias: bias}
	for c := range k {
		// A few weights are far larger than the rest; to cut them costs less than coarse steps for all.
		var all []float64
		for at := c; at < len(weights); at += k {
			if weights[at] != 0 {
				all = append(all, math.Abs(weights[at]))
			}
		}
		if len(all) == 0 {
			m.scale[c] = 1
			continue
		}
		slices.Sort(all)
		m.scale[c] = float64(float32(all[len(all)-1-len(all)/2000] / 127))
		for at := c; at < len(weights); at += k {
			m.weights[at] = int8(max(-127, min(127, math.Round(weights[at]/m.scale[c]))))
		}
		m.bias[c] = float64(float32(bias[c]))
	}
	for c := range k {
		if o.Sure > 0 {
			m.scale[c], m.bias[c] = float64(float32(m.scale[c]*o.Sure)), float64(float32(m.bias[c]*o.Sure))
		}
	}
	return m, nil
}
