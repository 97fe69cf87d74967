package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	parts, err := all(".")
	if err == nil {
		err = write(os.Stdout, parts)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
	if slices.ContainsFunc(parts, func(p *Part) bool { return len(p.Problems) > 0 }) {
		os.Exit(1)
	}
}

// all returns everything that the repository in dir uses.
func all(dir string) ([]*Part, error) {
	goRoot, err := toolchain()
	if err != nil {
		return nil, err
	}
	parts := []*Part{goRoot}
	modules, locks, err := manifests(dir)
	if err != nil {
		return nil, err
	}
	add := func(more []*Part, err error) error {
		parts = append(parts, more...)
		return err
	}
	for _, m := range modules {
		if err := add(goModules(m)); err != nil {
			return nil, err
		}
	}
	for _, l := range locks {
		if err := add(npmLocked(l)); err != nil {
			return nil, err
		}
	}
	if err := add(npmCopies(filepath.Join(dir, "dashboards", "traceql", "npm"))); err != nil {
		return nil, err
	}
	if err := add(testPackages(dir)); err != nil {
		return nil, err
	}
	return unique(parts), nil
}

// manifests returns the folders of the Go modules and the lock files of npm
// below dir.
func manifests(dir string) (modules, locks []string, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (e.Name() == "node_modules" || e.Name() == ".git" || e.Name() == "testdata"):
			return fs.SkipDir
		case e.Name() == "go.mod":
			modules = append(modules, filepath.Dir(path))
		case e.Name() == "package-lock.json":
			locks = append(locks, path)
		}
		return nil
	})
	return modules, locks, err
}

// testPackages returns the installed Debian packages of scripts/deps.
func testPackages(dir string) ([]*Part, error) {
	installed, err := installedPackages()
	if err != nil || installed == nil {
		return nil, err
	}
	out, err := exec.Command(filepath.Join(dir, "scripts", "deps"), "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("scripts/deps --list: %w", err)
	}
	return debian("/", installed, strings.Fields(string(out)))
}

// unique removes duplicates: the same version used by several modules.
func unique(parts []*Part) (kept []*Part) {
	seen := map[string]*Part{}
	for _, p := range parts {
		if known := seen[p.String()]; known != nil && slices.Equal(known.Licences, p.Licences) {
			for _, problem := range p.Problems {
				known.object(errors.New(problem))
			}
			continue
		}
		seen[p.String()] = p
		kept = append(kept, p)
	}
	return kept
}
