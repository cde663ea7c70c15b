package classifier

import (
	pc "pecrawler"
)

// looks measures how prominent a control is within its banner.
func looks(t *tree, banner, node int) *pc.Looks {
	return nil
}
