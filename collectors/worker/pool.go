package worker

import "time"

// State is what a worker does now.
type State string

// The states. A worker without a request that is not held by a connection is
// available, whatever it waits for.
const (
	Available State = "available"
	Busy      State = "busy" // it works on a request
	Held      State = "held" // it is blocked while it reads a connection that has no request
	// Unknown: other threads have read requests of the pool in advance, fewer than
	// there are workers, and one of them may belong to this worker.
	Unknown State = "unknown"
)

// Snapshot is the worker pool of one service at one moment. Counts and times are
// sums since the agent first saw the service, including workers that have ended.
// They never decrease, so the difference of two snapshots is what happened between
// them.
type Snapshot struct {
	Service string `json:"service"`
	// Unconfirmed says that no request of a known protocol was seen yet, only
	// connections that the server has not answered since the agent's start.
	Unconfirmed bool      `json:"unconfirmed,omitempty"`
	Time        time.Time `json:"time"` // of the look

	// Hidden says that the work is done by threads that never touch a connection.
	// Their number, and how many of them are busy, is not known. The figures about
	// workers describe the threads that read and write for them.
	Hidden bool `json:"hidden,omitempty"`

	Workers   int `json:"workers"`   // how many there are now
	Busy      int `json:"busy"`      // of these, how many work on a request
	Held      int `json:"held"`      // of these, how many are held by an idle connection
	Available int `json:"available"` // of these, how many are neither
	// Loops is how many of the busy workers are event loops, which can take more
	// requests.
	Loops int `json:"loops,omitempty"`
	// InFlight is how many requests are being worked on. It is above Busy for event
	// loops, and if a server reads requests before a worker is free.
	InFlight int `json:"in_flight"`
	// Active is InFlight by method: a well-known one or protocol.MethodOther, which
	// also stands for a method that is not known yet.
	Active map[string]int `json:"active"`
	HTTP   bool           `json:"-"` // the service uses HTTP
	// Dispatch is how many requests wait after accept: they are in the receive
	// queue of an accepted connection, and no thread has read them.
	Dispatch int `json:"dispatch"`
	// MaxBusy is the highest number of workers that were busy at the same time.
	MaxBusy int `json:"max_busy"`
	// Needed is how many workers would have been busy on average over about the
	// last 10 s, if no request had waited: arrivals per second times the time that
	// one takes. It is nil while not known. NeededAtLeast says that more requests
	// arrived, because connection attempts were dropped meanwhile.
	Needed        *float64 `json:"needed"`
	NeededAtLeast bool     `json:"needed_at_least,omitempty"`

	// Utilisation is the share of the workers' time in which they were busy, 0 to
	// 1, over about the last 10 s. BusyTime divided by WorkerTime is the same for
	// any other period.
	Utilisation float64       `json:"utilisation"`
	BusyTime    time.Duration `json:"busy_time_ns"`
	WorkerTime  time.Duration `json:"worker_time_ns"` // the sum of the workers' ages
	CPUTime     time.Duration `json:"cpu_time_ns"`

	Served  uint64        `json:"served"`     // finished requests
	Longest time.Duration `json:"longest_ns"` // the longest time that a worker spent on one of them
	// Uneven compares the worker that served most with the average of the workers
	// that exist now: how many times more requests it has served. 1 is even.
	Uneven float64 `json:"uneven"`

	Starts   uint64 `json:"starts"`   // workers that appeared after the agent's start
	Exits    uint64 `json:"exits"`    // workers that ended
	Recycled uint64 `json:"recycled"` // starts with an exit within 10 s before or after

	// BacklogLen, BacklogLimit and Overflows are sums over Listeners.
	BacklogLen   int `json:"backlog_len"`
	BacklogLimit int `json:"backlog_limit"`
	BacklogMax   int `json:"backlog_max"` // the highest length seen
	// Overflows counts the connection attempts that the kernel dropped at the
	// listeners since the agent's start: SYNs and ends of handshakes that found the
	// backlog full. A client repeats what was dropped, and it is counted again.
	Overflows uint64 `json:"overflows"`
	// OverflowsAtLeast says that Overflows is a minimum: there may have been more.
	OverflowsAtLeast bool       `json:"overflows_at_least,omitempty"`
	Listeners        []Listener `json:"listeners"`

	// Untracked counts the requests of workers beyond the limit of workers per
	// service. They are in Served and BusyTime but not in PerWorker.
	Untracked uint64   `json:"untracked"`
	Observed  Observed `json:"-"`
	// Settled is the moment up to which the times are complete.
	Settled   time.Time `json:"-"`
	Ended     uint64    `json:"-"` // requests that had ended by Settled
	PerWorker []Worker  `json:"per_worker"`
}

// Observed is the time since when every request of a pool that ended was seen, with
// the totals at that time. Some of the requests that ended earlier had been in
// flight or queued at the agent's start.
type Observed struct {
	Settled              time.Time // zero if this time has not come yet
	Ended                uint64
	BusyTime, WorkerTime time.Duration
}

// Listener is one address at which a service listens.
type Listener struct {
	Address   string `json:"address"` // 127.0.0.1:8080, unix:/run/app.sock
	Len       int    `json:"backlog_len"`
	Limit     int    `json:"backlog_limit"`
	Max       int    `json:"backlog_max"`
	Overflows uint64 `json:"overflows"` // TCP only; the kernel has no such count for unix sockets
	AtLeast   bool   `json:"overflows_at_least,omitempty"`
}

// Worker is one worker of a pool.
type Worker struct {
	PID   uint32 `json:"pid"`
	TID   uint32 `json:"tid"` // 0 if the busy thread of PID is not known yet
	Comm  string `json:"comm"`
	State State  `json:"state"`
	Loop  bool   `json:"loop"` // an event loop: it works on several requests at once

	InFlight int `json:"in_flight"`
	// Phase and Age describe the oldest request in flight: parse, app or
	// write_back, and the time since its first byte was read. Queue is how long it
	// had waited before. They are absent if the request was in flight before the
	// agent started and the kernel does not report them.
	Phase string        `json:"phase,omitempty"`
	Age   time.Duration `json:"age_ns,omitempty"`
	Queue time.Duration `json:"queue_ns,omitempty"`

	Served   uint64        `json:"served"`
	BusyTime time.Duration `json:"busy_time_ns"`
	CPUTime  time.Duration `json:"cpu_time_ns"` // of the thread, since it was first seen
	Longest  time.Duration `json:"longest_ns"`
	Since    time.Time     `json:"since"` // its start, or the agent's if that was later

	Process *Process `json:"process,omitempty"` // absent before the first sample
}

// Process is what a worker's process uses. It is sampled every few seconds.
type Process struct {
	CPUTime     time.Duration `json:"cpu_time_ns"` // user and system, since the process started
	RSS         uint64        `json:"rss_bytes"`
	Descriptors int           `json:"descriptors"`
	Threads     int           `json:"threads"`
}
