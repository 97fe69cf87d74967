package framing

import (
	"fmt"
	"strings"

	"lapwing/agent/e2e/peer"
)

// bodyRows are requests whose chunked body contains lines that look like a
// head.
func bodyRows() (rows []row) {
	part := func(n int) string {
		return fmt.Sprintf("--b\r\nContent-Type: application/http\r\nContent-Length: %d\r\n\r\nx\r\n--b--\r\n", n)
	}
	odata := "--b\r\nContent-Type: application/http\r\n\r\nPOST /Orders HTTP/1.1\r\nContent-Type: application/json\r\n" +
		"Content-Length: 18\r\n\r\n{\"OrderID\": \"1234\"}\r\n--b--\r\n"
	for name, body := range map[string]string{
		"nothing special":       "hello",
		"length 100000":         part(100_000),
		"length 3":              part(3),
		"length 0":              part(0),
		"OData batch":           odata,
		"JSON with a line":      "{\"log\":\"\nContent-Length: 99999\n\"}",
		"traceparent and chunk": "\r\ntraceparent: 00-1111111111111111111111111111aaaa-222222222222bbbb-01\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
	} {
		for _, method := range []string{"POST", "PUT", "QUERY"} {
			whole := ask(method, "/batch", chunks(body), chunkedField)
			rows = append(rows, batch(method+" body with "+name, exchange{ask: whole}))
		}
		// The server reads only the head, and then the body in pieces.
		whole := ask("POST", "/batch", chunks(body), chunkedField)
		at := strings.Index(whole, "\r\n\r\n") + 4
		rows = append(rows, batch("body in pieces with "+name, exchange{ask: whole,
			send: []peer.Step{peer.Write(whole[:at]), peer.Sleep(ms(20)), peer.Write(whole[at:])},
			read: []peer.Step{peer.ReadFull(at), peer.ReadFull(len(whole) - at).In(13)}}))
	}
	return rows
}

// batch is a request followed by three more on the same connection.
func batch(name string, x exchange) row {
	x.work, x.status, x.write = ms(20), 200, []peer.Step{peer.Write(reply("200 OK", "done"))}
	return row{name: name, talk: []exchange{x, plain("/after1"), plain("/after2"), plain("/after3")}}
}

// bothRows are requests with a length and chunks, and requests whose length is
// easily misread. Chunks take precedence.
func bothRows() (rows []row) {
	const body = "3\r\nabc\r\n0\r\n\r\n"
	for name, x := range map[string]struct {
		fields []string
		body   string
	}{
		"length 5000 first":      {[]string{"Content-Length: 5000", chunkedField}, body},
		"length 5000 last":       {[]string{chunkedField, "Content-Length: 5000"}, body},
		"length 1":               {[]string{"Content-Length: 1", chunkedField}, body},
		"length 0":               {[]string{"Content-Length: 0", chunkedField}, body},
		"length of the chunks":   {[]string{lengthOf(body), chunkedField}, body},
		"both behind 4 KB":       {[]string{padding(4000), chunkedField, "Content-Length: 5000"}, body},
		"a coding before it":     {[]string{"Content-Length: 5000", "Transfer-Encoding: gzip, chunked"}, body},
		"the same length twice":  {[]string{"Content-Length: 3", "Content-Length: 3"}, "abc"},
		"a folded line":          {[]string{"X-Note: a\r\n Content-Length: 5000", "Content-Length: 3"}, "abc"},
		"another name's end":     {[]string{"X-Content-Length: 5000", "Content-Length: 3"}, "abc"},
		"no space, small":        {[]string{"content-length:3"}, "abc"},
		"length behind 8 KB":     {[]string{padding(8000), "Content-Length: 3"}, "abc"},
		"length behind 15 KB":    {[]string{padding(7000), padding(8000), "Content-Length: 3"}, "abc"},
		"chunked behind 8 KB":    {[]string{padding(8000), chunkedField}, body},
		"chunked across 256":     {[]string{padding(197), chunkedField}, body},
		"length across 256":      {[]string{padding(193), "Content-Length: 0000000000003"}, "abc"},
		"a line like a field":    {[]string{"X-A: b\r\n\tTransfer-Encoding: chunked", "Content-Length: 3"}, "abc"},
		"chunked in capitals":    {[]string{"TRANSFER-ENCODING: CHUNKED"}, body},
		"length of more digits":  {[]string{"Content-Length: 0000000000003"}, "abc"},
		"length and spaces":      {[]string{"Content-Length:   3  "}, "abc"},
		"trailers in the chunks": {[]string{chunkedField}, "3\r\nabc\r\n0\r\nContent-Length: 7\r\n\r\n"},
	} {
		rows = append(rows, batch("request with "+name, exchange{ask: ask("POST", "/both", x.body, x.fields...)}))
	}
	return rows
}

// expectRows are clients that send Expect: 100-continue, are refused, and
// continue without their body.
func expectRows() (rows []row) {
	expects := func(path string, fields ...string) string {
		return ask("POST", path, "", append(fields, "Expect: 100-continue")...)
	}
	for _, status := range []int{417, 401, 413} {
		for name, fields := range map[string][]string{
			"length": {"Content-Length: 100"}, "chunked": {chunkedField}, "length behind 4 KB": {padding(4000), "Content-Length: 100"},
		} {
			refused := func(path string) exchange {
				return exchange{ask: expects(path, fields...), work: ms(20), status: status, flags: []string{"early_response"},
					early: true, write: []peer.Step{peer.Write(reply(fmt.Sprint(status, " No"), "no"))}}
			}
			again := exchange{ask: ask("POST", "/again", strings.Repeat("b", 100), "Content-Length: 100"), work: ms(20), status: 200,
				write: []peer.Step{peer.Write(reply("200 OK", "ok"))}}
			rows = append(rows, row{name: fmt.Sprintf("expect refused with %d, %s", status, name),
				talk: []exchange{refused("/refused1"), again, refused("/refused2"), plain("/after")}})
		}
	}
	return rows
}

// refusedRows are uploads that are refused after their head. The client sends
// the body anyway, the server reads it, and the connection continues.
func refusedRows() (rows []row) {
	for _, line := range []string{"DELETE FROM t", "GET /x HTTP/1.1", "ERROR", "AAAA", "HTTP/1.1 500 Oops"} {
		piece := line + strings.Repeat(" q", (998-len(line))/2)
		piece += strings.Repeat("q", 998-len(piece)) + "\r\n"
		pieces := strings.Repeat(piece, 8)
		for name, fields := range map[string][]string{
			"short head": {lengthOf(pieces)}, "long head": {padding(300), lengthOf(pieces)}, "head of 8 KB": {padding(8000), lengthOf(pieces)},
		} {
			status := 401 + 2*(len(rows)%2)
			rows = append(rows, refused(fmt.Sprintf("upload refused with %d, %s, body of %s", status, name, line), status,
				ask("POST", "/upload", pieces, fields...), len(piece)))
		}
		sized := chunk(piece)
		rows = append(rows, refused("upload refused, chunked, long head, body of "+line, 401,
			ask("POST", "/upload", strings.Repeat(sized, 8)+lastChunk, padding(300), chunkedField), len(sized)))
	}
	return rows
}

func refused(name string, status int, whole string, piece int) row {
	at := strings.Index(whole, "\r\n\r\n") + 4
	upload := exchange{ask: whole, work: ms(20), status: status, early: true, flags: []string{"early_response"}, requested: len(whole),
		send:   []peer.Step{peer.Write(whole[:at]), peer.Trickle(whole[at:], piece, ms(5)).As(aside)},
		read:   []peer.Step{peer.ReadFull(at)},
		write:  []peer.Step{peer.Write(reply(fmt.Sprint(status, " No"), "no"))},
		unread: []peer.Step{peer.ReadFull(len(whole) - at).In(piece)}}
	return row{name: name, talk: []exchange{upload, plain("/after")}}
}

// traceRows are requests with a traceparent after a long cookie.
func traceRows() (rows []row) {
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e%04x", "00f067aa0ba9%04x"
	for _, size := range []int{0, 150, 1500, 7000, 15_000} {
		cookie := "Cookie: session=" + strings.Repeat("c", size)
		r := row{name: fmt.Sprintf("traceparent behind a cookie of %d", size)}
		for i, cut := range []string{"", "Cookie: ", "\r\ntrace", "traceparent: 00-4bf9", "-00f0", "-01", "-01\r\n\r"} {
			x := plain(fmt.Sprintf("/trace%d", i))
			x.trace, x.span = fmt.Sprintf(trace, i), fmt.Sprintf(span, i)
			field := "traceparent: 00-" + x.trace + "-" + x.span + "-01"
			x.ask = get(fmt.Sprintf("/trace%d", i), cookie, field)
			x.cutAfter(cut)
			r.talk = append(r.talk, x)
		}
		// The server reads in pieces what arrived at once.
		x := r.talk[0]
		x.ask = strings.Replace(x.ask, "/trace0", "/pieces", 1)
		x.read = []peer.Step{peer.ReadFull(len(x.ask)).In(1000)}
		r.talk = append(r.talk, x, x)
		last := &r.talk[len(r.talk)-1]
		last.ask = strings.Replace(x.ask, "/pieces", "/crumbs", 1)
		last.read = []peer.Step{peer.ReadFull(len(x.ask)).In(max(7, size/50))}
		rows = append(rows, r)
	}
	return append(rows, notTraced())
}

// cutAfter makes the request be sent and read in two pieces, the first of which
// ends with the text.
func (x *exchange) cutAfter(text string) {
	if text == "" {
		return
	}
	at := strings.Index(x.ask, text) + len(text)
	x.send = []peer.Step{peer.Write(x.ask[:at]), peer.Sleep(ms(10)), peer.Write(x.ask[at:])}
	x.read = []peer.Step{peer.ReadFull(at), peer.ReadFull(len(x.ask) - at)}
}

// notTraced has the name of the field in other places before the field itself.
func notTraced() row {
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	field := "traceparent: 00-" + trace + "-" + span + "-01"
	const other = "00-ffffffffffffffffffffffffffff0001-ffffffffffff0001-01"
	r := row{name: "traceparent, and its name elsewhere"}
	for i, fields := range [][]string{
		{"Cookie: traceparent: " + other, field},
		{"X-traceparent: " + other, padding(1000), field},
		{"X-Note: a\r\n traceparent: " + other, padding(300), field},
		{padding(300), "TraceParent:" + strings.TrimPrefix(field, "traceparent:")},
	} {
		x := plain(fmt.Sprintf("/named%d", i))
		x.ask, x.trace, x.span = get(fmt.Sprintf("/named%d", i), fields...), trace, span
		r.talk = append(r.talk, x)
	}
	return r
}
