package crawler

import (
	"cmp"
	"slices"

	jsonv2 "github.com/chromedp/cdproto/cdp/jsonv2"
	"github.com/chromedp/cdproto/domstorage"

	pc "pecrawler"
)

const maxAreaEvents = 5000

// areas gathers the browser's own events about local and session storage. They
// have no stack, and no page can evade them: they are the second witness of
// what the instruments report, and see what is set as a property of a storage
// object, which calls no function.
type areas struct {
	sets   []pc.Write
	events int
}

// area records one event of the DOMStorage domain, which comes on the reader.
func (t *tab) area(s session, method string, params jsonv2.Value) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.areas.events++; t.areas.events > maxAreaEvents {
		s.Send("DOMStorage.disable", nil)
		return
	}
	var id *domstorage.StorageID
	var key, value string
	switch method {
	case "DOMStorage.domStorageItemAdded":
		e, _ := decode[domstorage.EventDomStorageItemAdded](params)
		id, key, value = e.StorageID, e.Key, e.NewValue
	case "DOMStorage.domStorageItemUpdated":
		e, _ := decode[domstorage.EventDomStorageItemUpdated](params)
		id, key, value = e.StorageID, e.Key, e.NewValue
	}
	if id == nil {
		return
	}
	w := pc.Write{Kind: pc.SessionStorage, Op: "set", Host: hostOf(cmp.Or(id.SecurityOrigin, string(id.StorageKey))), Name: cut(key, maxName), Value: cut(value, maxValue), At: t.at()}
	if id.IsLocalStorage {
		w.Kind = pc.LocalStorage
	}
	t.areas.sets = append(t.areas.sets, w)
}

// unreported adds to the capture's writes those that no instrument reported.
// They have no script: nobody saw who made them.
func (a *areas) unreported(c *pc.Capture) {
	type fact struct {
		kind              pc.StorageKind
		host, name, value string
	}
	of := func(w pc.Write) fact { return fact{w.Kind, w.Host, w.Name, cut(w.Value, 1000)} }
	known := map[fact]bool{}
	for _, w := range c.Writes {
		known[of(w)] = true
	}
	for _, w := range a.sets {
		if f := of(w); !known[f] && c.Canary.Beyond[w.Kind] == 0 && len(c.Writes) < maxWrites { // beyond the budget nothing is known of who wrote
			known[f] = true
			c.Writes = append(c.Writes, w)
		}
	}
	slices.SortStableFunc(c.Writes, func(a, b pc.Write) int { return cmp.Compare(a.At, b.At) })
	for i := range c.Writes {
		c.Writes[i].ID = i
	}
}
