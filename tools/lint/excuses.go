package main

import (
	"go/ast"
	"go/token"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/tools/go/analysis"
)

// excuse is a comment that makes lint ignore findings.
type excuse struct {
	at     token.Pos
	check  string
	reason string
	used   atomic.Bool
}

// place is a line in a file.
type place struct {
	file string
	line int
}

// excused holds the excuses of a package and its generated files.
type excused struct {
	excuses   map[place][]*excuse
	generated map[string]bool
}

// form matches an excuse: a check and a reason.
var form = regexp.MustCompile(`^//lint:ignore(?:\s+(\S+))?(?:\s+(\S.*))?$`)

// reading finds the excuses of a package.
var reading = &analysis.Analyzer{
	Name:       "reading",
	Doc:        "the comments that excuse findings",
	ResultType: reflect.TypeFor[*excused](),
	Run: func(pass *analysis.Pass) (any, error) {
		e := &excused{excuses: map[place][]*excuse{}, generated: map[string]bool{}}
		for _, file := range pass.Files {
			e.generated[pass.Fset.Position(file.FileStart).Filename] = ast.IsGenerated(file)
			for _, group := range file.Comments {
				for _, c := range group.List {
					e.read(pass.Fset.Position(c.Pos()), c)
				}
			}
		}
		return e, nil
	},
}

func (e *excused) read(at token.Position, c *ast.Comment) {
	if m := form.FindStringSubmatch(c.Text); m != nil {
		here := place{at.Filename, at.Line}
		e.excuses[here] = append(e.excuses[here], &excuse{at: c.Pos(), check: m[1], reason: m[2]})
	}
}

// covers reports whether a finding is excused, or in a generated file.
func (e *excused) covers(check string, at token.Position) bool {
	if e.generated[at.Filename] {
		return true
	}
	for _, line := range []int{at.Line, at.Line - 1} {
		for _, x := range e.excuses[place{at.Filename, line}] {
			if x.check == check && x.reason != "" {
				x.used.Store(true)
				return true
			}
		}
	}
	return false
}

// excusable makes a check report only findings that are not excused.
func excusable(check *analysis.Analyzer) {
	run := check.Run
	check.Requires = append(slices.Clone(check.Requires), reading)
	check.Run = func(pass *analysis.Pass) (any, error) {
		e := pass.ResultOf[reading].(*excused)
		honest := *pass
		honest.Report = func(d analysis.Diagnostic) {
			if !e.covers(check.Name, pass.Fset.Position(d.Pos)) {
				d.Message = check.Name + ": " + strings.TrimSpace(d.Message)
				pass.Report(d)
			}
		}
		return run(&honest)
	}
}

// excuses returns the check of the excuses themselves. It runs after all
// others.
func excuses(checks []*analysis.Analyzer) *analysis.Analyzer {
	return &analysis.Analyzer{
		Name:     "excuses",
		Doc:      "excuses without a check, without a reason or without a finding",
		Requires: append(slices.Clone(checks), reading),
		Run: func(pass *analysis.Pass) (any, error) {
			for _, list := range pass.ResultOf[reading].(*excused).excuses {
				for _, x := range list {
					switch {
					case x.reason == "":
						pass.Reportf(x.at, "excuses: say which check is ignored, and why: //lint:ignore CHECK REASON")
					case !x.used.Load():
						pass.Reportf(x.at, "excuses: %s finds nothing here", x.check)
					}
				}
			}
			return nil, nil
		},
	}
}
