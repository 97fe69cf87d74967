// Package patience limits the wait for reads that may never return. A read below
// /proc/PID can wait for that process: its command line is in its memory, and a
// thread that holds the lock of this memory blocks every reader. A process can do
// so for ever, on purpose or because its file system hangs.
//
// A Pool reads in goroutines of its own and waits only for a short time. Each of
// these goroutines occupies a thread while it is blocked. If a process has not
// answered in time, its goroutine remains until the kernel releases it. The process
// is not asked again meanwhile, and after that only with growing pauses. The number
// of goroutines that remain is limited, for each user and in total, so that other
// processes are still asked.
package patience
