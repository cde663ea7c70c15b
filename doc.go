// Package pecrawler holds the words of the system: what a visit is, what a
// capture records, what an annotation claims, what a finding says.
//
// The data goes one way, and each stage has a folder of its own:
//
//	queue      a Visit is taken from NATS JetStream
//	crawler    Chrome shows the site in three scenarios: three Captures (facts)
//	evidence   the captures are sealed in a bundle named by its digest, and re-opened
//	classifier the re-opened captures get Annotations (opinions, each with its basis)
//	rules      the Dossier of both is judged: Findings, and a Verdict
//	queue      the verdict is published; only then is the visit acknowledged
//	store      verdicts are indexed
//	review     people look, and decide
//
// This package imports nothing but the standard library and does no input or
// output, so that every stage can share its types and no stage needs another.
//
// Three kinds of statement are kept apart. A [Capture] holds facts: raw URLs,
// headers, boxes, pixels; never "third party" or "tracker". An annotation holds
// opinions, each a [Claim] with confidence, basis and references into the
// evidence. A [Finding] holds a judgement by a rule in force on the day of the
// capture. Because of that, old evidence can be judged again by new rules.
package pecrawler
