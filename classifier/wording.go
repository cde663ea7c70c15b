package classifier

import (
	pc "pecrawler"
)

// wording reads the banners and the policies for what rules ask about.
func (c *Classifier) wording(a *pc.Annotations, look pc.Look) {
}
