package framing

import (
	"fmt"
	"strings"

	"lapwing/agent/e2e/peer"
)

// hints returns an interim response of about 60 bytes, plus 45 for each link.
func hints(links int) string {
	var fields []string
	for i := range links {
		fields = append(fields, fmt.Sprintf("Link: </a%02d.css>; rel=preload; as=style", i))
	}
	return head("103 Early Hints", fields...)
}

// interimRows are interim responses of all sizes and cuts, before responses
// with different statuses.
func interimRows() (rows []row) {
	wait, before := peer.Sleep(ms(30)), func(text string) peer.Step { return peer.Write(text).As(interim) }
	pieces := func(texts ...string) peer.Step { return peer.WriteSegments(peer.Segments(texts...)...) }
	for name, write := range map[string]func(final string) []peer.Step{
		"none":               func(f string) []peer.Step { return []peer.Step{peer.Write(f)} },
		"short in one send":  func(f string) []peer.Step { return []peer.Step{peer.Write(hints(1) + f)} },
		"long in one send":   func(f string) []peer.Step { return []peer.Step{peer.Write(hints(8) + f)} },
		"6 KB in one send":   func(f string) []peer.Step { return []peer.Step{peer.Write(hints(130) + f)} },
		"short before":       func(f string) []peer.Step { return []peer.Step{before(hints(1)), wait, peer.Write(f)} },
		"long before":        func(f string) []peer.Step { return []peer.Step{before(hints(8)), wait, peer.Write(f)} },
		"line by line":       func(f string) []peer.Step { return append(byLine(hints(3)), wait, peer.Write(f)) },
		"long, line by line": func(f string) []peer.Step { return append(byLine(hints(12)), wait, peer.Write(f)) },
		"two in one send":    func(f string) []peer.Step { return []peer.Step{peer.Write(hints(1) + hints(1) + f)} },
		"two long, one send": func(f string) []peer.Step { return []peer.Step{peer.Write(hints(8) + hints(8) + f)} },
		"two before":         func(f string) []peer.Step { return []peer.Step{before(hints(1) + hints(1)), wait, peer.Write(f)} },
		"two long before":    func(f string) []peer.Step { return []peer.Step{before(hints(8) + hints(8)), wait, peer.Write(f)} },
		"one and a half": func(f string) []peer.Step {
			return []peer.Step{before(hints(8) + hints(8)[:100]), wait, before(hints(8)[100:]), wait, peer.Write(f)}
		},
		"half and the rest": func(f string) []peer.Step {
			return []peer.Step{before(hints(8)[:100]), wait, peer.Write(hints(8)[100:] + f)}
		},
		"102 twice": func(f string) []peer.Step {
			return []peer.Step{before(head("102 Processing")), wait, before(head("102 Processing")), wait, peer.Write(f)}
		},
		"100 over segments": func(f string) []peer.Step {
			return []peer.Step{pieces("HTTP/1.1 ", "100", " Continue\r\n\r\n").As(interim), wait, peer.Write(f)}
		},
		"4 segments": func(f string) []peer.Step {
			return []peer.Step{pieces("HTTP/1.1 103 ", "Early Hints\r\n", "Link: </a>\r\n\r\n", f)}
		},
		"7 segments": func(f string) []peer.Step {
			return []peer.Step{pieces("HTTP/1.1 1", "03 ", "Early", " Hints\r\n", "Link: </a>\r\n", "\r\n", f)}
		},
		"final in 3 segments": func(f string) []peer.Step { return []peer.Step{pieces(hints(8), f[:10], f[10:20], f[20:])} },
		"status in pieces": func(f string) []peer.Step {
			return []peer.Step{before("HTTP/1.1 10"), before("3 Early Hints\r\n\r\n"), wait, peer.Write(f[:10]), peer.Write(f[10:])}
		},
	} {
		r := row{name: "interim " + name}
		for _, status := range []int{200, 404, 500, 201} {
			final := reply(fmt.Sprint(status, " Status"), fmt.Sprint("the body of ", status))
			x := exchange{ask: get(fmt.Sprint("/", status)), work: ms(20), status: status, answered: -1, write: write(final)}
			r.talk = append(r.talk, x)
		}
		rows = append(rows, r)
	}
	return append(rows, leaveInPieces()...)
}

func byLine(text string) (steps []peer.Step) {
	for _, s := range lines(text) {
		steps = append(steps, s.As(interim), peer.Sleep(ms(2)))
	}
	return steps
}

// leaveInPieces are servers that send 100 Continue in several writes, as Perl's
// HTTP::Daemon does.
func leaveInPieces() (rows []row) {
	body := strings.Repeat("b", 1000)
	for name, pieces := range map[string][]string{
		"one write":    {"HTTP/1.1 100 Continue\r\n\r\n"},
		"three writes": {"HTTP/1.1 100 Continue", "\r\n", "\r\n"},
		"five writes":  {"HTTP/1.1 ", "100", " Continue", "\r\n", "\r\n"},
		"with fields":  {"HTTP/1.1 100 Continue\r\n", "Server: script\r\n", padding(300) + "\r\n", "\r\n"},
	} {
		r := row{name: "leave in " + name}
		for _, status := range []int{201, 404, 500} {
			whole := ask("PUT", fmt.Sprint("/", status), body, "Expect: 100-continue", lengthOf(body))
			at := len(whole) - len(body)
			x := exchange{ask: whole, work: ms(30), status: status, answered: -1}
			x.read = []peer.Step{peer.ReadFull(at)}
			leave := 0
			for _, p := range pieces {
				x.read = append(x.read, peer.Write(p).As(interim))
				leave += len(p)
			}
			x.read = append(x.read, peer.ReadFull(len(body)))
			x.send = []peer.Step{peer.Write(whole[:at]), peer.ReadFull(leave).As(aside), peer.Sleep(ms(20)), peer.Write(body)}
			final := reply(fmt.Sprint(status, " Status"), "done")
			x.write = []peer.Step{peer.Write(final[:17]), peer.Write(final[17:40]), peer.Write(final[40:])}
			r.talk = append(r.talk, x)
		}
		r.talk = append(r.talk, plain("/after"))
		rows = append(rows, r)
	}
	return rows
}

// rawRows are connections that become a raw stream after a response without a
// length. What the client types there is not a request.
func rawRows() (rows []row) {
	typed := []string{"ls -l\n", get("/secret"), "SELECT * FROM t\n", reply("500 no", ""), "GET /secret2 HTTP/1.1\r\nHost: x\r\n\r\n"}
	for name, response := range map[string]string{
		"docker exec": head("200 OK", "Content-Type: application/vnd.docker.raw-stream"),
		"long head":   head("200 OK", padding(400), "Content-Type: application/vnd.docker.raw-stream"),
		"HTTP/1.0":    "HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n",
	} {
		for _, echoes := range []bool{true, false} {
			rows = append(rows, rawStream(name, response, typed, echoes))
		}
	}
	return rows
}

// rawStream is a raw stream that the server closes. The server echoes what was
// typed, or only reads it.
func rawStream(name, response string, typed []string, echoes bool) row {
	x := exchange{ask: ask("POST", "/exec", "{}", "Content-Length: 2"), work: ms(20), status: 200, requested: -1, endless: true}
	if strings.HasPrefix(response, "HTTP/1.0") {
		x.ask, x.protocol = strings.Replace(x.ask, "HTTP/1.1", "HTTP/1.0", 1), "http/1.0"
	}
	x.write = []peer.Step{peer.Write(response)}
	x.receive = []peer.Step{peer.ReadFull(len(response))}
	for _, line := range typed {
		x.receive = append(x.receive, peer.Sleep(ms(pause/2)), peer.Write(line).As(aside))
		x.write = append(x.write, peer.ReadFull(len(line)).As(aside))
		if echoes {
			x.write = append(x.write, peer.Write(line))
			x.receive = append(x.receive, peer.ReadFull(len(line)))
		}
	}
	how := "silent"
	if echoes {
		how = "echoed"
	}
	return row{name: "raw stream, " + name + ", " + how, closes: true, talk: []exchange{x}}
}

// pairRows are two requests in one send whose responses are far apart.
func pairRows() (rows []row) {
	for name, first := range map[string][]peer.Step{
		"length":         {peer.Write(reply("200 OK", "first"))},
		"chunked":        {peer.Write(head("200 OK", chunkedField) + chunks("first"))},
		"long head":      {peer.Write(head("200 OK", padding(400), "Content-Length: 5") + "first")},
		"length, pieces": {peer.Write(head("200 OK", "Content-Length: 5")), peer.Write("first")},
	} {
		for kind, one := range map[string]string{
			"GET": get("/first"), "long GET": get("/first", padding(1000)), "POST": ask("POST", "/first", "a body", "Content-Length: 6"),
			"chunked POST": ask("POST", "/first", chunks("a body"), chunkedField),
		} {
			if kind != "GET" && strings.Contains(name, "pieces") || kind == "long GET" && name != "length" {
				continue
			}
			rows = append(rows, pair(fmt.Sprintf("two in one send, %s, %s", kind, name), one, first)...)
		}
	}
	return rows
}

// pair is a connection with the two requests, which the server reads in one
// read or separately, and a connection that has served another request before.
func pair(name, one string, first []peer.Step) []row {
	two := get("/second")
	x := exchange{ask: one, requested: len(one), status: 200, write: first, work: ms(20),
		send: []peer.Step{peer.Write(one + two)}, read: []peer.Step{peer.ReadFull(len(one + two))}}
	y := exchange{ask: two, requested: len(two), status: 404, work: ms(pause), flags: []string{"pipelined"},
		send: []peer.Step{}, sentAs: "send1", read: []peer.Step{}, readAs: "read1", write: []peer.Step{peer.Write(reply("404 Not Found", "second"))}}
	together := row{name: name + ", one read", talk: []exchange{x, y, plain("/after")}}
	x.read, y.read, y.readAs = []peer.Step{peer.ReadFull(len(one))}, []peer.Step{peer.ReadFull(len(two))}, ""
	apart := row{name: name + ", two reads", talk: []exchange{x, y, plain("/after")}}
	y.sentAs = "send2"
	later := row{name: name + ", later", talk: []exchange{plain("/before"), x, y}}
	return []row{together, apart, later}
}

// blankRows have blank lines between the requests of a connection. They belong
// to no request.
func blankRows() []row {
	late := func(blank string) exchange {
		x := plain("/late")
		x.send = []peer.Step{peer.Write(blank).As(aside), peer.Sleep(ms(pause)), peer.Write(x.ask)}
		x.read = []peer.Step{peer.ReadFull(len(blank)).As(aside), peer.ReadFull(len(x.ask))}
		x.requested = -1
		return x
	}
	together := plain("/together")
	together.send = []peer.Step{peer.Write("\r\n").As(aside), peer.Sleep(ms(pause)), peer.Write(together.ask), peer.Signal(taken)}
	together.read = []peer.Step{peer.Await(taken), peer.ReadFull(2 + len(together.ask))}
	together.requested = -1
	// Some old clients send a CRLF after the body that no length includes.
	body := "a=1"
	posted := exchange{ask: ask("POST", "/form", body, lengthOf(body)), work: ms(20), status: 200, requested: -1,
		write: []peer.Step{peer.Write(reply("200 OK", "posted"))}}
	posted.send = []peer.Step{peer.Write(posted.ask + "\r\n")}
	posted.read = []peer.Step{peer.ReadFull(len(posted.ask) + 2)}
	afterwards := plain("/afterwards")
	afterwards.send = []peer.Step{peer.Sleep(ms(pause)), peer.Write(afterwards.ask)}
	return []row{
		{name: "blank line before a request", talk: []exchange{plain("/first"), late("\r\n"), plain("/after")}},
		{name: "two blank lines before a request", talk: []exchange{plain("/first"), late("\r\n\r\n"), plain("/after")}},
		{name: "bare LF before a request", talk: []exchange{plain("/first"), late("\n"), plain("/after")}},
		{name: "blank line before the first request", talk: []exchange{late("\r\n"), plain("/after")}},
		{name: "blank line read with the request", talk: []exchange{plain("/first"), together, plain("/after")}},
		{name: "blank line after a body", talk: []exchange{plain("/first"), posted, afterwards, plain("/after")}},
	}
}

// unreadRows are servers that respond before they have read the body. The rest
// of it and the next request arrive in one read.
func unreadRows() (rows []row) {
	body := strings.Repeat("line of a body\r\n", 200)
	for name, whole := range map[string]string{
		"length":             ask("POST", "/unread", body, lengthOf(body)),
		"length behind 4 KB": ask("POST", "/unread", body, padding(4000), lengthOf(body)),
		"chunked":            ask("POST", "/unread", chunks(body[:1000], body[1000:]), chunkedField),
	} {
		at := strings.Index(whole, "\r\n\r\n") + 4
		for _, had := range []int{0, 10, 1500} { // bytes of the body that were read before
			x := exchange{ask: whole, requested: len(whole), work: ms(20), status: 200, early: true, flags: []string{"early_response"},
				write: []peer.Step{peer.Write(reply("200 OK", "first"))}, read: []peer.Step{peer.ReadFull(at + had)}}
			y := exchange{ask: get("/next"), requested: len(get("/next")), work: ms(30), status: 404,
				write: []peer.Step{peer.Write(reply("404 Not Found", "the second"))}}
			y.read = []peer.Step{peer.ReadFull(len(whole) - at - had + len(y.ask))}
			// The rest waits in the queue until the next request has also
			// arrived.
			y.send = []peer.Step{peer.Write(y.ask), peer.Signal(taken)}
			y.read = append([]peer.Step{peer.Await(taken)}, y.read...)
			rows = append(rows, row{name: fmt.Sprintf("body unread, %s, %d of it read", name, had), talk: []exchange{x, y, plain("/after")}})
		}
	}
	return rows
}
