package protocoltest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
	"lapwing/tools/fuzzing"
)

// Fuzz plays the events of a connection to a pairer. The fuzzed bytes supply data,
// and pick parts of the given fragments. Fuzz checks what must hold for all events:
// no request is invented, each is sane, and they are numbered in order.
func Fuzz(f *testing.F, newPairer func(protocol.Options) protocol.Pairer, in, out []string) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x03\x00\x00\x00"))
	f.Add([]byte("\x00\x64\x00\x01\x03\x64\x00\x00\x06\x01"))
	f.Add([]byte("\x01\x02\x80\x10\x00\x02\x40\x04\x01\x05\x04\x00\x07\x00\x02\x01\x04\x00"))
	f.Fuzz(func(t *testing.T, input []byte) {
		fuzzing.For(pieces*len(input)).Within(t, func() {
			playConnection(t, newPairer, &player{input: input, in: in, out: out})
		})
	})
}

func playConnection(t *testing.T, newPairer func(protocol.Options) protocol.Pairer, p *player) {
	last := uint32(0)
	unknown := 0
	pairer := newPairer(protocol.Options{
		Done: func(r *request.Request) {
			require.NotEqual(t, last, r.Seq, "a request is handed out once")
			last = r.Seq
			if strings.HasPrefix(r.Protocol, "http/") {
				return // these have their own test
			}
			p.done++
			Sane(t, r)
		},
		Unknown: func(string) { unknown++ },
	})
	p.play(pairer)
	require.LessOrEqual(t, p.done, strings.Count(p.read.String(), "METHOD"), "no request is invented")
	require.LessOrEqual(t, unknown, 1, "a connection is counted once")
	require.Zero(t, pairer.Outstanding())
}

// pieces is how many bytes of a connection one byte of the input may stand for,
// because it can pick a fragment.
const pieces = 512

// player turns fuzzed bytes into events.
type player struct {
	input   []byte
	in, out []string
	now     request.Stamp
	read    strings.Builder // everything that was read and at hand
	done    int
}

func (f *player) next() int {
	if len(f.input) == 0 {
		return 0
	}
	b := f.input[0]
	f.input = f.input[1:]
	return int(b)
}

func (f *player) tick() request.Stamp {
	f.now += request.Stamp(1 + f.next())
	return f.now
}

// data returns a few raw bytes, a part of a fragment, or a fragment and a part of
// another one.
func (f *player) data(fragments []string) []byte {
	n := f.next()
	if n >= 200 {
		raw := f.input[:min(n-200, len(f.input))]
		f.input = f.input[len(raw):]
		return raw
	}
	whole := ""
	if n >= 100 {
		whole = fragments[n%len(fragments)]
		n = f.next()
	}
	s := fragments[n%len(fragments)]
	from := f.next() * len(s) / 512
	return []byte(whole + s[from:from+(len(s)-from)*(256-f.next())/256])
}

func (f *player) event(kind protocol.EventKind, fragments []string, missing uint64) *protocol.Event {
	ev := &protocol.Event{Kind: kind, Data: f.data(fragments), PID: 1, TID: 2}
	ev.Bytes = uint64(len(ev.Data)) + missing
	ev.Arrived, ev.ArrivedLast = f.tick(), f.tick()
	ev.Enter, ev.Exit = f.tick(), f.tick()
	ev.Wait, ev.Blocked = time.Duration(f.next()), time.Duration(f.next())
	if kind == protocol.Read {
		f.read.Write(ev.Data)
	}
	return ev
}

func (f *player) play(p protocol.Pairer) {
	for len(f.input) > 0 {
		switch op := f.next(); op % 9 {
		case 0, 1, 2:
			p.Handle(f.event(protocol.Read, f.in, 0))
		case 3, 4, 5:
			p.Handle(f.event(protocol.Write, f.out, 0))
		case 6:
			p.Handle(f.event(protocol.Read, f.in, uint64(f.next()*f.next())))
		case 7:
			p.Handle(f.event(protocol.Write, f.out, uint64(f.next()*f.next())))
		case 8:
			if op >= 128 {
				p.Lose()
			} else {
				p.Expire(f.tick(), time.Duration(f.next()))
			}
		}
	}
	p.Handle(&protocol.Event{Kind: protocol.Close, Exit: f.tick(), Error: []string{"", request.ErrorReset}[f.next()%2]})
}
