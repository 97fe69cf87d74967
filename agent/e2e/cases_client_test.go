package e2e

import (
	"slices"

	"lapwing/agent/e2e/peer"
)

// clientCases are about when a request arrives and what makes it wait.
func clientCases() []hardCase {
	return []hardCase{
		{
			name:   "slow client in three pieces",
			server: serves(reply("200 OK", "hello")),
			clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
				peer.Write("GET /slow HT").As("send1"), peer.Sleep(ms(50)),
				peer.Write("TP/1.1\r\nHost: exam").As("send1"), peer.Sleep(ms(50)),
				peer.Write("ple.test\r\n\r\n").As("send1"), peer.ReadEOF(), peer.Close())},
			want: []want{{n: "1", path: "/slow", status: 200, clientWait: waits("send1", "read1")}},
		},
		{
			name: "server in no hurry to read",
			server: peer.Script(peer.Accept().As("accept"), peer.Await(asked), peer.Sleep(ms(30)),
				peer.ReadFull(len(get("/unhurried"))).In(20).Every(ms(15)).As("read1"),
				peer.Write(reply("200 OK", "hello")).As("write1"), peer.Close()),
			clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
				peer.Write(get("/unhurried")).As("send1"), peer.Signal(asked), peer.ReadEOF(), peer.Close())},
			want: []want{{n: "1", path: "/unhurried", status: 200, clientWait: nothing}},
		},
		{
			name: "silent connection",
			server: peer.Script(peer.Accept().As("accept"), peer.Signal(accepted), peer.ReadHead().As("read1"),
				peer.Sleep(ms(10)), peer.Write(reply("200 OK", "hello")).As("write1"), peer.Close()),
			clients: []peer.Program{peer.Script(peer.Connect().As("connect"), peer.Await(accepted),
				peer.Sleep(ms(100)), peer.Write(get("/silent")).As("send1"), peer.ReadEOF(), peer.Close())},
			want: []want{{n: "1", path: "/silent", status: 200}},
		},
		{
			name: "silent connection in the backlog",
			server: peer.Script(peer.Await(asked), peer.Sleep(ms(40)), peer.Accept().As("accept"),
				peer.Sleep(ms(20)), peer.ReadHead().As("read1"),
				peer.Write(reply("200 OK", "hello")).As("write1"), peer.Close()),
			clients: []peer.Program{peer.Script(peer.Connect().As("connect"), peer.Sleep(ms(50)),
				peer.Write(get("/unaccepted")).As("send1"), peer.Signal(asked), peer.ReadEOF(), peer.Close())},
			want: []want{{n: "1", path: "/unaccepted", status: 200}},
		},
		{
			// Event loops read before anything has arrived, and again after
			// they have read everything. Some first peek to detect the
			// protocol.
			name: "reads that take nothing",
			server: peer.Script(peer.Accept().As("accept"), peer.ReadNone(), peer.Signal(accepted),
				peer.Peek(3), peer.ReadHead().As("read1"), peer.ReadNone(),
				peer.Sleep(ms(10)), peer.ReadNone(),
				peer.Write(reply("200 OK", "one")).As("write1"), peer.Signal(answered), peer.Peek(100),
				peer.ReadHead().As("read2"), peer.ReadNone(), peer.Sleep(ms(10)),
				peer.Write(reply("200 OK", "two")).As("write2"), peer.Close()),
			clients: []peer.Program{peer.Script(peer.Connect().As("connect"), peer.Await(accepted), peer.Sleep(ms(10)),
				peer.Write(get("/looked1")).As("send1"), peer.Await(answered), peer.Sleep(ms(10)),
				peer.Write(get("/looked2")).As("send2"), peer.ReadEOF(), peer.Close())},
			want: twiceWanted("/looked"),
		},
		backlogOfOne(),
		busyWorker(),
	}
}

// backlogOfOne is a server with a backlog of 1, which holds two connections in
// Linux. It serves one at a time, 40 ms each. The second client waits about 40
// ms in the backlog, the third about 80 ms.
func backlogOfOne() hardCase {
	first, second, third := "1", "2", "3"
	answer := func(n string) []peer.Step {
		return []peer.Step{peer.Sleep(ms(40)), peer.Write(reply("200 OK", n)).As("write" + n), peer.Close()}
	}
	take := func(n string) []peer.Step {
		return []peer.Step{peer.Accept().As("accept" + n), peer.ReadHead().As("read" + n)}
	}
	call := func(n string) []peer.Step {
		return []peer.Step{peer.Connect().As("connect" + n), peer.Write(get("/client" + n)).As("send" + n),
			peer.Signal(turn(n)), peer.ReadEOF(), peer.Close()}
	}
	c := hardCase{
		name: "backlog of one",
		server: peer.Script(slices.Concat(
			take(first), []peer.Step{peer.Signal(taken), peer.Await(turn(third))}, answer(first),
			take(second), answer(second), take(third), answer(third))...).WithBacklog(1),
		clients: []peer.Program{
			peer.Script(call(first)...),
			peer.Script(slices.Concat([]peer.Step{peer.Await(taken)}, call(second))...),
			peer.Script(slices.Concat([]peer.Step{peer.Await(turn(second))}, call(third))...),
		},
	}
	for _, n := range []string{first, second, third} {
		c.want = append(c.want, want{n: n, conn: n, path: "/client" + n, status: 200})
	}
	return c
}

// turn is the event that the client with this number has sent its request.
func turn(n string) peer.Event { return 20 + peer.Event(n[0]-'0') }

// busyWorker is one worker with two kept-alive connections. While it works for
// 80 ms on a request of one, a request arrives on the other.
func busyWorker() hardCase {
	const a, b peer.Slot = 0, 1
	first := reply("200 OK", "b1")
	return hardCase{
		name: "busy worker on kept-alive connections",
		server: peer.Script(
			peer.Accept().On(a).As("acceptA"), peer.Signal(accepted), peer.Accept().On(b).As("acceptB"),
			peer.ReadHead().On(b).As("readB1"), peer.Write(first).On(b).As("writeB1"),
			peer.ReadHead().On(a).As("readA1"), peer.Signal(taken), peer.Sleep(ms(80)),
			peer.Write(reply("200 OK", "a1")).On(a).As("writeA1"),
			peer.ReadHead().On(b).As("readB2"), peer.Sleep(ms(10)),
			peer.Write(reply("200 OK", "b2")).On(b).As("writeB2"), peer.Close().On(a), peer.Close().On(b)),
		clients: []peer.Program{
			peer.Script(peer.Connect().As("connectA"), peer.Await(answered),
				peer.Write(get("/a1")).As("sendA1"), peer.ReadEOF(), peer.Close()),
			peer.Script(peer.Await(accepted), peer.Connect().As("connectB"),
				peer.Write(get("/b1")).As("sendB1"), peer.ReadFull(len(first)), peer.Signal(answered),
				peer.Await(taken), peer.Sleep(ms(20)),
				peer.Write(get("/b2")).As("sendB2"), peer.ReadEOF(), peer.Close()),
		},
		want: []want{
			{n: "B1", conn: "B", path: "/b1", status: 200},
			{n: "A1", conn: "A", path: "/a1", status: 200},
			{n: "B2", conn: "B", path: "/b2", status: 200, later: true, unmarked: []string{"pipelined"}},
		},
	}
}
