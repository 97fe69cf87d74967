package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// npmPackage is a package's own description.
type npmPackage struct {
	Name, Version, License string
}

// npmLocked returns the packages that a lock file names.
func npmLocked(file string) ([]*Part, error) {
	var lock struct{ Packages map[string]npmPackage }
	if err := readJSON(file, &lock); err != nil {
		return nil, err
	}
	var parts []*Part
	for path, p := range lock.Packages {
		if _, name, ok := cutLast(path, "node_modules/"); ok { // the other entries are the project itself
			p.Name = name
			parts = append(parts, p.part())
		}
	}
	slices.SortFunc(parts, func(a, b *Part) int { return strings.Compare(a.Name, b.Name) })
	return parts, nil
}

func (p npmPackage) part() *Part {
	part := &Part{Kind: "npm", Name: p.Name, Version: p.Version}
	part.licensed(p.License)
	part.judge()
	return part
}

// npmCopies returns the packages that have files below a folder, with the
// licence texts next to these files.
func npmCopies(dir string) (parts []*Part, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() != "package.json" {
			return err
		}
		var p npmPackage
		if err := readJSON(path, &p); err != nil {
			return err
		}
		part := p.part()
		part.Kind = "npm, copied"
		files, err := texts(filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := part.addText(file); err != nil {
				return err
			}
		}
		part.judge()
		parts = append(parts, part)
		return nil
	})
	return parts, err
}

func readJSON(file string, into any) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
