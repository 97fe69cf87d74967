package main

import (
	"go/ast"
	"go/token"
	"strings"

	"github.com/kisielk/errcheck/errcheck"
	"github.com/timakin/bodyclose/passes/bodyclose"
	"golang.org/x/tools/go/analysis"
)

// uncheckedErrors returns the check for errors that are ignored. Three kinds
// are allowed: errors of printing, because there is nowhere else to report
// them; errors of deferred calls, most of which close something that was read;
// and receives from channels.
func uncheckedErrors() *analysis.Analyzer {
	errcheck.DefaultExcludedSymbols = append(errcheck.DefaultExcludedSymbols, "fmt.Fprint", "fmt.Fprintf", "fmt.Fprintln")
	return forgive(errcheck.Analyzer, func(pass *analysis.Pass) func(token.Pos) bool {
		forgiven := map[token.Pos]bool{}
		for _, file := range pass.Files {
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.DeferStmt:
					forgiven[n.Call.Lparen] = true
				case *ast.UnaryExpr:
					forgiven[n.OpPos] = true
				}
				return true
			})
		}
		return func(at token.Pos) bool { return forgiven[at] }
	})
}

// openBodies returns the check for response bodies that are not closed. Tests
// are exempt: most have a helper that closes the body and returns the response,
// which the check does not see.
func openBodies() *analysis.Analyzer {
	return forgive(bodyclose.Analyzer, func(pass *analysis.Pass) func(token.Pos) bool {
		return func(at token.Pos) bool { return inTest(pass, at) }
	})
}

func inTest(pass *analysis.Pass, at token.Pos) bool {
	return strings.HasSuffix(pass.Fset.Position(at).Filename, "_test.go")
}

// forgive removes the forgiven findings of a check.
func forgive(check *analysis.Analyzer, forgiven func(*analysis.Pass) func(token.Pos) bool) *analysis.Analyzer {
	run := check.Run
	check.Run = func(pass *analysis.Pass) (any, error) {
		ok := forgiven(pass)
		milder := *pass
		milder.Report = func(d analysis.Diagnostic) {
			if !ok(d.Pos) {
				pass.Report(d)
			}
		}
		return run(&milder)
	}
	return check
}
