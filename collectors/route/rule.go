package route

import (
	"errors"
	"fmt"
	"strings"

	"lapwing/collectors/service"
)

// Rule is one template.
type Rule struct {
	Template string `koanf:"template" doc:"Path with a name in braces for each variable segment; {name...} at the end matches the rest of the path." example:"/orders/{id}"`
	Service  string `koanf:"service" doc:"Glob that matches the names of the services that have the route; if empty, all services." example:"shop*"`
}

// Validate returns an error if a rule is not valid. The error starts with the name
// of the wrong key.
func (r Rule) Validate() error {
	if _, err := segments(r.Template); err != nil {
		return fmt.Errorf("template: %w", err)
	}
	if err := service.ValidateGlob(r.Service); err != nil {
		return fmt.Errorf("service: %w", err)
	}
	return nil
}

// appliesTo reports whether a service has the route.
func (r Rule) appliesTo(name string) bool {
	return r.Service == "" || service.MatchName(r.Service, name)
}

// kind says what a segment of a template matches.
type kind uint8

const (
	plain    kind = iota // itself
	variable             // any single segment
	rest                 // all remaining segments
)

// segment is the part of a template between two slashes.
type segment struct {
	kind kind
	text string // of a plain segment
}

// segments splits a template into its segments.
func segments(template string) ([]segment, error) {
	inner, ok := strings.CutPrefix(template, "/")
	switch {
	case template == "":
		return nil, errors.New("missing: use a path such as /orders/{id}")
	case !ok:
		return nil, fmt.Errorf("%q does not start with a slash", template)
	}
	parts := strings.Split(inner, "/")
	list := make([]segment, len(parts))
	for i, part := range parts {
		s, ok := newSegment(part)
		if !ok {
			return nil, fmt.Errorf("%q: %q must be plain text, or a name in braces such as {id}", template, part)
		}
		if s.kind == rest && i < len(parts)-1 {
			return nil, fmt.Errorf("%q: %s is allowed only at the end", template, part)
		}
		list[i] = s
	}
	return list, nil
}

func newSegment(part string) (segment, bool) {
	if !strings.ContainsAny(part, "{}?") {
		return segment{plain, part}, true
	}
	name, opened := strings.CutPrefix(part, "{")
	name, closed := strings.CutSuffix(name, "}")
	name, all := strings.CutSuffix(name, "...")
	if !opened || !closed || name == "" || strings.ContainsAny(name, "{}?.") {
		return segment{}, false
	}
	if all {
		return segment{kind: rest}, true
	}
	return segment{kind: variable}, true
}
