package classifier

import (
	pc "pecrawler"
)

// signals finds, in one capture, behaviour that more than one fact shows. The
// purposes of its items have been formed by then.
func (c *Classifier) signals(capt *pc.Capture, a *pc.Annotations) []pc.Signal {
	return nil
}
