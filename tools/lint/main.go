package main

import (
	"go/token"

	"github.com/golangci/unconvert"
	"github.com/gordonklaus/ineffassign/pkg/ineffassign"
	"github.com/polyfloyd/go-errorlint/errorlint"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/nilness"
	"golang.org/x/tools/go/analysis/passes/unusedwrite"
	"golang.org/x/tools/go/analysis/unitchecker"
	"honnef.co/go/tools/analysis/lint"
	"honnef.co/go/tools/simple"
	"honnef.co/go/tools/staticcheck"
	"honnef.co/go/tools/stylecheck"
	"honnef.co/go/tools/unused"
)

func main() {
	unitchecker.Main(checks()...)
}

// checks returns all checks. The last one checks the excuses for the others.
func checks() []*analysis.Analyzer {
	all := []*analysis.Analyzer{
		conversions,
		errorlint.NewAnalyzer(),
		ineffassign.Analyzer,
		length,
		nilness.Analyzer,
		openBodies(),
		spelling,
		uncheckedErrors(),
		unusedCode,
		unusedwrite.Analyzer,
	}
	for _, family := range [][]*lint.Analyzer{staticcheck.Analyzers, simple.Analyzers, stylecheck.Analyzers} {
		for _, a := range family {
			all = append(all, a.Analyzer)
		}
	}
	for _, a := range all {
		excusable(a)
	}
	return append(all, excuses(all))
}

// conversions reports conversions to the type that the value already has.
var conversions = &analysis.Analyzer{
	Name: "unconvert",
	Doc:  "a conversion to the type that the value has",
	Run: func(pass *analysis.Pass) (any, error) {
		for _, at := range unconvert.Run(pass) {
			pass.Reportf(position(pass, at), "the value has this type already")
		}
		return nil, nil
	},
}

// unusedCode reports code that no other code of the package and none of its
// tests uses.
var unusedCode = &analysis.Analyzer{
	Name:     "unused",
	Doc:      "code that nothing uses",
	Requires: []*analysis.Analyzer{unused.Analyzer.Analyzer},
	Run: func(pass *analysis.Pass) (any, error) {
		for _, o := range pass.ResultOf[unused.Analyzer.Analyzer].(unused.Result).Unused {
			pass.Reportf(position(pass, o.Position), "%s %s is unused", o.Kind, o.Name)
		}
		return nil, nil
	},
}

// position converts a position to one in the files of the package.
func position(pass *analysis.Pass, at token.Position) token.Pos {
	for _, f := range pass.Files {
		if file := pass.Fset.File(f.FileStart); file.Name() == at.Filename {
			return file.LineStart(at.Line) + token.Pos(at.Column-1)
		}
	}
	return token.NoPos
}
