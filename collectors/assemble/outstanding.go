package assemble

import (
	"sync"

	"lapwing/collectors/protocol"
)

// outstanding counts the requests whose response has not ended, for each connection
// that is framed by the agent. Unlike the rest of an Assembler it is safe for
// concurrent use, because the collector of worker pools reads it.
type outstanding struct {
	mu     sync.Mutex
	byConn map[uint64]int
	all    int
}

// maxOutstanding limits the requests of all connections that are framed by the
// agent. One event may exceed it.
const maxOutstanding = 8192

func (o *outstanding) full() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all >= maxOutstanding
}

// note records how many requests of a connection are outstanding.
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

// Outstanding returns how many requests of a connection wait for their response to
// end, according to the events seen so far. It counts only connections that are
// framed by the agent. It is safe for concurrent use.
func (a *Assembler) Outstanding(conn uint64) int {
	a.outstanding.mu.Lock()
	defer a.outstanding.mu.Unlock()
	return a.outstanding.byConn[conn]
}
