package debug

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/wire"
)

const head = "GET /a?secret=1 HTTP/1.1\r\nHost: x\x1b[31m\r\n\r\n"

// printed returns what a Printer prints for a record and an event.
func printed(t *testing.T, opts Options) []string {
	var out bytes.Buffer
	p := New(&out, opts)
	f := wire.RecordFields{
		Conn: 7, Seq: 2, Family: unix.AF_INET, Local: [16]uint8{127, 0, 0, 1}, LocalPort: 80, Peer: [16]uint8{10, 0, 0, 9}, PeerPort: 4000,
		Arrived: 1000, WriteLast: 5000,
	}
	for i, c := range "nginx" {
		set(&f.Comm[i], c)
	}
	f.Out.Status = 200
	p.HandleRecord(wire.Final, wire.Compose(f, nil, []byte(head), []byte("HTTP/1.1 200 OK\r\n\r\n")))
	p.HandleEvent(wire.ComposeEvent(wire.EventFields{Conn: 7, Number: 1}, wire.Read, []byte(head)))
	p.Tick(time.Now())
	require.NoError(t, p.Err())
	assert.Equal(t, uint64(2), p.Printed())
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

// set sets a C character, which is signed on some machines.
func set[T int8 | uint8](to *T, c rune) { *to = T(c) }

func TestText(t *testing.T) {
	lines := printed(t, Options{})
	require.Len(t, lines, 2)
	assert.True(t, strings.HasPrefix(lines[0], "final seq=2 conn=7 "), lines[0])
	for _, part := range []string{" arrived=1000", " write_last=5000", " comm=nginx", " out.status=200", " local=127.0.0.1:80", " peer=10.0.0.9:4000"} {
		assert.Contains(t, lines[0]+" ", part+" ")
	}
	assert.NotContains(t, lines[0], "accepted", "it was not seen")
	assert.NotContains(t, strings.Join(lines, ""), "secret", "heads are asked for")
	assert.True(t, strings.HasPrefix(lines[1], "read number=1 conn=7 "), lines[1])
}

func TestHeadsAreHarmless(t *testing.T) {
	lines := printed(t, Options{Heads: true})
	assert.Contains(t, lines[0], `request_head="GET /a?secret=1 HTTP/1.1\u000d\u000a`)
	assert.NotContains(t, strings.Join(lines, ""), "\x1b")
}

func TestJSON(t *testing.T) {
	lines := printed(t, Options{JSON: true, Heads: true})
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &got))
	assert.Equal(t, "final", got["kind"])
	assert.Equal(t, 1000.0, got["arrived"])
	assert.Equal(t, head, got["request_head"])
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &got))
	assert.Equal(t, "read", got["kind"])
	assert.Equal(t, head, got["data"])
}
