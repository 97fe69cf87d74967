package app

import (
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// Bounds of the parameters. They keep a mistyped number from occupying a
// server or its memory for good.
const (
	maxMS     = 600_000   // 10 minutes
	maxKB     = 64 << 10  // 64 MiB
	maxChunks = 1_000_000 // of a stream
)

// params reads the query of one request. The first error is kept in err.
type params struct {
	values url.Values
	err    error
}

func parseParams(r *Request) *params {
	values, err := url.ParseQuery(string(r.Query))
	if err != nil {
		err = fmt.Errorf("the query string is malformed: %w", err)
	}
	return &params{values: values, err: err}
}

// number is the decimal parameter name, from 0 to highest.
func (p *params) number(name string, highest int) int {
	n, err := strconv.Atoi(p.values.Get(name))
	if p.err == nil && (err != nil || n < 0 || n > highest) {
		p.err = fmt.Errorf("parameter %s=%q is not a whole number from 0 to %d, as in ?%s=50",
			name, p.values.Get(name), highest, name)
	}
	return n
}

// millis is the parameter ms as a duration.
func (p *params) millis() time.Duration {
	return time.Duration(p.number("ms", maxMS)) * time.Millisecond
}

// refuse answers with what is wrong with the parameters.
func (p *params) refuse(w Writer) Pending { return text(w, 400, p.err.Error()+"\n") }
