package e2e

import (
	"slices"

	"lapwing/agent/e2e/peer"
)

// handoverCases have a connection that another thread or process handles than
// the one that accepted it.
func handoverCases() []hardCase {
	answer := []peer.Step{
		peer.ReadHead().As("read1"), peer.Sleep(ms(10)),
		peer.Write(reply("200 OK", "one")).As("write1"),
		peer.ReadHead().As("read2"), peer.Sleep(ms(10)),
		peer.Write(reply("200 OK", "two")).As("write2"), peer.Close(),
	}
	return []hardCase{
		threeThreads(),
		nextRequestOnAnotherThread(),
		twoWriters(),
		{
			name: "descriptor passed to another process",
			server: peer.Script(peer.Socketpair(1, 2),
				peer.Spawn(peer.Script(slices.Concat([]peer.Step{peer.TakeFD(2)}, answer)...).Inheriting(2)),
				peer.Accept().As("accept"), peer.PassFD(1), peer.Close()),
			clients: twice("/passed"), want: twiceWanted("/passed"),
		},
		{
			name: "fork after accept",
			server: peer.Script(peer.Accept().As("accept"),
				peer.Spawn(peer.Script(answer...).Inheriting(0)), peer.Close()),
			clients: twice("/forked"), want: twiceWanted("/forked"),
		},
	}
}

// twice is a client with two requests on one connection.
func twice(path string) []peer.Program {
	return []peer.Program{peer.Script(peer.Connect().As("connect"),
		peer.Write(get(path+"1")).As("send1"), peer.ReadFull(len(reply("200 OK", "one"))), peer.Sleep(ms(10)),
		peer.Write(get(path+"2")).As("send2"), peer.ReadEOF(), peer.Close())}
}

func twiceWanted(path string) []want {
	return []want{
		{n: "1", path: path + "1", status: 200},
		{n: "2", path: path + "2", status: 200, later: true},
	}
}

// threeThreads has one thread that accepts, one that reads 30 ms later, and one
// that writes.
func threeThreads() hardCase {
	return hardCase{
		name: "accepted, read and written by three threads",
		server: peer.Threads(
			[]peer.Step{peer.Accept().As("accept"), peer.Sleep(ms(30)), peer.Signal(accepted)},
			[]peer.Step{peer.Await(accepted), peer.ReadHead().As("read1"), peer.Signal(taken)},
			[]peer.Step{peer.Await(taken), peer.Sleep(ms(20)),
				peer.Write(reply("200 OK", "hello")).As("write1"), peer.Close()}),
		clients: calls(get("/threads")),
		want:    []want{{n: "1", path: "/threads", status: 200}},
	}
}

// nextRequestOnAnotherThread has a pool whose threads alternate on the requests
// of a kept-alive connection.
func nextRequestOnAnotherThread() hardCase {
	return hardCase{
		name: "next request on another thread",
		server: peer.Threads(
			[]peer.Step{peer.Accept().As("accept"), peer.ReadHead().As("read1"), peer.Sleep(ms(10)),
				peer.Write(reply("200 OK", "one")).As("write1"), peer.Signal(answered)},
			[]peer.Step{peer.Await(answered), peer.Sleep(ms(40)), peer.ReadHead().As("read2"),
				peer.Write(reply("200 OK", "two")).As("write2"), peer.Close()}),
		clients: twice("/pool"), want: twiceWanted("/pool"),
	}
}

// twoWriters has a response whose head and body are written by different
// threads.
func twoWriters() hardCase {
	response := reply("200 OK", "a body of some length")
	return hardCase{
		name: "response written by two threads",
		server: peer.Threads(
			[]peer.Step{peer.Accept().As("accept"), peer.ReadHead().As("read1"), peer.Sleep(ms(10)),
				peer.Write(response[:60]).As("write1"), peer.Signal(answered)},
			[]peer.Step{peer.Await(answered), peer.Sleep(ms(30)), peer.Write(response[60:]).As("write1"), peer.Close()}),
		clients: calls(get("/two-writers")),
		want:    []want{{n: "1", path: "/two-writers", status: 200}},
	}
}
