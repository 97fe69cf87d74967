package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// module is a Go module as go list describes it.
type module struct {
	Path, Version, Dir string
	Main               bool
	Replace            *module
}

// listed is a package in a build.
type listed struct {
	Dir    string
	Module *module // nil for the standard library
}

// goModules returns the modules with a package that the Go module in dir
// builds, for its commands, its tools or its tests.
func goModules(dir string) ([]*Part, error) {
	packages, err := goList(dir)
	if err != nil {
		return nil, err
	}
	parts, seen := map[string]*Part{}, map[string]bool{}
	var order []*Part
	for _, p := range packages {
		if p.Module == nil || p.Module.Main {
			continue
		}
		part, known := parts[p.Module.Path]
		if !known {
			part = &Part{Kind: "Go", Name: p.Module.Path, Version: p.Module.Version}
			parts[p.Module.Path] = part
			order = append(order, part)
		}
		if err := part.addTexts(p, seen); err != nil {
			return nil, err
		}
	}
	for _, part := range order {
		part.judge()
	}
	return order, nil
}

func goList(dir string) (packages []listed, err error) {
	cmd := exec.Command("go", "list", "-deps", "-test", "-json=Dir,Module", "./...", "tool")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w\n%.2000s", dir, err, &stderr)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list in %s: %w", dir, err)
		}
		packages = append(packages, p)
	}
}

// addTexts adds the licences in the folder of a package and in its parent
// folders, up to that of its module: a part of a module may have a licence of
// its own.
func (p *Part) addTexts(l listed, seen map[string]bool) error {
	m := l.Module
	if m.Replace != nil {
		m = m.Replace
	}
	for dir := l.Dir; strings.HasPrefix(dir, m.Dir) && !seen[dir]; dir = filepath.Dir(dir) {
		seen[dir] = true
		files, err := texts(dir)
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := p.addText(file); err != nil {
				return err
			}
		}
	}
	if l.Module.Replace != nil && slices.Contains(p.Licences, "MPL-2.0") {
		p.object(fmt.Errorf("under the MPL and replaced by %s: it must be as it was published", m.Path))
	}
	return nil
}

// addText adds the licence in a file.
func (p *Part) addText(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	expression, err := identify(text)
	if err != nil {
		p.object(fmt.Errorf("%s: %w", file, err))
	}
	p.licensed(expression)
	return nil
}

// named matches the names of files that contain licences. code matches the
// names of source files about licences.
var (
	named = regexp.MustCompile(`(?i)licen[cs]e|copying`)
	code  = regexp.MustCompile(`(?i)\.(go|sh|py|js|c|h|s|tmpl|json|ya?ml)$`)
)

// texts returns the files of a folder that contain licences.
func texts(dir string) (files []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !e.IsDir() && named.MatchString(e.Name()) && !code.MatchString(e.Name()) {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, nil
}

// toolchain returns Go itself, whose library is linked into everything.
func toolchain() (*Part, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	part := &Part{Kind: "Go", Name: "go", Version: runtime.Version()}
	if err := part.addText(filepath.Join(strings.TrimSpace(string(out)), "LICENSE")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	part.judge()
	return part, nil
}
