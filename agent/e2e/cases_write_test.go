package e2e

import (
	"strings"
	"time"

	"lapwing/agent/e2e/peer"
)

// bigBody is the size of a response that fits into no socket buffer, in bytes.
const bigBody = 10 << 20

// writeCases are about how a response is sent.
func writeCases() []hardCase {
	return []hardCase{
		{
			name: "response head in five writes",
			server: peer.Script(peer.Accept().As("accept"), peer.ReadHead().As("read1"), peer.Sleep(ms(20)),
				peer.Write("HTTP/1.0 200 OK\r\n").By(peer.ViaSocket).As("write1"),
				peer.Write("Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n").By(peer.ViaSocket).As("write1"),
				peer.Write("Content-Length: 5\r\n").By(peer.ViaSocket).As("write1"),
				peer.Write("\r\n").By(peer.ViaSocket).As("write1"),
				peer.Write("hello").By(peer.ViaSocket).As("write1"), peer.Shutdown(), peer.Close()),
			clients: calls(get("/five")),
			want:    []want{{n: "1", path: "/five", status: 200, unmarked: []string{"pipelined"}}},
		},
		streamed(),
		bigWrite("blocking write", peer.Write(bigHead()).Padded(bigBody)),
		bigWrite("non-blocking writer", peer.WritePoll(bigHead()).Padded(bigBody)),
		bigWrite("sendfile", peer.Write(bigHead()), peer.Sendfile("").Padded(bigBody-len(bigHead()))),
		drain(),
	}
}

func bigHead() string { return bigHeadOf(bigBody) }

// bigHeadOf returns the head of a response that has n bytes including the head.
func bigHeadOf(n int) string {
	const frame = "HTTP/1.1 200 OK\r\nX-Filler: \r\nContent-Length: 00000000\r\n\r\n"
	return "HTTP/1.1 200 OK\r\nX-Filler: \r\nContent-Length: " + pad(n-len(frame)) + "\r\n\r\n"
}

func pad(n int) string {
	digits := itoa(n)
	return strings.Repeat("0", 8-len(digits)) + digits
}

// streamed is a chunked response that the application produces in three pieces
// 40 ms apart, followed by one more response.
func streamed() hardCase {
	responses := []string{
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
		"6\r\nsecond\r\n", "5\r\nthird\r\n0\r\n\r\n",
	}
	return hardCase{
		name: "streamed response",
		server: peer.Script(peer.Accept().As("accept"), peer.ReadHead().As("read1"), peer.Sleep(ms(20)),
			peer.Write(responses[0]).As("write1"), peer.Sleep(ms(40)),
			peer.Write(responses[1]).As("write1"), peer.Sleep(ms(40)),
			peer.Write(responses[2]).As("write1"),
			peer.ReadHead().As("read2"), peer.Write(reply("200 OK", "two")).As("write2"), peer.Close()),
		clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
			peer.Write(get("/stream")).As("send1"), peer.ReadFull(len(strings.Join(responses, ""))),
			peer.Write(get("/unstreamed")).As("send2"), peer.ReadEOF(), peer.Close())},
		want: []want{
			{n: "1", path: "/stream", status: 200, unmarked: []string{"pipelined"}},
			{n: "2", path: "/unstreamed", status: 200, later: true, unmarked: []string{"pipelined"}},
		},
	}
}

// bigWrite is a 10 MB response to a client that sleeps for 100 ms before it
// reads, and again after half of it. The write starts when it is entered.
func bigWrite(name string, writes ...peer.Step) hardCase {
	server := []peer.Step{peer.Accept().As("accept"), peer.SendBuffer(64 << 10), peer.ReadHead().As("read1"),
		peer.Sleep(ms(20)), peer.Signal(answered)}
	for _, w := range writes {
		server = append(server, w.As("write1"))
	}
	return hardCase{
		name:   "10 MB to a slow reader, " + name,
		server: peer.Script(append(server, peer.Close())...),
		clients: []peer.Program{peer.Script(peer.Connect().ReceiveBuffer(64<<10).As("connect"),
			peer.Write(get("/big")).As("send1"), peer.Await(answered), peer.Sleep(ms(100)).As("pause"),
			peer.ReadFull(bigBody/2).In(32<<10), peer.Sleep(ms(100)).As("pause"),
			peer.ReadEOF().In(32<<10), peer.Close())},
		want: []want{{n: "1", path: "/big", status: 200, blocked: pauses, produce: unblocked}},
	}
}

// fill is the longest time for filling the buffers of 64 KiB.
const fill = 2 * time.Millisecond

// pauses returns the time that a writer is blocked by a reader that pauses: at
// least while the reader sleeps and the buffers are full, at most all the time.
func pauses(s peer.Stamps) span {
	first, _ := s.First("write1")
	last, _ := s.Last("write1")
	blocked := span{most: from(first.Before, last.After)}
	for _, p := range s.Labelled("pause") {
		blocked.least += from(max(p.Before, first.Before), p.After) - fill
	}
	return blocked
}

// unblocked returns the time that the writer can have spent on producing: what
// remains after the pauses of the reader.
func unblocked(s peer.Stamps) span {
	blocked := pauses(s)
	return span{most: blocked.most - blocked.least}
}

// drain is a response that fits into the send buffer. The small receive buffer
// of the client only takes it when the client reads, 120 ms later.
func drain() hardCase {
	const size = 150_000
	return hardCase{
		name: "drain", families: []peer.Family{peer.TCP4, peer.TCP6},
		server: peer.Script(peer.Accept().As("accept"), peer.SendBuffer(1<<20), peer.ReadHead().As("read1"),
			peer.Sleep(ms(20)), peer.Write(bigHeadOf(size)).Padded(size).As("write1"), peer.Signal(answered),
			peer.Await(received), peer.Close()),
		clients: []peer.Program{peer.Script(peer.Connect().ReceiveBuffer(8<<10).As("connect"),
			peer.Write(get("/drain")).As("send1"), peer.Await(answered), peer.Sleep(ms(120)).As("pause"),
			peer.ReadFull(size).As("receive1"), peer.Signal(received), peer.Close())},
		want: []want{{n: "1", path: "/drain", status: 200, drain: drained}},
	}
}

// drained returns the time from the server's last write until the kernel of the
// client acknowledged everything: after the client started to read, and no
// later than the delayed acknowledgement of the last segment.
func drained(s peer.Stamps) span {
	const delayedACK = 45 * time.Millisecond
	written, _ := s.Last("write1")
	pause, _ := s.First("pause")
	last, _ := s.Last("receive1")
	return span{from(written.After, pause.After), from(written.After, last.After) + delayedACK}
}
