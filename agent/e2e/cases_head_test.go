package e2e

import (
	"strings"

	"lapwing/agent/e2e/peer"
)

// headCases are request and response heads that are long, or arrive in pieces.
func headCases() []hardCase {
	cases := []hardCase{
		longResponseHead(),
		{
			name: "head read byte by byte",
			server: peer.Script(peer.Accept().As("accept"), peer.ReadHead().In(1).As("read1"),
				peer.Sleep(ms(10)), peer.Write(reply("200 OK", "hello")).As("write1"), peer.Close()),
			clients: calls(get("/bytewise")),
			want:    []want{{n: "1", path: "/bytewise", status: 200, clientWait: nothing}},
		},
		{
			name:   "head sent byte by byte",
			server: serves(reply("200 OK", "hello")),
			clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
				peer.Trickle(get("/drip"), 1, ms(2)).As("send1"), peer.ReadEOF(), peer.Close())},
			want: []want{{n: "1", path: "/drip", status: 200, clientWait: atMostParse("read1")}},
		},
		{
			name:   "blank lines before the request",
			server: serves(reply("200 OK", "hello")), clients: calls("\r\n" + get("/blank")),
			want: []want{{n: "1", path: "/blank", status: 200}},
		},
	}
	for _, size := range []int{600, 3000} {
		for _, piece := range []int{4096, 100} {
			cases = append(cases, longHead(size, piece))
		}
	}
	return cases
}

// longHead is a head of about size bytes, read in calls of piece bytes,
// followed by a short one on the same connection.
func longHead(size, piece int) hardCase {
	path := "/head" + itoa(size) + "by" + itoa(piece)
	request := get(path, "X-Filler: "+strings.Repeat("f", size))
	first := reply("200 OK", "one")
	return hardCase{
		name: "head of " + itoa(size) + " bytes read by " + itoa(piece),
		server: peer.Script(peer.Accept().As("accept"),
			peer.ReadFull(len(request)).In(piece).As("read1"), peer.Sleep(ms(10)), peer.Write(first).As("write1"),
			peer.ReadHead().As("read2"), peer.Write(reply("200 OK", "two")).As("write2"), peer.Close()),
		clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
			peer.Write(request).As("send1"), peer.ReadFull(len(first)),
			peer.Write(get("/after")).As("send2"), peer.ReadEOF(), peer.Close())},
		want: []want{
			{n: "1", path: path, status: 200, clientWait: nothing, unmarked: []string{"pipelined"}},
			{n: "2", path: "/after", status: 200, later: true, unmarked: []string{"pipelined"}},
		},
	}
}

// longResponseHead has the length of the response after 3000 bytes of head.
func longResponseHead() hardCase {
	head := "HTTP/1.1 200 OK\r\nX-Filler: " + strings.Repeat("f", 3000) + "\r\nContent-Length: 5\r\n\r\nhello"
	responses := []string{head, reply("200 OK", "two")}
	return hardCase{
		name:    "response head of 3000 bytes",
		server:  alternating(responses),
		clients: []peer.Program{asking([]string{get("/long"), get("/short")}, responses)},
		want: []want{
			{n: "1", path: "/long", status: 200, unmarked: []string{"pipelined"}},
			{n: "2", path: "/short", status: 200, later: true, unmarked: []string{"pipelined"}},
		},
	}
}

// atMostParse is the wait for a client whose pieces the stamps cannot separate:
// anything up to the whole time of reading.
func atMostParse(read string) amount {
	return func(s peer.Stamps) span {
		first, _ := s.First(read)
		last, _ := s.Last(read)
		return span{0, from(first.After, last.After)}
	}
}
