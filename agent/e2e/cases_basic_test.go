package e2e

import (
	"lapwing/agent/e2e/peer"
)

// calls is the usual client: it connects once the server can accept, sends one
// request and reads until the server closes.
func calls(request string) []peer.Program {
	return []peer.Program{peer.Script(
		peer.Connect().As("connect"), peer.Write(request).As("send1"),
		peer.ReadEOF().As("receive1"), peer.Close())}
}

// serves is the usual server: it responds to one request after 20 ms and
// closes.
func serves(response string) peer.Program {
	return peer.Script(peer.Accept().As("accept"), peer.ReadHead().As("read1"),
		peer.Sleep(ms(20)), peer.Write(response).As("write1"), peer.Close())
}

// basicCases are ordinary requests, with every system call that can carry them.
func basicCases() []hardCase {
	cases := []hardCase{
		{
			name: "plain", server: serves(reply("200 OK", "hello")), clients: calls(get("/plain?q=1")),
			want: []want{{n: "1", path: "/plain", status: 200, unmarked: []string{"pipelined", "early_response"}}},
		},
		{
			name: "http 1.0", server: serves("HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\nno"),
			clients: calls("GET /http10 HTTP/1.0\r\n\r\n"),
			want:    []want{{n: "1", path: "/http10", protocol: "http/1.0", status: 404}},
		},
		{
			name: "finished on an idle connection", holds: true,
			server: peer.Script(peer.Accept().As("accept"), peer.ReadHead().As("read1"),
				peer.Write(reply("200 OK", "hello")).As("write1"), peer.Await(released), peer.Close()),
			clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
				peer.Write(get("/idle")).As("send1"), peer.ReadFull(len(reply("200 OK", "hello"))),
				peer.Await(released), peer.Close())},
			want: []want{{n: "1", path: "/idle", status: 200, prompt: true}},
		},
		{
			name: "client of IPv4 at a server of IPv6", families: []peer.Family{peer.Mapped},
			server: serves(reply("200 OK", "hello")), clients: calls(get("/mapped")),
			want: []want{{n: "1", path: "/mapped", status: 200}},
		},
		keepAlive(),
		bodyless(),
	}
	for _, via := range []string{peer.ViaSocket, peer.ViaVector, peer.ViaMessage, peer.ViaBatch} {
		cases = append(cases, hardCase{
			name: "calls of the family " + via,
			server: peer.Script(peer.Accept().As("accept"), peer.Read(4096).By(via).As("read1"),
				peer.Sleep(ms(10)), peer.Write(reply("200 OK", "hello")).By(via).As("write1"), peer.Close()),
			clients: calls(get("/" + via)),
			want:    []want{{n: "1", path: "/" + via, status: 200}},
		})
	}
	for _, body := range []peer.Step{peer.Sendfile("a file").Padded(9000), peer.Splice("a pipe").Padded(9000)} {
		cases = append(cases, hardCase{
			name: "body by " + string(body.Op),
			server: peer.Script(peer.Accept().As("accept"), peer.ReadHead().As("read1"), peer.Sleep(ms(10)),
				peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n").As("write1"),
				body.As("write1"), peer.Close()),
			clients: calls(get("/" + string(body.Op))),
			want:    []want{{n: "1", path: "/" + string(body.Op), status: 200}},
		})
	}
	return cases
}

// keepAlive is a connection on which the client pauses for 30 ms between two
// requests, while the server is busy elsewhere for 80 ms. The second request
// arrives when it arrives, not when it is read.
func keepAlive() hardCase {
	first := reply("200 OK", "one")
	return hardCase{
		name: "keep-alive with think time",
		server: peer.Script(peer.Accept().As("accept"),
			peer.ReadHead().As("read1"), peer.Write(first).As("write1"), peer.Signal(answered),
			peer.Sleep(ms(80)), peer.ReadHead().As("read2"),
			peer.Sleep(ms(10)), peer.Write(reply("201 Created", "two")).As("write2"), peer.Close()),
		clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
			peer.Write(get("/first")).As("send1"), peer.ReadFull(len(first)), peer.Await(answered),
			peer.Sleep(ms(30)), peer.Write(get("/second")).As("send2"), peer.ReadEOF(), peer.Close())},
		want: []want{
			{n: "1", path: "/first", status: 200, unmarked: []string{"pipelined"}},
			{n: "2", path: "/second", status: 201, later: true, unmarked: []string{"pipelined"}},
		},
	}
}

// bodyless is a connection whose responses have no body, whatever their heads
// say. The next response must not be taken for a part of them.
func bodyless() hardCase {
	responses := []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", // to a HEAD request
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n",
		reply("200 OK", "a body"),
	}
	requests := []string{ask("HEAD", "/head", ""), get("/204"), get("/304"), get("/last")}
	return hardCase{
		name:    "responses without a body",
		server:  alternating(responses),
		clients: []peer.Program{asking(requests, responses)},
		want: []want{
			{n: "1", method: "HEAD", path: "/head", status: 200},
			{n: "2", path: "/204", status: 204, later: true},
			{n: "3", path: "/304", status: 304, later: true},
			{n: "4", path: "/last", status: 200, later: true},
		},
	}
}

// alternating is a server that responds to each request 10 ms after it was
// read.
func alternating(responses []string) peer.Program {
	steps := []peer.Step{peer.Accept().As("accept")}
	for i, r := range responses {
		n := itoa(i + 1)
		steps = append(steps, peer.ReadHead().As("read"+n), peer.Sleep(ms(10)), peer.Write(r).As("write"+n))
	}
	return peer.Script(append(steps, peer.Close())...)
}

// asking is a client that sends each request after it received the previous
// response.
func asking(requests, responses []string) peer.Program {
	steps := []peer.Step{peer.Connect().As("connect")}
	for i, r := range requests {
		n := itoa(i + 1)
		steps = append(steps, peer.Write(r).As("send"+n), peer.ReadFull(len(responses[i])).As("receive"+n))
	}
	return peer.Script(append(steps, peer.ReadEOF(), peer.Close())...)
}
