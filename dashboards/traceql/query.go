package traceql

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Query is a query that the grammar accepts.
type Query struct {
	text string
	root *node
}

// Parse parses a query.
func Parse(text string) (*Query, error) {
	root, err := parse(text)
	if err != nil {
		return nil, err
	}
	return &Query{text: text, root: root}, nil
}

// Attribute is the name of an attribute and its scope: "span" or "resource".
type Attribute struct{ Scope, Name string }

// Attributes returns the attributes that a query uses in its conditions and
// selects.
func (q *Query) Attributes() []Attribute { return q.root.attributes() }

// Selected returns the attributes that a query selects.
func (q *Query) Selected() (attributes []Attribute) {
	for _, n := range q.root.find(func(n *node) bool { return n.Name == "SelectOperation" }) {
		attributes = append(attributes, n.attributes()...)
	}
	return attributes
}

func (n *node) attributes() (attributes []Attribute) {
	for _, field := range n.find(func(n *node) bool { return n.Name == "AttributeField" }) {
		attributes = append(attributes, field.attribute())
	}
	return attributes
}

// attribute returns the attribute that an AttributeField names.
func (n *node) attribute() Attribute {
	name := n.part("Identifier")
	if name == nil {
		return Attribute{Name: n.Text}
	}
	scope, _, _ := strings.Cut(n.Text, ".")
	return Attribute{Scope: scope, Name: name.Text}
}

// Span is a span to query. Values of attributes are string, int64, float64,
// bool or a list. A list equals nothing.
type Span struct {
	Trace, Name, Kind, Status string
	Duration                  time.Duration
	Resource, Attributes      map[string]any
}

// Value returns the value of an attribute, or nil.
func (s *Span) Value(a Attribute) any {
	switch a.Scope {
	case "resource":
		return s.Resource[a.Name]
	case "span":
		return s.Attributes[a.Name]
	}
	return nil
}

// Match is a trace that a query finds, with the spans that match.
type Match struct {
	Trace string
	Spans []*Span
}

// Run returns the traces that match a query, in the order of their spans.
func (q *Query) Run(spans []*Span) ([]Match, error) {
	var order []string
	traces := map[string][]*Span{}
	for _, s := range spans {
		if _, known := traces[s.Trace]; !known {
			order = append(order, s.Trace)
		}
		traces[s.Trace] = append(traces[s.Trace], s)
	}
	var found []Match
	for _, id := range order {
		matching, err := q.root.spans(traces[id])
		if err != nil {
			return nil, fmt.Errorf("running %s: %w", q.text, err)
		}
		if len(matching) > 0 {
			found = append(found, Match{Trace: id, Spans: matching})
		}
	}
	return found, nil
}

// spans returns the spans of a trace that match a pipeline or a part of it.
func (n *node) spans(trace []*Span) ([]*Span, error) {
	switch n.Name + ": " + n.shape() {
	case "TraceQL: SpansetPipelineExpression",
		"SpansetPipelineExpression: SpansetPipeline",
		"SpansetPipeline: SpansetFilter":
		return n.Parts[0].spans(trace)
	case "SpansetPipeline: SelectOperation": // only changes what is shown
		return trace, nil
	case "SpansetFilter: FieldExpression":
		return filter(trace, n.Parts[0])
	case "SpansetPipelineExpression: SpansetPipelineExpression Pipe SpansetPipelineExpression":
		left, err := n.Parts[0].spans(trace)
		if err != nil {
			return nil, err
		}
		return n.Parts[2].spans(left)
	case "SpansetPipelineExpression: SpansetPipelineExpression And SpansetPipelineExpression":
		return both(trace, n.Parts[0], n.Parts[2])
	}
	return nil, fmt.Errorf("no notion of %s: %s", n.Name, n.Text)
}

func filter(trace []*Span, condition *node) (kept []*Span, err error) {
	for _, s := range trace {
		ok, err := condition.holds(s)
		if err != nil {
			return nil, err
		}
		if ok {
			kept = append(kept, s)
		}
	}
	return kept, nil
}

// both returns the spans of both sides, if the trace has some of each.
func both(trace []*Span, a, b *node) ([]*Span, error) {
	left, err := a.spans(trace)
	if err != nil {
		return nil, err
	}
	right, err := b.spans(trace)
	if err != nil || len(left) == 0 || len(right) == 0 {
		return nil, err
	}
	for _, s := range right {
		if !slices.Contains(left, s) {
			left = append(left, s)
		}
	}
	return left, nil
}
