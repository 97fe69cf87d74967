package otlp

import (
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"lapwing/collectors/request"
	"lapwing/exporters/internal/slab"
)

// span is a span with room for the values that it points to.
type span struct {
	span    tracepb.Span
	status  tracepb.Status
	traceID [16]byte
	id      [8]byte
	parent  [8]byte
}

// builder turns items into spans, grouped by service. The result of a build is
// valid until the next one: spans and attributes are reused.
type builder struct {
	clock     *request.Clock
	withQuery bool
	resources *resources
	scope     *commonpb.InstrumentationScope

	spans  slab.Slab[span]
	attrs  slab.Slab[attr]
	groups map[string]*tracepb.ResourceSpans
	batch  []*tracepb.ResourceSpans
}

// maxGroups limits the number of services that the builder remembers. A host
// has tens.
const maxGroups = 1024

func newBuilder(clock *request.Clock, withQuery bool, res *resources) *builder {
	return &builder{
		clock:     clock,
		withQuery: withQuery,
		resources: res,
		scope:     &commonpb.InstrumentationScope{Name: scopeName, Version: res.version},
		groups:    make(map[string]*tracepb.ResourceSpans),
	}
}

// build returns the spans of items, and the number of these spans.
func (b *builder) build(items []*item) (batch []*tracepb.ResourceSpans, spans int) {
	b.reset()
	for _, i := range items {
		b.add(i)
	}
	return b.batch, b.spans.Used()
}

func (b *builder) reset() {
	for _, group := range b.batch {
		group.ScopeSpans[0].Spans = group.ScopeSpans[0].Spans[:0]
	}
	if len(b.groups) > maxGroups {
		clear(b.groups)
	}
	b.batch = b.batch[:0]
	b.spans.Reset()
	b.attrs.Reset()
}

func (b *builder) add(i *item) {
	scope := b.group(i.req.Service).ScopeSpans[0]
	window := windowOf(&i.req, b.clock)
	root := b.root(i, window)
	scope.Spans = append(scope.Spans, &root.span)
	bounds := i.req.Bounds()
	parts := i.req.Parts()
	var app *span
	for p := range request.NumPhases {
		if bounds.Known(p) {
			s := b.phase(root, p, bounds, parts, window)
			scope.Spans = append(scope.Spans, &s.span)
			if p == request.App {
				app = s
			}
		}
	}
	for _, c := range i.req.Calls {
		scope.Spans = append(scope.Spans, &b.call(root, app, c, window).span)
	}
}

// group returns the part of the batch that belongs to the service.
func (b *builder) group(service string) *tracepb.ResourceSpans {
	group, ok := b.groups[service]
	if !ok {
		group = &tracepb.ResourceSpans{
			Resource:   b.resources.of(service),
			SchemaUrl:  semconv.SchemaURL,
			ScopeSpans: []*tracepb.ScopeSpans{{Scope: b.scope, SchemaUrl: semconv.SchemaURL}},
		}
		b.groups[service] = group
	}
	if len(group.ScopeSpans[0].Spans) == 0 {
		b.batch = append(b.batch, group)
	}
	return group
}

// root returns the SERVER span of the whole request.
func (b *builder) root(i *item, w window) *span {
	s := b.spans.Next()
	s.traceID, s.id, s.parent = i.req.TraceID, i.req.SpanID, i.req.ParentSpanID
	p := &s.span
	p.TraceId, p.SpanId, p.ParentSpanId = s.traceID[:], s.id[:], nil
	p.Flags = uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK) | flagSampled
	if s.parent != [8]byte{} {
		p.ParentSpanId = s.parent[:]
		p.Flags |= uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	}
	p.TraceState = validText(i.verdict.TraceState(i.req.TraceState))
	p.Name = spanName(i)
	p.Kind = tracepb.Span_SPAN_KIND_SERVER
	p.StartTimeUnixNano, p.EndTimeUnixNano = w.at(w.start), w.at(w.end)
	p.Status = nil
	if i.req.Failed() {
		s.status.Code = tracepb.Status_STATUS_CODE_ERROR
		p.Status = &s.status
	}
	a := attrs{slab: &b.attrs, list: p.Attributes[:0]}
	a.http(i, b.withQuery)
	a.network(&i.req)
	a.own(i)
	p.Attributes = a.list
	return s
}

// flagSampled is the sampled bit of the W3C trace flags. Everything that is
// exported was sampled.
const flagSampled = 1

// phase returns the INTERNAL span of one phase, a child of root.
func (b *builder) phase(root *span, phase request.Phase, bounds request.Bounds, parts []request.PartDuration, w window) *span {
	s := b.spans.Next()
	s.id = request.NewSpanID()
	p := &s.span
	p.TraceId, p.SpanId, p.ParentSpanId = root.traceID[:], s.id[:], root.id[:]
	p.Flags = uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK) | flagSampled
	p.TraceState = root.span.TraceState
	p.Name = phase.String()
	p.Kind = tracepb.Span_SPAN_KIND_INTERNAL
	p.StartTimeUnixNano, p.EndTimeUnixNano = w.at(bounds[phase]), w.at(bounds[phase+1])
	p.Status = nil
	a := attrs{slab: &b.attrs, list: p.Attributes[:0]}
	a.parts(parts, phase)
	p.Attributes = a.list
	return s
}

// window is the position of a request in wall time. One reading of the clock
// places all its stamps, so that the phases stay adjacent to the nanosecond.
type window struct {
	start, end request.Stamp
	wall       int64 // of start, nanoseconds since 1970
}

func windowOf(r *request.Request, clock *request.Clock) window {
	start := r.End()
	for _, s := range []request.Stamp{r.WriteLast, r.WriteFirst, r.ReadLast, r.ReadFirst, r.Arrived} {
		if s.Seen() {
			start = s // the earliest stamp that was seen; most often the arrival
		}
	}
	end := max(r.End(), start)
	for _, bound := range r.Bounds() {
		end = max(end, bound) // a marker can be later than all stamps that End considers
	}
	return window{start: start, end: end, wall: clock.UnixNano(start)}
}

func (w window) at(s request.Stamp) uint64 { return uint64(w.wall + int64(s-w.start)) }
