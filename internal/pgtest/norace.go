//go:build !race

package pgtest

// Race tells that the race detector is at work, which makes everything dearer than it is.
const Race = false
