package worker

import (
	"bytes"
	"cmp"
	"strings"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
	"lapwing/probes/socket/snapshot"
)

// active counts the requests in progress by their method. Methods that were
// seen stay, at zero: they are few, and a gauge that goes away says less.
type active struct {
	methods map[string]int
	http    bool // requests of HTTP were seen
}

func (a *active) reset() {
	for method := range a.methods {
		a.methods[method] = 0
	}
}

// began takes a request in progress. Its method can be told where the kernel
// follows the connection as one of HTTP.
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

// ended takes a finished request: others like it are to be expected.
func (a *active) ended(r *request.Request) {
	method := protocol.MethodOther
	if strings.HasPrefix(r.Protocol, "http/") {
		a.http, method = true, cmp.Or(r.Method, method)
	}
	if _, ok := a.methods[method]; !ok && len(a.methods) < maxMethods {
		a.methods[method] = 0
	}
}

// maxMethods is more than there are well-known ones.
const maxMethods = 16
