package assemble

import (
	"sync"

	"lapwing/collectors/protocol"
)

// outstanding counts, per connection that is framed here, the requests whose
// response has not ended. Unlike the rest of an Assembler it is safe for
// concurrent use: whoever looks at the worker pools asks.
type outstanding struct {
	mu     sync.Mutex
	byConn map[uint64]int
	all    int
}

// maxOutstanding bounds the requests of all connections that are framed here. What
// comes of one event may be more than that.
const maxOutstanding = 8192

func (o *outstanding) full() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all >= maxOutstanding
}

// note keeps how many requests of a connection are outstanding.
func (o *outstanding) note(conn uint64, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all += min(n, protocol.MaxKept) - min(o.byConn[conn], protocol.MaxKept)
	if n > 0 {
		o.byConn[conn] = n
	} else {
		delete(o.byConn, conn)
	}
}

// Outstanding is how many requests of a connection, which is framed here, wait
// for their response to end, as far as the connection's events have come.
func (a *Assembler) Outstanding(conn uint64) int {
	a.outstanding.mu.Lock()
	defer a.outstanding.mu.Unlock()
	return a.outstanding.byConn[conn]
}
