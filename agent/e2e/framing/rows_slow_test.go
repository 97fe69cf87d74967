package framing

import (
	"fmt"
	"strings"

	"lapwing/agent/e2e/peer"
)

const (
	slowBody  = 1 << 20
	slowTake  = 32 << 10 // how much a client reads at once that never pauses
	slowEvery = 20       // and how often: 0.6 s in total
)

// slowRows are responses to a client that reads slowly, from servers that do
// not block: each write takes what there is room for.
func slowRows() []row {
	chunkedHead, lengthHead := streamHead(), head("200 OK", fmt.Sprint("Content-Length: ", slowBody))
	body := strings.Repeat("b", slowBody)
	size := fmt.Sprintf("%x\r\n", slowBody)
	rows := []row{
		slow("3 segments, chunked", peer.Write(chunkedHead), peer.WriteSegments(peer.Segments(size, body, "\r\n"+lastChunk)...)),
		slow("3 segments with the head, chunked", peer.WriteSegments(peer.Segments(chunkedHead+size, body, "\r\n"+lastChunk)...)),
		slow("10 segments, chunked", peer.Write(chunkedHead), peer.WriteSegments(peer.Segments(sliced(body, 3)...)...)),
		slow("31 segments with the head, chunked", peer.WriteSegments(peer.Segments(append([]string{chunkedHead}, sliced(body, 10)...)...)...)),
		slow("3 segments, length", peer.WriteSegments(peer.Segments(lengthHead, body[:slowBody/2], body[slowBody/2:])...)),
		slow("pieces, chunked", peer.WritePoll(chunkedHead+size+body+"\r\n"+lastChunk).In(50_000)),
	}
	// The room in the kernel is not used up here: the bytes that the client has
	// not acknowledged fill its window.
	rooms := []row{
		slow("pieces after a poll for room, length", peer.Write(lengthHead), peer.WriteRoom(body, 16<<10)),
		slow("pieces after a poll for room, chunked", peer.Write(chunkedHead), peer.WriteRoom(size+body+"\r\n"+lastChunk, 64<<10)),
		slow("small pieces after a poll for room", peer.Write(lengthHead), peer.WriteRoom(body, 4<<10)),
	}
	for i := range rooms {
		rooms[i].families = []peer.Family{peer.TCP4, peer.TCP6}
		x := &rooms[i].talk[0]
		x.receive = []peer.Step{peer.ReadFull(sizeOf(x.write)).In(slowTake).Every(ms(slowEvery))}
	}
	return append(rows, rooms...)
}

func slow(name string, write ...peer.Step) row {
	path := "/slow/" + strings.ReplaceAll(name, " ", "-")
	x := exchange{ask: get(path), work: ms(20), status: 200, write: write, blocked: true}
	// The client pauses twice, for longer than a guess could wait.
	x.receive = []peer.Step{peer.ReadFull(slowBody / 4), peer.Sleep(ms(pause)), peer.ReadFull(slowBody / 4), peer.Sleep(ms(pause)),
		peer.ReadFull(sizeOf(write) - slowBody/2)}
	return row{name: "slow client, " + name, sendBuffer: 64 << 10, receiveBuffer: 64 << 10,
		talk: []exchange{x, plain("/after" + path)}}
}

// sliced returns the segments of n chunks and the last chunk: 3n + 1.
func sliced(body string, n int) (segments []string) {
	for i := range n {
		part := body[i*len(body)/n : (i+1)*len(body)/n]
		segments = append(segments, fmt.Sprintf("%x\r\n", len(part)), part, "\r\n")
	}
	return append(segments, lastChunk)
}
