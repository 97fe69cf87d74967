// Package patience asks what may never answer. A read below /proc/PID can wait
// for that process: its command line lies in its memory, and whoever holds the
// lock of that memory holds up every reader. A process can do so for ever, by
// itself or because its file system hangs.
//
// A Pool asks in goroutines of its own, each of which takes a thread while it
// waits, and waits for a short time only. Who has not answered by then is left
// alone: the goroutine stays behind until the kernel lets go of it, nobody is
// asked again meanwhile, and later with growing pauses. How many may stay behind
// is bounded, for each user and in all, so that the others are still asked.
package patience
