package e2e

import (
	"lapwing/agent/e2e/peer"
)

// failureCases are requests without a complete response.
func failureCases() []hardCase {
	return []hardCase{
		{
			name: "reset before the response", families: []peer.Family{peer.TCP4, peer.TCP6},
			server: peer.Script(peer.Accept().As("accept"), peer.ReadHead().As("read1"), peer.Signal(taken),
				peer.Await(gone), peer.Sleep(ms(20)),
				peer.Write(reply("200 OK", "late")).As("late").Tolerant(), peer.Close()),
			clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
				peer.Write(get("/reset")).As("send1"), peer.Await(taken), peer.Sleep(ms(20)),
				peer.Reset(), peer.Signal(gone))},
			want: []want{{n: "1", path: "/reset", failed: true, unanswered: true}},
		},
		{
			name: "client gone before the response, unix", families: []peer.Family{peer.Unix},
			server: peer.Script(peer.Accept().As("accept"), peer.ReadHead().As("read1"), peer.Signal(taken),
				peer.Await(gone), peer.Sleep(ms(20)),
				peer.Write(reply("200 OK", "late")).As("late").Tolerant(), peer.Close()),
			clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
				peer.Write(get("/gone")).As("send1"), peer.Await(taken), peer.Sleep(ms(20)),
				peer.Close(), peer.Signal(gone))},
			want: []want{{n: "1", path: "/gone", failed: true, unanswered: true}},
		},
		{
			// The kernel takes the response although the client will not read
			// it, and the reset arrives during the write. The bytes written
			// count as written.
			name: "client gone before the response, tcp", families: []peer.Family{peer.TCP4, peer.TCP6},
			server: peer.Script(peer.Accept().As("accept"), peer.ReadHead().As("read1"), peer.Signal(taken),
				peer.Await(gone), peer.Sleep(ms(20)), peer.Write(reply("200 OK", "late")).As("write1"), peer.Close()),
			clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
				peer.Write(get("/gone")).As("send1"), peer.Await(taken), peer.Close(), peer.Signal(gone))},
			want: []want{{n: "1", path: "/gone", status: 200, cutOff: true}},
		},
		{
			name: "no response",
			server: peer.Script(peer.Accept().As("accept"), peer.ReadHead().As("read1"),
				peer.Sleep(ms(20)), peer.Close()),
			clients: calls(get("/unanswered")),
			want:    []want{{n: "1", path: "/unanswered", failed: true, unanswered: true}},
		},
		{
			name: "no response to the second request",
			server: peer.Script(peer.Accept().As("accept"),
				peer.ReadHead().As("read1"), peer.Write(reply("200 OK", "one")).As("write1"),
				peer.ReadHead().As("read2"), peer.Sleep(ms(20)), peer.Close()),
			clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
				peer.Write(get("/answered")).As("send1"), peer.ReadFull(len(reply("200 OK", "one"))),
				peer.Write(get("/forgotten")).As("send2"), peer.ReadEOF(), peer.Close())},
			want: []want{
				{n: "1", path: "/answered", status: 200},
				{n: "2", path: "/forgotten", later: true, failed: true, unanswered: true},
			},
		},
		{
			name: "keep-alive ended by the client",
			server: peer.Script(peer.Accept().As("accept"),
				peer.ReadHead().As("read1"), peer.Sleep(ms(10)), peer.Write(reply("200 OK", "one")).As("write1"),
				peer.ReadEOF(), peer.Close()),
			clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
				peer.Write(get("/only")).As("send1"), peer.ReadFull(len(reply("200 OK", "one"))), peer.Close())},
			want: []want{{n: "1", path: "/only", status: 200}},
		},
		{
			name:    "connection without a request",
			server:  peer.Script(peer.Accept(), peer.ReadEOF(), peer.Close()),
			clients: []peer.Program{peer.Script(peer.Connect(), peer.Sleep(ms(20)), peer.Close())},
		},
	}
}
