package worker

import (
	"bytes"
	"cmp"
	"strings"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
	"lapwing/probes/socket/snapshot"
)

// active counts the requests in progress by their method. Methods that were seen
// stay, with a count of zero: they are few, and a gauge that disappears says less.
type active struct {
	methods map[string]int
	http    bool // HTTP requests were seen
}

func (a *active) reset() {
	for method := range a.methods {
		a.methods[method] = 0
	}
}

// began adds a request in progress. Its method is known if the kernel follows the
// connection as HTTP.
func (a *active) began(work snapshot.Work, head []byte) {
	method := protocol.MethodOther
	switch work {
	case snapshot.WorkReading, snapshot.WorkComputing, snapshot.WorkResponding:
		a.http = true
		name, _, _ := bytes.Cut(bytes.TrimLeft(head, "\r\n"), []byte(" "))
		method = protocol.InternMethod(name)
	}
	a.methods[method]++
}

// ended takes a finished request and adds its method, because more of the same kind
// are likely.
func (a *active) ended(r *request.Request) {
	method := protocol.MethodOther
	if strings.HasPrefix(r.Protocol, "http/") {
		a.http, method = true, cmp.Or(r.Method, method)
	}
	if _, ok := a.methods[method]; !ok && len(a.methods) < maxMethods {
		a.methods[method] = 0
	}
}

// maxMethods limits the methods. It is more than the number of well-known ones.
const maxMethods = 16
