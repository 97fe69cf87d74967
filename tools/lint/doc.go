// Command lint finds what go vet and gofmt leave: the checks of staticcheck and
// of a few others, and two of its own. It is a tool of go vet, which calls it
// once per package and keeps the answers in Go's cache; make lint calls that.
//
// A finding that has to stay is excused on its line or on the line above:
//
//	//lint:ignore errcheck nobody is left to hear of it
//
// The name is the check's, and the reason is not optional. An excuse that
// excuses nothing is a finding, too. Generated files are left out.
package main
