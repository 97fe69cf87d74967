package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// debPackage is an installed package.
type debPackage struct {
	name, version, section string
	depends                []string
}

// notFree matches the sections of packages that are not free or need such
// packages.
var notFree = regexp.MustCompile(`^(non-free|contrib|multiverse|restricted)`)

// refused matches names and phrases of the licences that are not allowed even
// for a program that only tests run.
var refused = regexp.MustCompile(`(?i)\bagpl|affero|\bsspl|server side public|\bbusl\b|business source|elastic licen|commons clause|source[- ]available`)

// metadata is a line in a package's own files about its licence.
type metadata struct{ file, line, licence string }

// elsewhere are packages for which Debian's file describes an older version
// with a different licence than the installed one.
var elsewhere = map[string]metadata{
	"python3-inflect": {"usr/lib/python3/dist-packages/inflect-*/PKG-INFO", "Classifier: License :: OSI Approved :: MIT License", "MIT"},
}

// debian returns the installed packages among names, with their dependencies.
// root is the root of the file system.
func debian(root string, installed map[string]*debPackage, names []string) (parts []*Part, err error) {
	seen := map[string]bool{}
	for queue := slices.Clone(names); len(queue) > 0; queue = queue[1:] {
		p := installed[queue[0]]
		if p == nil || seen[p.name] { // not installed, or seen under another name
			continue
		}
		seen[p.name] = true
		queue = append(queue, p.depends...)
		part, err := p.part(root)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return parts, nil
}

func (p *debPackage) part(root string) (*Part, error) {
	part := &Part{Kind: "Debian", Name: p.name, Version: p.version}
	if notFree.MatchString(p.section) {
		part.object(fmt.Errorf("is in section %s", p.section))
	}
	text, err := os.ReadFile(filepath.Join(root, "usr/share/doc", p.name, "copyright"))
	if errors.Is(err, fs.ErrNotExist) {
		part.object(errors.New("has no copyright file"))
		return part, nil
	}
	if err != nil {
		return nil, err
	}
	part.Licences = stated(text)
	if m, ok := elsewhere[p.name]; ok && m.holds(root) {
		part.Licences = []string{m.licence}
	}
	if len(part.Licences) == 0 { // still free, because of its section
		part.licensed("in its own words")
	}
	for _, l := range part.Licences {
		if refused.MatchString(l) {
			part.object(fmt.Errorf("%s is not allowed", l))
		}
	}
	return part, nil
}

// holds reports whether the installed files still contain the line.
func (m metadata) holds(root string) bool {
	files, _ := filepath.Glob(filepath.Join(root, m.file)) // the pattern is valid
	return slices.ContainsFunc(files, func(file string) bool {
		raw, err := os.ReadFile(file)
		return err == nil && slices.Contains(strings.Split(string(raw), "\n"), m.line)
	})
}

// A copyright file names its licences in a field or by a reference.
var (
	field  = regexp.MustCompile(`(?im)^License:[ \t]*(\S.*)$`)
	common = regexp.MustCompile(`common-licenses/([\w.+-]*\w)`)
)

// stated returns the licences that a copyright file names. If it has no field
// for them, they are searched in its text.
func stated(text []byte) (names []string) {
	add := func(name string) {
		if name = strings.TrimSpace(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, m := range field.FindAllSubmatch(text, -1) {
		add(string(m[1]))
	}
	if len(names) > 0 {
		return names
	}
	for _, m := range common.FindAllSubmatch(text, -1) {
		add(string(m[1]))
	}
	for _, m := range refused.FindAll(text, -1) {
		add(string(m))
	}
	for _, m := range licensecheck.Scan(text).Match {
		add(m.ID)
	}
	return names
}

// installedPackages returns the packages of this machine, by their names and by
// what they provide. Without dpkg there are none.
func installedPackages() (map[string]*debPackage, error) {
	out, err := exec.Command("dpkg-query", "--show", "--showformat",
		`${db:Status-Status}\t${Package}\t${Version}\t${Section}\t${Depends}, ${Pre-Depends}\t${Provides}\n`).Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("dpkg-query: %w", err)
	}
	return parseInstalled(string(out)), nil
}

func parseInstalled(table string) map[string]*debPackage {
	installed := map[string]*debPackage{}
	provided := map[string]*debPackage{}
	for line := range strings.Lines(table) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(columns) != 6 || columns[0] != "installed" {
			continue
		}
		p := &debPackage{name: columns[1], version: columns[2], section: columns[3], depends: packageNames(columns[4])}
		installed[p.name] = p
		for _, name := range packageNames(columns[5]) {
			provided[name] = p
		}
	}
	for name, p := range provided {
		if installed[name] == nil {
			installed[name] = p
		}
	}
	return installed
}

var packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]*`)

// packageNames returns the names in a field such as "libc6 (>= 2.36), perl |
// awk".
func packageNames(field string) (names []string) {
	for _, item := range strings.FieldsFunc(field, func(r rune) bool { return r == ',' || r == '|' }) {
		if name := packageName.FindString(strings.TrimSpace(item)); name != "" {
			names = append(names, name)
		}
	}
	return names
}
