package http1

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

func TestParsersDoNotAllocate(t *testing.T) {
	requests := [][]byte{[]byte(curlHead), []byte(chromeHead), []byte(chromeHead[:200]), []byte("BREW /pot HTTP/1.1\r\n\r\n"),
		[]byte("GET http://a HTTP/1.1\r\n\r\n"), []byte("\x16\x03\x01")}
	responses := [][]byte{[]byte(nginxResponse), []byte(gunicornChunked), []byte(nginxResponse[:60])}
	var req RequestHead
	var resp ResponseHead
	var m Message
	var r request.Request
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		for _, b := range requests {
			ParseRequest(b, &req)
			protocol.ParseTraceParent(req.TraceParent)
		}
		for _, b := range responses {
			ParseResponse(b, &resp)
			Describe(&r, &req, &resp, &m)
		}
	}))
	assert.Equal(t, 200, r.Status)
}

func TestPairerDoesNotAllocateInSteadyState(t *testing.T) {
	finished := 0
	p := newPairer(request.Request{}, func(*request.Request) { finished++ })
	in, out := []byte(get("/1")+post("/2", "body")+curlHead+"a=1"), []byte(response(200, "x")+response(200, "y"))
	last := []byte(nginxResponse + "hello\n")
	read := protocol.Event{Kind: protocol.Read, Arrived: ms(1), ArrivedLast: ms(1), Exit: ms(2)}
	write := protocol.Event{Kind: protocol.Write, Enter: ms(3), Exit: ms(4)}
	play := func(ev *protocol.Event, data []byte) {
		ev.Data, ev.Bytes = data, uint64(len(data))
		p.Handle(ev)
	}
	round := func() {
		play(&read, in[:40])
		play(&read, in[40:])
		play(&write, out[:10])
		play(&write, out[10:])
		play(&write, last)
	}
	round()
	require.Equal(t, 3, finished)
	assert.Zero(t, testing.AllocsPerRun(100, round))
	assert.Equal(t, protocol.Counts{}, p.Counts())
}

func BenchmarkParseRequest(b *testing.B) {
	for name, head := range map[string]string{"wrk": wrkHead, "curl": curlHead, "chrome": chromeHead, "chrome-cut": chromeHead[:256]} {
		b.Run(name, func(b *testing.B) {
			data := []byte(head)
			var h RequestHead
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				ParseRequest(data, &h)
			}
		})
	}
}

func BenchmarkParseResponse(b *testing.B) {
	for name, head := range map[string]string{"nginx": nginxResponse, "gunicorn": gunicornChunked} {
		b.Run(name, func(b *testing.B) {
			data := []byte(head)
			var h ResponseHead
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				ParseResponse(data, &h)
			}
		})
	}
}

// BenchmarkPair measures a read and a write of a connection that reports each read
// and write.
func BenchmarkPair(b *testing.B) {
	p := newPairer(request.Request{}, func(*request.Request) {})
	in, out := []byte(wrkHead), []byte(nginxResponse+"hello\n")
	read := protocol.Event{Kind: protocol.Read, Arrived: ms(1), ArrivedLast: ms(1), Exit: ms(2), Bytes: uint64(len(in)), Data: in}
	write := protocol.Event{Kind: protocol.Write, Enter: ms(3), Exit: ms(4), Bytes: uint64(len(out)), Data: out}
	b.ReportAllocs()
	for b.Loop() {
		p.Handle(&read)
		p.Handle(&write)
	}
}
