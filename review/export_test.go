package review

import (
	"maps"
	"slices"
)

// Rights is the table that tests go through.
func Rights() map[string][]Role { return rights() }

// Routes are the patterns that are served to people.
func (h *Handler) Routes() []string { return slices.Sorted(maps.Keys(h.pages())) }
