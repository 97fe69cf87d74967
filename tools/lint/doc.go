// Command lint finds what go vet and gofmt do not find: it has the checks of
// staticcheck and of a few others, and two of its own. It runs as a tool of go
// vet, which calls it once per package and caches the results in Go's cache.
// make lint runs it.
//
// A finding that must stay is ignored with a comment on its line or on the line
// above:
//
//	//lint:ignore errcheck nobody is left to hear of it
//
// The name is that of the check, and the reason is required. A comment that
// ignores nothing is itself a finding. Generated files are not checked.
package main
