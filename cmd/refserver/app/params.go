package app

import (
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// The limits of the parameters. They keep a mistyped number from occupying a
// server or its memory permanently.
const (
	maxMS     = 600_000   // 10 minutes
	maxKB     = 64 << 10  // 64 MiB
	maxChunks = 1_000_000 // per stream
)

// params parses the query of one request. It keeps the first error in err.
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

// number returns the decimal parameter name, which must be from 0 to highest.
func (p *params) number(name string, highest int) int {
	n, err := strconv.Atoi(p.values.Get(name))
	if p.err == nil && (err != nil || n < 0 || n > highest) {
		p.err = fmt.Errorf("parameter %s=%q is not a whole number from 0 to %d, as in ?%s=50",
			name, p.values.Get(name), highest, name)
	}
	return n
}

// millis returns the parameter ms as a duration.
func (p *params) millis() time.Duration {
	return time.Duration(p.number("ms", maxMS)) * time.Millisecond
}

// refuse sends the error of the parameters as the response.
func (p *params) refuse(w Writer) Pending { return text(w, 400, p.err.Error()+"\n") }
