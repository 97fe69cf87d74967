package route

import (
	"bytes"
	"cmp"
	"fmt"
)

// maxServices limits the services whose routes are remembered.
const maxServices = 1024

// Table matches paths. It is not safe for concurrent use.
type Table struct {
	rules    []Rule
	services map[string]*node
}

// New returns a Table of rules. It returns an error if a rule is not valid.
func New(rules []Rule) (*Table, error) {
	for i, r := range rules {
		if err := r.Validate(); err != nil {
			return nil, fmt.Errorf("routes[%d].%w", i, err)
		}
	}
	return &Table{rules: rules, services: make(map[string]*node)}, nil
}

// Match returns the template of a service that matches the path, or the empty
// string. Plain text takes precedence over a name in braces, and a name in braces
// over {name...}. Of equal templates, the first one is used. Match allocates only
// for a service that it has not seen before.
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

// node is a position in the tree of templates, before a segment.
type node struct {
	plain    map[string]*node
	variable *node
	template string // the template that ends here
	rest     string // the template that matches all remaining segments
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

// child returns the node after a segment, and adds it if it does not exist.
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

// match returns the template for the rest of a path. more is false after the last
// segment. Each node is visited at most once, whatever the path is.
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
