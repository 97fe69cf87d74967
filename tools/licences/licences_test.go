package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// find returns the part of that name, or nil.
func find(parts []*Part, name string) *Part {
	i := slices.IndexFunc(parts, func(p *Part) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return parts[i]
}

// TestAllIsAllowed checks this repository.
func TestAllIsAllowed(t *testing.T) {
	parts, err := all("../..")
	require.NoError(t, err)
	for _, p := range parts {
		assert.Empty(t, p.Problems, "%s", p)
		assert.NotEmpty(t, p.Licences, "%s", p)
	}
	names := []string{
		"go", "github.com/cilium/ebpf", "github.com/stretchr/testify", "github.com/google/licensecheck",
		"github.com/jaegertracing/jaeger", "go.opentelemetry.io/collector/service", "honnef.co/go/tools",
		"@grafana/schema", "@grafana/lezer-traceql",
	}
	if _, err := exec.LookPath("dpkg-query"); err == nil {
		names = append(names, "curl", "libc6")
	}
	for _, name := range names {
		assert.NotNil(t, find(parts, name), name)
	}
	assert.Nil(t, find(parts, "github.com/grafana/tempo"))
}

func agpl(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/AGPL-3.0.txt")
	require.NoError(t, err)
	return string(text)
}

// moduleDir returns the folder of a module that this repository uses.
func moduleDir(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", path).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

func put(t *testing.T, text string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
}

func textOf(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(text)
}

// TestModulesThatAreNotAllowed builds a module that uses several others: each
// has a different fault, and one has none.
func TestModulesThatAreNotAllowed(t *testing.T) {
	t.Setenv("GOWORK", "off")
	t.Setenv("GOPROXY", "off")
	apache := textOf(t, "../../LICENSE")
	mpl := textOf(t, moduleDir(t, "github.com/hashicorp/golang-lru/v2"), "LICENSE")
	libcap := textOf(t, moduleDir(t, "kernel.org/pub/linux/libs/security/libcap/cap"), "License")
	faults := map[string]struct {
		files   map[string]string
		problem string
	}{
		"good":     {map[string]string{"LICENSE": apache}, ""},
		"reviewed": {map[string]string{"License": libcap}, ""},
		"affero":   {map[string]string{"COPYING": agpl(t)}, "AGPL-3.0 is not allowed"},
		"none":     {map[string]string{"README": "Free for all."}, "has no licence"},
		"part":     {map[string]string{"LICENSE": apache, "part/LICENCE.md": agpl(t)}, "AGPL-3.0 is not allowed"},
		"second":   {map[string]string{"LICENSE": apache, "LICENSE.enterprise": agpl(t)}, "AGPL-3.0 is not allowed"},
		"terms":    {map[string]string{"LICENSE": "You may look at this program, for 30 days, on one machine.\n"}, "of the text is a known licence"},
		"more":     {map[string]string{"LICENSE": apache + strings.Repeat("You may not sell what you make with this program to anybody.\n", 100)}, "of the text is a known licence"},
		"changed":  {map[string]string{"License": libcap + "Not on Sundays.\n"}, "GPL-2.0"},
		"copyleft": {map[string]string{"LICENSE": mpl}, "it must be as it was published"},
	}
	dir := t.TempDir()
	var requires, imports string
	for name, f := range faults {
		for file, text := range f.files {
			put(t, text, dir, name, file)
		}
		path := "example.com/" + name
		put(t, "module "+path+"\n\ngo 1.26.0\n", dir, name, "go.mod")
		put(t, "package part\n", dir, name, "part", "part.go")
		requires += "require " + path + " v1.0.0\nreplace " + path + " => ../" + name + "\n"
		imports += "import _ \"" + path + "/part\"\n"
	}
	put(t, "module example.com/user\n\ngo 1.26.0\n\n"+requires, dir, "user", "go.mod")
	put(t, "package user\n", dir, "user", "user.go")
	put(t, "package user\n\n"+imports, dir, "user", "user_test.go") // modules that only tests use count too

	parts, err := goModules(filepath.Join(dir, "user"))
	require.NoError(t, err)
	require.Len(t, parts, len(faults))
	for name, f := range faults {
		part := find(parts, "example.com/"+name)
		require.NotNil(t, part, name)
		if f.problem == "" {
			assert.Empty(t, part.Problems, name)
		} else {
			assert.Contains(t, strings.Join(part.Problems, "\n"), f.problem, name)
		}
	}

	var table bytes.Buffer
	require.NoError(t, write(&table, parts))
	assert.Contains(t, table.String(), "not allowed: Go example.com/affero v1.0.0: AGPL-3.0 is not allowed\n")
}

func TestNpmPackagesThatAreNotAllowed(t *testing.T) {
	dir := t.TempDir()
	put(t, `{"packages": {
		"": {"name": "us"},
		"node_modules/good": {"version": "1.0.0", "license": "MIT"},
		"node_modules/choice": {"version": "1.0.0", "license": "(MIT OR GPL-3.0-only)"},
		"node_modules/good/node_modules/@scope/affero": {"version": "2.0.0", "license": "AGPL-3.0-only"},
		"node_modules/both": {"version": "1.0.0", "license": "MIT AND GPL-3.0-only"},
		"node_modules/vendor": {"version": "1.0.0", "license": "SEE LICENSE IN terms.txt"},
		"node_modules/none": {"version": "1.0.0"}
	}}`, dir, "package-lock.json")
	parts, err := npmLocked(filepath.Join(dir, "package-lock.json"))
	require.NoError(t, err)
	var refused []string
	for _, p := range parts {
		if len(p.Problems) > 0 {
			refused = append(refused, p.Name)
		}
	}
	assert.Len(t, parts, 6)
	assert.Equal(t, []string{"@scope/affero", "both", "none", "vendor"}, refused)

	put(t, `{"name": "copy", "version": "1.0.0", "license": "MIT"}`, dir, "copy", "package.json")
	put(t, agpl(t), dir, "copy", "LICENSE") // the file does not match what the package says
	copies, err := npmCopies(dir)
	require.NoError(t, err)
	require.Len(t, copies, 1)
	assert.Equal(t, []string{"AGPL-3.0 is not allowed"}, copies[0].Problems)
}

func TestDebianPackagesThatAreNotAllowed(t *testing.T) {
	installed := parseInstalled(strings.Join([]string{
		"installed\tserver\t1.0\thttpd\tlibgood (>= 2), default-tool | other-tool\t",
		"installed\tlibgood\t2.0\tlibs\t\t",
		"installed\ttool\t3.0\tutils\tlibaffero\tdefault-tool (= 3.0)",
		"installed\tlibaffero\t1.0\tlibs\t\t",
		"installed\tfirmware\t1.0\tnon-free/misc\t\t",
		"installed\tbare\t1.0\tmisc\t\t",
		"installed\tprose\t1.0\tmisc\t\t",
		"installed\tinstalled-by-others\t1.0\tnon-free/misc\t\t",
		"config-files\tgone\t1.0\tnon-free/misc\t\t",
	}, "\n"))
	root := t.TempDir()
	for name, text := range map[string]string{
		"server":    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: GPL-2+\n",
		"libgood":   "Free, see /usr/share/common-licenses/LGPL-2.1.\n",
		"tool":      "Files: *\nLicense: MPL-2.0\n Secondary are the GNU Affero General Public License and others.\n",
		"libaffero": "Files: *\nLicense: AGPL-3+\n",
		"firmware":  "Files: *\nLicense: MIT\n",
		"prose":     "It is under the Server Side Public License.\n",
	} {
		put(t, text, root, "usr/share/doc", name, "copyright")
	}
	parts, err := debian(root, installed, []string{"server", "firmware", "bare", "prose", "gone", "unknown"})
	require.NoError(t, err)
	problems := map[string]string{}
	for _, p := range parts {
		problems[p.Name] = strings.Join(p.Problems, ", ")
	}
	assert.Equal(t, map[string]string{
		"server": "", "libgood": "", "tool": "",
		"libaffero": "AGPL-3+ is not allowed",
		"firmware":  "is in section non-free/misc",
		"bare":      "has no copyright file",
		"prose":     "Server Side Public is not allowed",
	}, problems)
	assert.Equal(t, []string{"LGPL-2.1"}, find(parts, "libgood").Licences)
}

// TestMetadataElsewhere checks that a package is exempt only while its own
// files say so.
func TestMetadataElsewhere(t *testing.T) {
	installed := parseInstalled("installed\tpython3-inflect\t1\tpython\t\t")
	root := t.TempDir()
	put(t, "License: AGPL-3+\n", root, "usr/share/doc/python3-inflect/copyright")
	parts, err := debian(root, installed, []string{"python3-inflect"})
	require.NoError(t, err)
	assert.Equal(t, []string{"AGPL-3+ is not allowed"}, parts[0].Problems)

	put(t, "Version: 2\n"+elsewhere["python3-inflect"].line+"\n", root, "usr/lib/python3/dist-packages/inflect-2/PKG-INFO")
	parts, err = debian(root, installed, []string{"python3-inflect"})
	require.NoError(t, err)
	assert.Empty(t, parts[0].Problems)
	assert.Equal(t, []string{"MIT"}, parts[0].Licences)
}
