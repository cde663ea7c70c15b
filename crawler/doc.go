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
//	act (all but idle), checkpoint "after"         each press with the picture before and after
//	reload, checkpoint "reload"
//	one inner page, checkpoint "inner"
//	accept only: the way back, "withdrawn", reload, "return"
//
// A press takes a control that can be seen. A dialog over it is put aside first,
// where the chooser knows how; what a way back opened out of sight, at the top of
// the page, is turned back to.
//
// Idle touches nothing. Where nothing asks in idle, the mouse is moved and its
// wheel turned before the others give up, because some banners wait for that.
// Two more scenarios are run where the banner suggests that they count: it is
// closed without a choice, or scrolled past. When a page counts as settled is in
// docs/adr/0010.
//
// A checkpoint records the cookie jar, storage of every frame, what the page's
// consent interfaces say, and where it matters the composed page tree and a
// picture. Between checkpoints events are recorded as they come: requests, sockets,
// and what the instruments in every document and worker report of writes and
// reads (docs/adr/0009). In the end each stored item is laid beside the response
// or the write that set it; what nothing explains stays unattributed.
//
// A site that fails is data ([pecrawler.Load], Missing); an error is our fault,
// and the visit goes back to the queue.
package crawler
