package metrics

import (
	"fmt"
	"testing"
	"time"

	"lapwing/collectors/request"
)

// loaded returns an aggregator with 20 services and a number of label sets, and
// a request of each.
func loaded(sets int) (*Aggregator, []*request.Request) {
	a := aggregator(sets)
	var all []*request.Request
	for i := range sets {
		r := finished(fmt.Sprint("service ", i%20))
		r.Route, r.Detail = fmt.Sprint("/", i), sized{100, 100}
		r.WriteLast += request.Stamp(i) * request.Stamp(time.Millisecond)
		a.Export(r)
		all = append(all, r)
	}
	return a, all
}

// BenchmarkExport measures the cost of a request.
func BenchmarkExport(b *testing.B) {
	for _, sets := range []int{1, 500} {
		b.Run(fmt.Sprint(sets, " sets"), func(b *testing.B) {
			a, all := loaded(sets)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				a.Export(all[i%len(all)])
			}
		})
	}
}

// BenchmarkRead measures the cost of a snapshot.
func BenchmarkRead(b *testing.B) {
	a, _ := loaded(500)
	s := new(Snapshot)
	b.ReportAllocs()
	for b.Loop() {
		a.Read(s)
	}
}
