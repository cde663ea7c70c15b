package crawler

import (
	"strings"

	pc "pecrawler"
	"pecrawler/crawler/egress"
)

// hosts lays the egress proxy's list of hosts beside what Chrome reported.
func hosts(c *pc.Capture, seen []egress.Host) []pc.Host {
	var out []pc.Host
	index := map[string]int{}
	for _, h := range seen {
		index[h.Name] = len(out)
		out = append(out, pc.Host{Name: h.Name, CNAMEs: h.CNAMEs, Unknown: h.Unknown, Addresses: h.Addresses, Connections: h.Connections, Refused: h.Refused})
	}
	count := func(address string) {
		name := hostOf(address)
		i, ok := index[name]
		if !ok {
			i = len(out)
			index[name] = i
			out = append(out, pc.Host{Name: name})
		}
		out[i].Requests++
	}
	for i := range c.Requests {
		if r := &c.Requests[i]; strings.HasPrefix(r.URL, "http") && r.From == "" {
			count(r.URL)
		}
	}
	for i := range c.Sockets {
		count(c.Sockets[i].URL)
	}
	return out
}
