package main

import (
	"sync"

	"github.com/golangci/misspell"
	"golang.org/x/tools/go/analysis"
)

// words finds common misspellings, in British and American English.
var words = sync.OnceValue(misspell.New)

var spelling = &analysis.Analyzer{
	Name: "misspell",
	Doc:  "misspelled words in comments and texts",
	Run: func(pass *analysis.Pass) (any, error) {
		for _, file := range pass.Files {
			at := pass.Fset.File(file.FileStart)
			text, err := pass.ReadFile(at.Name())
			if err != nil {
				return nil, err
			}
			_, found := words().Replace(string(text))
			for _, d := range found {
				pass.Reportf(at.LineStart(d.Line), "%q should be %q", d.Original, d.Corrected)
			}
		}
		return nil, nil
	},
}
