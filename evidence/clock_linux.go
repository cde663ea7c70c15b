package evidence

import "golang.org/x/sys/unix"

// readClock asks the kernel whether its clock is synchronised.
func readClock() Clock {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return Clock{Source: "adjtimex: " + err.Error()}
	}
	return Clock{Source: "adjtimex", Synchronised: state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, MaxErrorUS: int64(t.Maxerror)}
}
