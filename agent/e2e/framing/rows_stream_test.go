package framing

import (
	"fmt"
	"strings"

	"lapwing/agent/e2e/peer"
)

// pause is longer than any time after which an agent could assume the end of a
// response, in milliseconds.
const pause = 450

func streamHead(headers ...string) string {
	return head("200 OK", append([]string{"Content-Type: text/event-stream", chunkedField}, headers...)...)
}

// streamRows are chunked responses with pauses, whose data looks like their
// end, or whose framing is cut in difficult places. Each is followed by another
// request on its connection.
func streamRows() (rows []row) {
	filler := strings.Repeat("x", 200)
	for name, data := range map[string]string{
		"events ending in LF":       "data: " + filler + "\n\n",
		"events ending in CRLF":     "data: " + filler + "\r\n\r\n",
		"CSV":                       "1,name,3.5,2024-01-01\r\n",
		"data like a last chunk":    "rows:" + filler + "n\r\n0\r\n",
		"data like a whole end":     "rows:" + filler + "\r\n0\r\n\r\n",
		"part heads of a multipart": "--frame\r\nContent-Type: image/jpeg\r\n\r\n",
		"NDJSON":                    "{\"n\":100000}\r\n",
		"digits and CRLF":           "count\t100000\r\n",
		"a response as data":        reply("500 Oops", "no") + "\r\n0\r\n\r\n",
		"40 KB a chunk":             strings.Repeat("y", 40_000),
	} {
		one := peer.Write(chunk(data))
		rows = append(rows, stream(name, streamHead(), one, peer.Sleep(ms(pause)), one, peer.Sleep(ms(pause)), one, peer.Write(lastChunk)))
	}
	wait, hello := peer.Sleep(ms(pause)), peer.Write(chunk("hello"))
	return append(rows,
		stream("size and data apart", streamHead(), peer.Write("5\r\n"), wait, peer.Write("hello\r\n"), peer.Write(lastChunk)),
		stream("size cut", streamHead(), peer.Write("1"), wait, peer.Write("0\r"), wait, peer.Write("\n0123456789abcde"), peer.Write("f\r\n"), peer.Write(lastChunk)),
		stream("CR and LF apart", streamHead(), peer.Write("5\r\nhello\r"), wait, peer.Write("\n"+lastChunk)),
		stream("last chunk byte by byte", streamHead(), hello, peer.Write("0"), peer.Write("\r"), wait, peer.Write("\n"), peer.Write("\r"), wait, peer.Write("\n")),
		stream("trailers after a pause", streamHead("Trailer: X-Sum"), hello, peer.Write("0\r\n"), wait, peer.Write("X-Sum: 1\r\n"), wait, peer.Write("\r\n")),
		stream("chunk extensions", streamHead(), peer.Write("5;note=\"0\"\r\nhello\r\n"), wait, peer.Write("0;end\r\n\r\n")),
		stream("zeros and capitals in sizes", streamHead(), peer.Write("0001A\r\n"+strings.Repeat("z", 26)+"\r\n"), wait, hello, wait, peer.Write("000\r\n\r\n")),
		stream("head, data and pause in one piece", streamHead()+chunk("row\r\n"), wait, peer.Write(chunk("row\r\n")), wait, peer.Write(chunk("row\r\n")+lastChunk)),
		stream("byte by byte", "", peer.Trickle(streamHead()+chunks("one\r\n", "two\r\n"), 1, ms(2))),
		cutStream("broken off after a chunk", hello, wait, hello),
		cutStream("broken off in a chunk", hello, wait, peer.Write("64\r\nhalf")),
		cutStream("broken off before the last line", hello, wait, peer.Write("0\r\n")),
	)
}

// stream is a response with the head and what follows it, and then another
// response.
func stream(name, head string, body ...peer.Step) row {
	if head != "" {
		body = append([]peer.Step{peer.Write(head)}, body...)
	}
	path := "/" + strings.ReplaceAll(name, " ", "-")
	x := exchange{ask: get(path), work: ms(20), status: 200, write: body}
	return row{name: "stream, " + name, talk: []exchange{x, plain("/after" + path)}}
}

// cutStream is a stream that ends too early, with the connection.
func cutStream(name string, body ...peer.Step) row {
	r := stream(name, streamHead(), body...)
	r.talk, r.closes = r.talk[:1], true
	r.talk[0].failed = true
	return r
}

// memoryRows have vectored writes with a short last segment. The bytes before
// it in memory are not part of the response.
func memoryRows() []row {
	wait := peer.Sleep(ms(pause))
	data := "row " + strings.Repeat("w", 300) + "\n"
	// A chunk whose last CRLF is in memory after the given bytes.
	behind := func(before string) peer.Step {
		segments := peer.Segments(fmt.Sprintf("%x\r\n", len(data)), data, "\r\n")
		return peer.WriteSegments(peer.Preceded(before, segments)...)
	}
	endBehind := func(before string) peer.Step {
		return peer.WriteSegments(peer.Preceded(before, peer.Segments("0\r\n", "\r\n"))...)
	}
	big := strings.Repeat("y", 40_000)
	bigChunk := peer.WriteSegments(peer.Preceded("\r\n0\r\n", peer.Segments(fmt.Sprintf("%x\r\n", len(big)), big, "\r\n"))...)
	last := behind("\r\n0\r\n")
	return []row{
		stream("CRLF after a last chunk in memory", streamHead(), last, wait, last, wait, last, peer.Write(lastChunk)),
		stream("CRLF after other bytes in memory", streamHead(), behind("????????"), wait, behind("????????"), wait, endBehind("????????")),
		stream("40 KB, CRLF after a last chunk in memory", streamHead(), bigChunk, wait, bigChunk, wait, bigChunk, endBehind("y")),
		stream("head and chunk as segments", "", peer.WriteSegments(peer.Preceded("\r\n0\r\n", peer.Segments(streamHead(), "5\r\n", "hello", "\r\n"))...),
			wait, last, wait, endBehind("\r\n0\r\n")),
		stream("CRLF and size as one segment", "", peer.WriteSegments(peer.Segments(streamHead(), "5\r\n", "hello")...),
			wait, peer.WriteSegments(peer.Segments("\r\n5\r\n", "world")...), wait, peer.WriteSegments(peer.Segments("\r\n0\r\n", "\r\n")...)),
	}
}
