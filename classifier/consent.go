package classifier

import (
	pc "pecrawler"
)

// readings understands what the consent interfaces of the page said.
func readings(capt *pc.Capture) []pc.Reading {
	return nil
}
