package stitch

import (
	"fmt"
	"testing"
	"time"

	"lapwing/collectors/request"
)

// BenchmarkBusyProxy has one process with 50 requests in progress and 10,000 per
// second. Either all are alike, or each has its own target.
func BenchmarkBusyProxy(b *testing.B) {
	for _, alike := range []bool{true, false} {
		b.Run(fmt.Sprintf("alike=%t", alike), func(b *testing.B) {
			const gap, long = request.Stamp(100 * time.Microsecond), request.Stamp(5 * time.Millisecond)
			s := New(Options{Export: func(*request.Request) {}})
			at := request.Now()
			for i := range b.N {
				at += gap
				target := "/same"
				if !alike {
					target = fmt.Sprintf("/n/%d", i)
				}
				conn := uint64(i)*2 + 1
				c := &request.Call{PID: 1, TID: 1, Start: at + gap, SentFirst: at + gap, GotLast: at + long - gap}
				c.Links = request.CallLinks{ID: id(conn + 1), For: id(conn), Evidence: request.EvidenceCounted, Open: 50}
				r := &request.Request{Conn: conn, Seq: 1, PID: 1, TID: 1, WriterTID: 1}
				r.ReadFirst, r.ReadLast, r.WriteFirst, r.WriteLast = at, at, at+long, at+long
				r.Links = request.Links{Calls: true, Cause: id(conn + 1)}
				s.Call(passing(c, target))
				s.Request(asking(r, target))
				if i%1000 == 0 {
					s.Tick(at)
				}
			}
		})
	}
}
