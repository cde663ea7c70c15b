package queue

// Abandon does what the death of a worker does: no more heartbeats, no answer.
func Abandon(j *Job) { j.stop() }
