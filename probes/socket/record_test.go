package socket

import (
	"encoding/binary"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"

	"lapwing/probes/socket/bpf"
	"lapwing/probes/socket/kernellog"
	"lapwing/probes/socket/wire"
	"lapwing/tools/fuzzing"
)

// looker reads all bytes of what it is given.
type looker struct{ bytes, handed int }

func (l *looker) look(b []byte) {
	for _, c := range b {
		l.bytes += 1 + int(c)&1
	}
}

func (l *looker) HandleRecord(_ wire.Kind, r wire.Record) {
	l.handed++
	for _, b := range [][]byte{r.Name(), r.RequestHead(), r.TraceParent(), r.ResponseHead(), r.Command()[:]} {
		l.look(b)
	}
	_, _ = r.RequestEnd(), r.ResponseEnd()
	clone, _ := r.Clone(nil)
	l.look(clone.ResponseHead())
}

func (l *looker) HandleEvent(e wire.Event) {
	l.handed++
	l.look(e.Bytes())
	l.look(e.Command()[:])
	l.bytes += len(e.Pieces())
}

func (l *looker) Tick(time.Time) {}

func (l *looker) HandleProcess(wire.ProcessNote) { l.handed++ }

// FuzzMessage checks that a message of the kernel, whatever it holds, is handed over or
// counted, and that nothing after its end is read. The message is at the end of its
// memory.
func FuzzMessage(f *testing.F) {
	r := wire.Compose(wire.RecordFields{Kind: uint16(wire.Final)}, []byte("\x00name"), []byte("GET / HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\n\r\n"))
	f.Add(r.Raw())
	for _, kind := range []wire.Kind{wire.Read, wire.Write, wire.Close} {
		e := wire.ComposeEvent(wire.EventFields{PiecesLen: 200}, kind, []byte("some bytes"))
		f.Add(e.Raw())
	}
	note := bpf.SocketPlanProcessNote{Kind: uint16(wire.KindProcess)}
	f.Add(unsafe.Slice((*byte)(unsafe.Pointer(&note)), int(unsafe.Sizeof(note))))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > kernellog.MaxMessage {
			return // the log has no message of that length
		}
		message := guarded(t, raw)
		fuzzing.For(len(raw)).Within(t, func() {
			p, l := new(Probe), new(looker)
			p.dispatch(message, l)
			withdrawn := len(message) >= 2 && wire.Kind(binary.NativeEndian.Uint16(message)) == wire.KindWithdrawn
			if !withdrawn {
				assert.EqualValues(t, 1, uint64(l.handed)+p.malformed.Load(), "handed over %d times, counted %d times", l.handed, p.malformed.Load())
			}
		})
	})
}
