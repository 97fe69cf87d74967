package assemble

import (
	"lapwing/collectors/protocol"
	"lapwing/probes/socket"
)

// framedOf is what a record says of the framing of its request. It is a view into the
// record.
func framedOf(r socket.Record) protocol.Framed {
	f := protocol.Framed{
		Head: r.RequestHead(), Read: r.RequestBytes, TraceParent: r.TraceParent(), In: placeOf(r.In),
		ResponseHead: r.ResponseHead(), ResponseHeadLen: int(r.OutHead), Written: r.ResponseBytes, Out: placeOf(r.Out),
		Status: int(r.Out.Status),
	}
	if r.RequestEnd() != socket.EndOpen {
		f.HeadLen = int(r.InHead)
	}
	return f
}

func placeOf(f socket.Framing) protocol.Place {
	return protocol.Place{In: placeIn(f.Place), Left: f.Left, Digits: int(f.At)}
}

// placesIn is indexed by the kernel's places.
var placesIn = [...]protocol.PlaceIn{
	socket.PlaceStart:       protocol.InLine,
	socket.PlaceLine:        protocol.InLine,
	socket.PlaceSkip:        protocol.InHead,
	socket.PlaceName:        protocol.InHead,
	socket.PlaceValue:       protocol.InHead,
	socket.PlaceBody:        protocol.InHead,
	socket.PlaceLength:      protocol.InLength,
	socket.PlaceSize:        protocol.InChunkSize,
	socket.PlaceSizeRest:    protocol.InChunkExtension,
	socket.PlaceChunk:       protocol.InChunk,
	socket.PlaceChunkEnd:    protocol.InChunkEnd,
	socket.PlaceTrailer:     protocol.InTrailer,
	socket.PlaceTrailerLine: protocol.InTrailerLine,
	socket.PlaceClose:       protocol.InRest,
	socket.PlaceLost:        protocol.InLost,
	socket.PlaceEnd:         protocol.InNothing,
}

func placeIn(place uint8) protocol.PlaceIn {
	if int(place) < len(placesIn) {
		return placesIn[place]
	}
	return protocol.InLost
}
