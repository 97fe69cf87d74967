package route

import (
	"bytes"
	"cmp"
	"fmt"
)

// maxServices bounds for how many services the routes are remembered.
const maxServices = 1024

// Table matches paths. It is for one goroutine.
type Table struct {
	rules    []Rule
	services map[string]*node
}

// New returns a Table of rules. A rule that is wrong is an error.
func New(rules []Rule) (*Table, error) {
	for i, r := range rules {
		if err := r.Validate(); err != nil {
			return nil, fmt.Errorf("routes[%d].%w", i, err)
		}
	}
	return &Table{rules: rules, services: make(map[string]*node)}, nil
}

// Match returns the template of a service that the path matches, empty if none
// does. Plain text wins over a name in braces, and that over {name...}; of
// equal templates the first one. It allocates only for a service like none
// before.
func (t *Table) Match(service string, path []byte) string {
	if len(t.rules) == 0 || len(path) == 0 || path[0] != '/' {
		return ""
	}
	root, ok := t.services[service]
	if !ok {
		root = t.build(service)
	}
	return root.match(path[1:], true)
}

func (t *Table) build(service string) *node {
	if len(t.services) >= maxServices {
		clear(t.services)
	}
	root := new(node)
	for _, r := range t.rules {
		if parts, err := segments(r.Template); err == nil && r.appliesTo(service) {
			root.add(parts, r.Template)
		}
	}
	t.services[service] = root
	return root
}

// node is a place in the tree of templates, before a segment.
type node struct {
	plain    map[string]*node
	variable *node
	template string // ends here
	rest     string // takes all that follows
}

func (n *node) add(parts []segment, template string) {
	if len(parts) == 0 {
		n.template = cmp.Or(n.template, template)
		return
	}
	if parts[0].kind == rest {
		n.rest = cmp.Or(n.rest, template)
		return
	}
	n.child(parts[0]).add(parts[1:], template)
}

// child is the node behind a segment, made if it is not there.
func (n *node) child(s segment) *node {
	if s.kind == variable {
		if n.variable == nil {
			n.variable = new(node)
		}
		return n.variable
	}
	if n.plain == nil {
		n.plain = make(map[string]*node)
	}
	c, ok := n.plain[s.text]
	if !ok {
		c = new(node)
		n.plain[s.text] = c
	}
	return c
}

// match finds the template for what follows in a path; more is false behind
// its last segment. Each node is looked at once at most, whatever the path.
func (n *node) match(path []byte, more bool) string {
	if !more {
		return n.template
	}
	part, after, more := bytes.Cut(path, slash)
	if c, ok := n.plain[string(part)]; ok {
		if template := c.match(after, more); template != "" {
			return template
		}
	}
	if n.variable != nil && len(part) > 0 {
		if template := n.variable.match(after, more); template != "" {
			return template
		}
	}
	return n.rest
}

var slash = []byte("/")
