package console

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
)

func withCalls() *request.Request {
	r := served("shop", "/cart", 200, 0, 0, 500*time.Millisecond, 0)
	at := r.ReadLast
	postgres := request.Endpoint{Addr: netip.MustParseAddrPort("127.0.0.1:5432")}
	r.Calls = []*request.Call{
		{Start: at, GotLast: at + request.Stamp(453*time.Millisecond), Peer: postgres, Protocol: "postgres"},
		{Start: at, GotLast: at + 1, Peer: postgres, Method: "GET", Shown: true},
		{Start: at, GotLast: at + 1, Peer: postgres, Method: "GET", Path: []byte("/events"), Status: 200, Ending: request.CallEndUnknown},
		{Start: at, GotLast: at + request.Stamp(2*time.Millisecond), Peer: postgres, Method: "GET", Path: []byte("/gate"), Status: 403},
		{Start: at, Closed: at + request.Stamp(20*time.Microsecond), Peer: request.Endpoint{IsUn: true, Unix: []byte("/run/app.sock")}, Error: request.ErrorBacklogFull},
	}
	return r
}

// TestCallsStandBelowTheirRequest checks that calls are shown below their
// request, unless their other end has a line of its own.
func TestCallsStandBelowTheirRequest(t *testing.T) {
	_, below, _ := strings.Cut(string(textOf(120, false, withCalls())), "/cart")
	lines := strings.Split(strings.TrimSuffix(below, "\n"), "\n")[1:]
	want := []string{
		"└ postgres 127.0.0.1:5432 453ms",
		"200 └ GET 127.0.0.1:5432 /events end_unknown",
		"403 └ GET 127.0.0.1:5432 /gate 2.00ms",
		"└ call unix:/run/app.sock 20.0µs backlog_full",
	}
	require.Len(t, lines, len(want), "%d lines below the request, want %d: %q", len(lines), len(want), lines)
	for i, line := range lines {
		assert.Equal(t, want[i], strings.Join(strings.Fields(line), " "), "line %d", i)
	}
}

func TestCallsFit(t *testing.T) {
	for width := minWidth; width <= 200; width += 7 {
		for _, line := range strings.Split(string(textOf(width, true, withCalls())), "\n") {
			assert.LessOrEqual(t, ansi.StringWidth(line), width, "too many cells: %q", line)
		}
	}
}

// TestCallsAreNotCountedAsRequests checks the count of printed requests, which
// is a count of lines.
func TestCallsAreNotCountedAsRequests(t *testing.T) {
	var l = lines{layout: newLayout(120), times: new(request.Clock)}
	text := l.appendLine(l.appendLine(nil, withCalls()), withCalls())
	assert.EqualValues(t, 2, countRequests(text), "requests in %q", text)
	assert.EqualValues(t, 1, countRequests(text[:len(text)/2]))
}
