package app

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/clock"
)

// sleep blocks the thread in the kernel, like a synchronous application.
func (a *App) sleep(w Writer, r *Request) Pending {
	p := parseParams(r)
	d := p.millis()
	if p.err != nil {
		return p.refuse(w)
	}
	clock.Sleep(d)
	return text(w, 200, "slept "+d.String()+"\n")
}

// cpu computes until the thread has used the requested CPU time.
func (a *App) cpu(w Writer, r *Request) Pending {
	p := parseParams(r)
	d := p.millis()
	if p.err != nil {
		return p.refuse(w)
	}
	burn(d)
	return text(w, 200, "used "+d.String()+" of CPU\n")
}

// lock computes while it holds the only lock of the process, like code under an
// interpreter lock.
func (a *App) lock(w Writer, r *Request) Pending {
	p := parseParams(r)
	d := p.millis()
	if p.err != nil {
		return p.refuse(w)
	}
	a.interpreter.Lock()
	burn(d)
	a.interpreter.Unlock()
	return text(w, 200, "held the lock for "+d.String()+"\n")
}

// poll holds the response open. Meanwhile an event loop continues with other
// work, but the thread of a blocking server cannot.
func (a *App) poll(w Writer, r *Request) Pending {
	p := parseParams(r)
	d := p.millis()
	if p.err != nil {
		return p.refuse(w)
	}
	return Pending{After: d, Then: func(w Writer) Pending {
		return text(w, 200, "held open for "+d.String()+"\n")
	}}
}

func (a *App) upload(w Writer, r *Request) Pending {
	return text(w, 200, strconv.FormatInt(r.BodySize, 10)+"\n")
}

// burn uses d of CPU time on the calling thread. The goroutine must be locked
// to the thread.
func burn(d time.Duration) {
	for end := threadTime() + d; threadTime() < end; {
		spin()
	}
}

// spin computes for a few microseconds, the time between two clock reads.
func spin() {
	x := uint64(1)
	for range 2000 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	sinkhole = x
}

// sinkhole keeps the compiler from removing the computation. Threads race on
// it, and no code reads it.
//
//lint:ignore unused it is written to, and no more
var sinkhole uint64

// threadTime returns the CPU time that the calling thread has used.
func threadTime() time.Duration {
	var ts unix.Timespec
	// The clock of the calling thread always exists.
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}
