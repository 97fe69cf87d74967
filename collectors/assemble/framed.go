package assemble

import (
	"lapwing/collectors/protocol"
	"lapwing/probes/socket/wire"
)

// framedOf returns what a record says about the framing of its request. The result
// is a view into the record.
func framedOf(r wire.Record) protocol.Framed {
	f := protocol.Framed{
		Head: r.RequestHead(), Read: r.RequestBytes, TraceParent: r.TraceParent(), In: placeOf(r.In),
		ResponseHead: r.ResponseHead(), ResponseHeadLen: int(r.OutHead), Written: r.ResponseBytes, Out: placeOf(r.Out),
		Status: int(r.Out.Status),
	}
	if r.RequestEnd() != wire.EndOpen {
		f.HeadLen = int(r.InHead)
	}
	return f
}

func placeOf(f wire.Framing) protocol.Place {
	return protocol.Place{In: placeIn(f.Place), Left: f.Left, Digits: int(f.At)}
}

// placesIn is indexed by the kernel's places.
var placesIn = [...]protocol.PlaceIn{
	wire.PlaceStart:       protocol.InLine,
	wire.PlaceLine:        protocol.InLine,
	wire.PlaceSkip:        protocol.InHead,
	wire.PlaceName:        protocol.InHead,
	wire.PlaceValue:       protocol.InHead,
	wire.PlaceBody:        protocol.InHead,
	wire.PlaceLength:      protocol.InLength,
	wire.PlaceSize:        protocol.InChunkSize,
	wire.PlaceSizeRest:    protocol.InChunkExtension,
	wire.PlaceChunk:       protocol.InChunk,
	wire.PlaceChunkEnd:    protocol.InChunkEnd,
	wire.PlaceTrailer:     protocol.InTrailer,
	wire.PlaceTrailerLine: protocol.InTrailerLine,
	wire.PlaceClose:       protocol.InRest,
	wire.PlaceLost:        protocol.InLost,
	wire.PlaceEnd:         protocol.InNothing,
}

func placeIn(place uint8) protocol.PlaceIn {
	if int(place) < len(placesIn) {
		return placesIn[place]
	}
	return protocol.InLost
}
