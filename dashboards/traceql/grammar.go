package traceql

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/dop251/goja"
)

//go:embed npm
var packages embed.FS

// entries are the packages, by the names under which they require each other.
var entries = map[string]string{
	"@grafana/lezer-traceql": "npm/@grafana/lezer-traceql/index.cjs",
	"@lezer/lr":              "npm/@lezer/lr/dist/index.cjs",
	"@lezer/common":          "npm/@lezer/common/dist/index.cjs",
}

// treeOf converts the parser's tree to plain objects.
const treeOf = `(function (parser, query) {
	function plain(node) {
		const parts = [];
		for (let child = node.firstChild; child; child = child.nextSibling) parts.push(plain(child));
		return {name: node.type.name, error: node.type.isError, text: query.slice(node.from, node.to), parts};
	}
	return JSON.stringify(plain(parser.parse(query).topNode));
})`

// node is a part of a query according to the grammar.
type node struct {
	Name  string  `json:"name"`
	Error bool    `json:"error"`
	Text  string  `json:"text"`
	Parts []*node `json:"parts"`
}

// grammar is the parser in its interpreter. Only one caller can use it at a
// time.
type grammar struct {
	mu   sync.Mutex
	tree goja.Callable
	args []goja.Value // the parser
	vm   *goja.Runtime
}

var loaded = sync.OnceValues(start)

func start() (*grammar, error) {
	vm := goja.New()
	traceQL, err := load(vm, "@grafana/lezer-traceql")
	if err != nil {
		return nil, err
	}
	value, err := vm.RunString(treeOf)
	if err != nil {
		return nil, fmt.Errorf("loading the grammar of TraceQL: %w", err)
	}
	tree, _ := goja.AssertFunction(value)
	return &grammar{vm: vm, tree: tree, args: []goja.Value{traceQL.Get("parser")}}, nil
}

// load loads a package as node does: its file is the body of a function.
func load(vm *goja.Runtime, name string) (*goja.Object, error) {
	path, ok := entries[name]
	if !ok {
		return nil, fmt.Errorf("no package %s", name)
	}
	source, err := packages.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading package %s: %w", name, err)
	}
	value, err := vm.RunScript(path, "(function (exports, require) {"+string(source)+"\n})")
	if err != nil {
		return nil, fmt.Errorf("loading package %s: %w", name, err)
	}
	body, _ := goja.AssertFunction(value)
	exports := vm.NewObject()
	other := func(name string) (*goja.Object, error) { return load(vm, name) }
	if _, err := body(goja.Undefined(), exports, vm.ToValue(other)); err != nil {
		return nil, fmt.Errorf("running package %s: %w", name, err)
	}
	return exports, nil
}

// parse parses a query. A query that the grammar refuses is an error.
func parse(query string) (*node, error) {
	g, err := loaded()
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	text, err := g.tree(goja.Undefined(), append(g.args, g.vm.ToValue(query))...)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", query, err)
	}
	root := new(node)
	if err := json.Unmarshal([]byte(text.String()), root); err != nil {
		return nil, fmt.Errorf("the parser's tree: %w", err)
	}
	if refused := root.find(func(n *node) bool { return n.Error }); len(refused) > 0 {
		return nil, fmt.Errorf("no TraceQL at %q: %s", refused[0].Text, query)
	}
	return root, nil
}

// find lists the parts for which want returns true, in order.
func (n *node) find(want func(*node) bool) (found []*node) {
	if want(n) {
		found = append(found, n)
	}
	for _, part := range n.Parts {
		found = append(found, part.find(want)...)
	}
	return found
}

// part returns the first part of that name, or nil.
func (n *node) part(name string) *node {
	for _, p := range n.Parts {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// shape returns the names of the parts. They distinguish productions of the
// same name.
func (n *node) shape() string {
	names := make([]string, len(n.Parts))
	for i, p := range n.Parts {
		names[i] = p.Name
	}
	return strings.Join(names, " ")
}
