package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Part is something that the build or the tests use.
type Part struct {
	Kind, Name, Version string
	Licences            []string // SPDX expressions, or the package's own words
	Problems            []string // why it is not allowed
}

// licensed adds a licence.
func (p *Part) licensed(expression string) {
	if expression != "" && !slices.Contains(p.Licences, expression) {
		p.Licences = append(p.Licences, expression)
	}
}

// judge records which licences are not allowed, or that there is none.
func (p *Part) judge() {
	if len(p.Licences) == 0 {
		p.object(errors.New("has no licence"))
	}
	for _, l := range p.Licences {
		p.object(judge(l))
	}
}

// object records why a part is not allowed.
func (p *Part) object(err error) {
	if err != nil && !slices.Contains(p.Problems, err.Error()) {
		p.Problems = append(p.Problems, err.Error())
	}
}

func (p *Part) String() string { return strings.TrimSpace(p.Kind + " " + p.Name + " " + p.Version) }

// write prints the parts as a table, followed by what is not allowed.
func write(w io.Writer, parts []*Part) error {
	slices.SortStableFunc(parts, func(a, b *Part) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KIND\tNAME\tVERSION\tLICENCE")
	for _, p := range parts {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", p.Kind, p.Name, p.Version, strings.Join(p.Licences, ", "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, p := range parts {
		for _, problem := range p.Problems {
			fmt.Fprintf(w, "not allowed: %s: %s\n", p, problem)
		}
	}
	return nil
}
