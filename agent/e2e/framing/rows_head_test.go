package framing

import (
	"strings"

	"lapwing/agent/e2e/peer"
)

// headRows are responses with long heads, or heads in several pieces, and a
// pause in which only the head shows that more bytes will follow.
func headRows() []row {
	const policy = "Content-Security-Policy: "
	long := policy + strings.Repeat("x", 400)
	body, wait := strings.Repeat("b", 1000), peer.Sleep(ms(pause))
	half := peer.Write(body)
	const length = "Content-Length: 2000"
	// A head in which the digits of the length span the given byte.
	across := func(at int) string {
		const before = "HTTP/1.1 200 OK\r\n"
		return head("200 OK", padding(at-len(before)-len("\r\nContent-Length: 20")), length)
	}
	row1 := peer.Write(chunk("row\n"))
	var rows []row
	for name, h := range map[string]string{
		"short":                     head("200 OK", length),
		"length behind 400 bytes":   head("200 OK", long, length),
		"length across byte 256":    across(256),
		"length across byte 1024":   across(1024),
		"length behind 4 KB":        head("200 OK", padding(4000), length),
		"length behind 8 KB":        head("200 OK", padding(5000), padding(3500), length),
		"length behind 15 KB":       head("200 OK", padding(7000), padding(8000), length),
		"length before and 8 KB":    head("200 OK", length, padding(8000)),
		"another length in a value": head("200 OK", "X-Note: Content-Length: 1000", "X-Content-Length: 1000", padding(300), length),
	} {
		rows = append(rows,
			stream("head "+name+", half the body", h+body, wait, half),
			stream("head "+name+", no body yet", h, wait, half, half))
	}
	cut := func(name, h, at string) row {
		i := strings.Index(h, at) + len(at)
		return stream("head cut in "+name, h[:i], wait, peer.Write(h[i:]+body), wait, half)
	}
	segments := []string{"HTTP/1.1 200 OK\r\n", "Server: script\r\n", "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
		"X-A: 1\r\n", "X-B: 2\r\n", "X-C: 3\r\n", long + "\r\n", length + "\r\n", "\r\n"}
	chunkedSegments := append(append([]string{}, segments[:7]...), chunkedField+"\r\n", "\r\n")
	rows = append(rows,
		stream("head long, chunked", head("200 OK", long, chunkedField), row1, wait, row1, wait, row1, peer.Write(lastChunk)),
		stream("head of 8 KB, chunked", head("200 OK", padding(8000), chunkedField)+chunk("row\n"), wait, row1, peer.Write(lastChunk)),
		stream("head of 15 KB, chunked", head("200 OK", padding(7000), padding(8000), chunkedField)+chunk("row\n"), wait, row1, peer.Write(lastChunk)),
		cut("the number", head("200 OK", long, length), "Content-Length: 20"),
		cut("the name", head("200 OK", long, length), "\r\nContent-Len"),
		cut("the blank line", head("200 OK", long, length), "Content-Length: 2000\r\n\r"),
		cut("the coding", head("200 OK", long, length), "\r\nContent-Length: "),
		stream("head cut in the coding", "HTTP/1.1 200 OK\r\n"+long+"\r\nTransfer-Encoding: chu", wait, peer.Write("nked\r\n\r\n"+chunk("row\n")), wait, peer.Write(lastChunk)),
		stream("head in 9 segments, half the body", "", peer.WriteSegments(peer.Segments(append(segments, body)...)...), wait, half),
		stream("head in 9 segments, no body yet", "", peer.WriteSegments(peer.Segments(segments...)...), wait, half, half),
		stream("head in 9 segments, chunked", "", peer.WriteSegments(peer.Segments(append(chunkedSegments, chunk("row\n"))...)...), wait, row1, peer.Write(lastChunk)),
		stream("head line by line", "", lines(head("200 OK", long, "X-A: 1", length), wait, half, half)...),
		stream("head in pieces of 7 bytes", "", peer.Trickle(head("200 OK", long, length), 7, ms(1)), wait, half, half),
		unseen("more than 16 KB, length last", peer.Write(head("200 OK", padding(9000), padding(9000), length)), wait, half, wait, half),
		unseen("more than 16 KB, chunked", peer.Write(head("200 OK", padding(9000), padding(9000), chunkedField)), row1, wait, row1, wait, peer.Write(lastChunk)),
		unseen("sendfile", peer.Sendfile(head("200 OK", long, length)+body), wait, half),
		untilClose("HTTP/1.1", head("200 OK", long, "Connection: close"), half, wait, half),
		untilClose("HTTP/1.1 without Connection", head("200 OK", "X-A: 1"), peer.Write("row\r\n0\r\n\r\n"), wait, half),
		untilClose("HTTP/1.0", "HTTP/1.0 200 OK\r\n"+long+"\r\n\r\n", half, wait, half),
	)
	return append(rows, bodiless()...)
}

// lines writes a head line by line, followed by other steps.
func lines(head string, then ...peer.Step) (steps []peer.Step) {
	for _, line := range strings.SplitAfter(head, "\r\n") {
		if line != "" {
			steps = append(steps, peer.Write(line))
		}
	}
	return append(steps, then...)
}

// unseen is a response whose head need not be visible. If its end is not known,
// the next request ends it, never a pause.
func unseen(name string, write ...peer.Step) row {
	r := stream("unseen head, "+name, "", write...)
	r.talk[0].unknown = true
	return r
}

// untilClose is a response that ends with its connection.
func untilClose(name, head string, body ...peer.Step) row {
	r := stream("until close, "+name, head, body...)
	r.talk, r.closes = r.talk[:1], true
	if strings.HasPrefix(head, "HTTP/1.0") {
		r.talk[0].ask = strings.Replace(r.talk[0].ask, "HTTP/1.1", "HTTP/1.0", 1)
		r.talk[0].protocol = "http/1.0"
	}
	return r
}

// bodiless are responses without a body, whatever their header fields say.
func bodiless() []row {
	r := row{name: "head without a body"}
	for path, response := range map[string]string{
		"/204": head("204 No Content", padding(300), "X-A: 1"),
		"/304": head("304 Not Modified", padding(300), "Content-Length: 2000"),
		"/205": head("205 Reset Content", padding(300), "Content-Length: 0"),
	} {
		x := plain(path)
		x.status = int(path[1]-'0')*100 + int(path[3]-'0')
		x.write = []peer.Step{peer.Write(response)}
		r.talk = append(r.talk, x, plain("/after"+path))
	}
	asked := plain("/head")
	asked.ask = ask("HEAD", "/head", "")
	asked.write = []peer.Step{peer.Write(head("200 OK", padding(300), "Content-Length: 2000"))}
	r.talk = append(r.talk, asked, plain("/after/head"))
	return []row{r}
}
