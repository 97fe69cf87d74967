package otlp

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"lapwing/collectors/request"
)

// The names in the agent's own namespace. docs/telemetry.md explains each.
// Durations are in seconds, as in OpenTelemetry.
const (
	keyBacklog    = attribute.Key("lapwing.queue.backlog")
	keyDispatch   = attribute.Key("lapwing.queue.dispatch")
	keyClientWait = attribute.Key("lapwing.parse.client_wait")
	keyBlocked    = attribute.Key("lapwing.write_back.blocked")
	keyProduce    = attribute.Key("lapwing.write_back.produce")
	keyDrain      = attribute.Key("lapwing.drain")
	keyConnect    = attribute.Key("lapwing.call.connect")
	keyCallEnd    = attribute.Key("lapwing.call.end")

	keyBoundary       = attribute.Key("lapwing.boundary")
	keyFlags          = attribute.Key("lapwing.flags")
	keySequence       = attribute.Key("lapwing.connection.request")
	keyAcceptor       = attribute.Key("lapwing.acceptor.thread.id")
	keyWriter         = attribute.Key("lapwing.writer.thread.id")
	keySamplingRatio  = attribute.Key("lapwing.sampling.ratio")
	keySamplingReason = attribute.Key("lapwing.sampling.reason")
)

// partKey names a part and the phase whose span carries it. A part without a
// phase is on the span of the request.
type partKey struct {
	key   attribute.Key
	phase request.Phase
}

var partKeys = [request.NumParts]partKey{
	request.PartBacklog:    {keyBacklog, request.Queue},
	request.PartDispatch:   {keyDispatch, request.Queue},
	request.PartClientWait: {keyClientWait, request.Parse},
	request.PartBlocked:    {keyBlocked, request.WriteBack},
	request.PartProduce:    {keyProduce, request.WriteBack},
	request.PartDrain:      {keyDrain, request.NumPhases},
}

// parts adds the parts of one phase that were measured.
func (a *attrs) parts(parts []request.PartDuration, phase request.Phase) {
	for _, part := range parts {
		if name := partKeys[part.Part]; name.phase == phase {
			a.double(name.key, part.Duration.Seconds())
		}
	}
}

// own adds what only this agent knows about a request.
func (a *attrs) own(i *item) {
	r := &i.req
	a.worker(r)
	a.text(keyBoundary, r.Boundary.String())
	if r.Flags != 0 {
		a.texts(keyFlags, r.Flags.Names())
	}
	if r.Seq != 0 {
		a.number(keySequence, int64(r.Seq))
	}
	a.parts(r.Parts(), request.NumPhases)
	a.text(keySamplingReason, i.verdict.Reason())
	if ratio, ok := i.verdict.Ratio(); ok {
		a.double(keySamplingRatio, ratio)
	}
}

// worker adds the process and the threads that handled the request.
func (a *attrs) worker(r *request.Request) {
	if r.PID != 0 {
		a.number(semconv.ProcessPIDKey, int64(r.PID))
		a.number(semconv.ThreadIDKey, int64(r.TID))
		a.text(semconv.ThreadNameKey, r.Comm)
	}
	if r.AcceptorTID != 0 {
		a.number(keyAcceptor, int64(r.AcceptorTID))
	}
	if r.WriterTID != 0 && r.WriterTID != r.TID {
		a.number(keyWriter, int64(r.WriterTID))
	}
}
