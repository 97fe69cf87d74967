package e2e

import (
	"strings"

	"lapwing/agent/e2e/peer"
)

// bodyCases are requests with a body, and what may happen before it is read.
func bodyCases() []hardCase {
	half := strings.Repeat("b", 2000)
	chunked := "POST /chunked HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunk := "7d0\r\n" + half + "\r\n"
	return []hardCase{
		body("/length", post("/length", half+half), 2000, 4000),
		body("/chunked", chunked+chunk+chunk+"0\r\n\r\n", len(chunked)+len(chunk), len(chunked)+2*len(chunk)),
		bodyReadSlowly(),
		expectContinue(),
		earlyResponse(),
		interim(),
	}
}

// body is a POST in three pieces 30 ms apart, cut at the given offsets,
// followed by a GET on the same connection.
func body(path, request string, cut1, cut2 int) hardCase {
	first := reply("200 OK", "one")
	return hardCase{
		name: "body in several reads " + path,
		server: peer.Script(peer.Accept().As("accept"),
			peer.ReadFull(cut1).As("read1"), peer.ReadFull(cut2-cut1).As("read1"),
			peer.ReadFull(len(request)-cut2).As("read1"),
			peer.Sleep(ms(20)), peer.Write(first).As("write1"),
			peer.ReadHead().As("read2"), peer.Write(reply("200 OK", "two")).As("write2"), peer.Close()),
		clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
			peer.Write(request[:cut1]).As("send1"), peer.Sleep(ms(30)),
			peer.Write(request[cut1:cut2]).As("send1"), peer.Sleep(ms(30)),
			peer.Write(request[cut2:]).As("send1"), peer.ReadFull(len(first)),
			peer.Write(get("/after"+path)).As("send2"), peer.ReadEOF(), peer.Close())},
		want: []want{
			{n: "1", method: "POST", path: path, status: 200, clientWait: waits("send1", "read1"),
				unmarked: []string{"early_response", "pipelined"}},
			{n: "2", path: "/after" + path, status: 200, later: true, unmarked: []string{"pipelined"}},
		},
	}
}

// bodyReadSlowly has a body that is complete while the server reads slowly.
// This time is parse, but the server did not wait for the client.
func bodyReadSlowly() hardCase {
	request := post("/digested", strings.Repeat("b", 6000))
	return hardCase{
		name: "body read slowly",
		server: peer.Script(peer.Accept().As("accept"), peer.Await(asked),
			peer.ReadFull(len(request)).In(2000).Every(ms(20)).As("read1"),
			peer.Write(reply("200 OK", "one")).As("write1"), peer.Close()),
		clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
			peer.Write(request).As("send1"), peer.Signal(asked), peer.ReadEOF(), peer.Close())},
		want: []want{{n: "1", method: "POST", path: "/digested", status: 200, clientWait: nothing}},
	}
}

// expectContinue has a client that waits for 100 Continue before it sends its
// body, and then takes another 40 ms.
func expectContinue() hardCase {
	const leave = "HTTP/1.1 100 Continue\r\n\r\n"
	head := "PUT /expect HTTP/1.1\r\nHost: example.test\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n"
	return hardCase{
		name: "expect 100-continue",
		server: peer.Script(peer.Accept().As("accept"), peer.ReadHead().As("read1"),
			peer.Write(leave).As("interim"), peer.ReadFull(1000).As("read1"),
			peer.Sleep(ms(30)), peer.Write(reply("201 Created", "made")).As("write1"), peer.Close()),
		clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
			peer.Write(head).As("send1"), peer.ReadFull(len(leave)), peer.Sleep(ms(40)),
			peer.Write("").Padded(1000).As("send1"), peer.ReadEOF(), peer.Close())},
		want: []want{{n: "1", method: "PUT", path: "/expect", status: 201, responseBytes: -1,
			clientWait: waits("send1", "read1"), flags: []string{"continued"},
			unmarked: []string{"early_response", "pipelined"}}},
	}
}

// earlyResponse is refused after the head. The server then reads the body and
// serves the next request on the connection.
func earlyResponse() hardCase {
	request := post("/early", strings.Repeat("b", 5000))
	head := len(request) - 5000
	refusal := reply("413 Content Too Large", "no")
	return hardCase{
		name: "early response",
		server: peer.Script(peer.Accept().As("accept"), peer.ReadFull(head).As("read1"),
			peer.Sleep(ms(30)), peer.Write(refusal).As("write1"), peer.Signal(answered),
			peer.ReadFull(5000), peer.ReadHead().As("read2"), peer.Sleep(ms(10)),
			peer.Write(reply("200 OK", "two")).As("write2"), peer.Close()),
		clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
			peer.Write(request[:head+1000]).As("send1"), peer.Await(answered),
			peer.ReadFull(len(refusal)), peer.Write(request[head+1000:]),
			peer.Sleep(ms(20)), peer.Write(get("/next")).As("send2"), peer.ReadEOF(), peer.Close())},
		want: []want{
			{n: "1", method: "POST", path: "/early", status: 413, early: true,
				requestBytes: len(request), flags: []string{"early_response"}},
			{n: "2", path: "/next", status: 200, later: true, unmarked: []string{"early_response", "pipelined"}},
		},
	}
}

// interim has early hints 40 ms before the final response.
func interim() hardCase {
	return hardCase{
		name: "interim then final response",
		server: peer.Script(peer.Accept().As("accept"), peer.ReadHead().As("read1"), peer.Sleep(ms(10)),
			peer.Write("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n").As("interim"),
			peer.Sleep(ms(40)), peer.Write(reply("200 OK", "hello")).As("write1"), peer.Close()),
		clients: calls(get("/hinted")),
		want:    []want{{n: "1", path: "/hinted", status: 200, responseBytes: -1}},
	}
}
