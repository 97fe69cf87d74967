package harness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Record is one line of `lapwing trace --format json`. What the agent left out
// is a nil pointer or an empty string. The decoder refuses a field that is not
// listed here.
type Record struct {
	TraceID      string `json:"trace_id"`
	SpanID       string `json:"span_id"`
	ParentSpanID string `json:"parent_span_id"`

	Start    string `json:"start"`
	Service  string `json:"service"`
	Protocol string `json:"protocol"`
	Method   string `json:"method"`
	Path     string `json:"path"`
	Status   int    `json:"status"`

	Duration   *int64 `json:"duration_ns"`
	Queue      *int64 `json:"queue_ns"`
	Parse      *int64 `json:"parse_ns"`
	App        *int64 `json:"app_ns"`
	WriteBack  *int64 `json:"write_back_ns"`
	Backlog    *int64 `json:"backlog_ns"`
	Dispatch   *int64 `json:"dispatch_ns"`
	ClientWait *int64 `json:"client_wait_ns"`
	Blocked    *int64 `json:"blocked_ns"`
	Produce    *int64 `json:"produce_ns"`
	Drain      *int64 `json:"drain_ns"`

	RequestBytes  *uint64 `json:"request_bytes"`
	ResponseBytes *uint64 `json:"response_bytes"`

	PID         int    `json:"pid"`
	TID         int    `json:"tid"`
	Comm        string `json:"comm"`
	AcceptorTID int    `json:"acceptor_tid"`
	Local       string `json:"local"`
	Peer        string `json:"peer"`

	Boundary string   `json:"boundary"`
	Flags    []string `json:"flags"`
	Error    string   `json:"error"`

	Calls []Call `json:"calls"`

	// Printed is when the test read the line.
	Printed time.Time `json:"-"`
	// Line is the line itself.
	Line string `json:"-"`
}

// Call is a call that the server made for a request.
type Call struct {
	SpanID        string `json:"span_id"`
	Start         string `json:"start"`
	Duration      *int64 `json:"duration_ns"`
	End           string `json:"end"`
	Connect       *int64 `json:"connect_ns"`
	Peer          string `json:"peer"`
	Protocol      string `json:"protocol"`
	Method        string `json:"method"`
	Path          string `json:"path"`
	Status        int    `json:"status"`
	RequestBytes  uint64 `json:"request_bytes"`
	ResponseBytes uint64 `json:"response_bytes"`
	Error         string `json:"error"`
}

// ParseRecord decodes one line and checks the rules for every record.
func ParseRecord(line []byte) (Record, error) {
	r := Record{Line: string(line), Printed: time.Now()}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, fmt.Errorf("not a record: %w: %s", err, line)
	}
	return r, r.check()
}

// check checks the documented rules that apply to every request.
func (r Record) check() error {
	phases := []*int64{r.Queue, r.Parse, r.App, r.WriteBack}
	sum := int64(0)
	for i, p := range phases {
		if p == nil {
			if r.Duration != nil || slices.ContainsFunc(phases[i:], func(p *int64) bool { return p != nil }) {
				return fmt.Errorf("phase %d is missing before others: %s", i, r.Line)
			}
			return nil
		}
		if *p < 0 {
			return fmt.Errorf("phase %d is negative: %s", i, r.Line)
		}
		sum += *p
	}
	if r.Duration == nil || *r.Duration != sum {
		return fmt.Errorf("the phases add up to %d ns, which is not the duration: %s", sum, r.Line)
	}
	return nil
}

// Has reports whether the record carries the flag.
func (r Record) Has(flag string) bool { return slices.Contains(r.Flags, flag) }

// Arrived returns the wall time at which the request arrived.
func (r Record) Arrived() (time.Time, error) { return time.Parse(time.RFC3339Nano, r.Start) }
