package main

import (
	"go/ast"

	"golang.org/x/tools/go/analysis"
)

// longest is the highest number of lines of a function. Functions in tests may
// be longer: a table of cases is read from top to bottom.
const longest = 60

var length = &analysis.Analyzer{
	Name: "length",
	Doc:  "functions that are too long to be read at once",
	Run: func(pass *analysis.Pass) (any, error) {
		for _, file := range pass.Files {
			if inTest(pass, file.FileStart) {
				continue
			}
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok {
					measure(pass, f)
				}
			}
		}
		return nil, nil
	},
}

func measure(pass *analysis.Pass, f *ast.FuncDecl) {
	lines := pass.Fset.Position(f.End()).Line - pass.Fset.Position(f.Pos()).Line + 1
	if lines > longest {
		pass.Reportf(f.Name.Pos(), "%s has %d lines, of at most %d", f.Name.Name, lines, longest)
	}
}
