// Package crawler turns a [pecrawler.Visit] into captures: what headless Chrome
// showed in each scenario. It is the only package that knows Chrome.
//
// A visit begins with a plain HTTP look by colly (is the site there, where does
// it lead, what do its robots rules say, which inner pages and policies does it
// link), because that costs a hundredth of a browser's time. Then each scenario
// runs in a browser context of its own that starts empty and is thrown away, so
// that nothing carries over. All traffic of a scenario goes through an egress
// proxy of its own, see [pecrawler/crawler/egress].
//
// Facts only. Nothing here knows what a tracker or a lawful banner is. The one
// choice that cannot wait is which control to press; for that the crawler asks
// the [Chooser] that it is given, and records what was pressed, where, on whose
// advice, and what followed.
//
// The order within a scenario:
//
//	navigate, settle, checkpoint "settled"         the state before any choice
//	act (reject and accept only), checkpoint "after"
//	reload, checkpoint "reload"
//	one inner page, checkpoint "inner"
//
// A checkpoint records the cookie jar, storage of every frame, what the page's
// consent interfaces say, and where it matters the composed page tree and a
// picture. Between checkpoints events are recorded as they come: requests, sockets,
// and what the instruments in every document and worker report of writes and
// reads (docs/adr/0009). In the end each stored item is laid beside the response
// or the write that set it; what nothing explains stays unattributed. Settled means: a floor of time
// since the load event has passed, and no request is in flight nor started for
// a second; a cap ends the wait. Streams older than five seconds do not count.
//
// A site that fails is data ([pecrawler.Load], Missing); an error is our fault,
// and the visit goes back to the queue.
package crawler
