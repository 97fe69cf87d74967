package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSample runs go vet on a package with faults, some of which are ignored.
func TestSample(t *testing.T) {
	// Built as in make lint, the tool finds its own results in the cache.
	tool := filepath.Join(t.TempDir(), "lint")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", tool, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	vet := exec.Command("go", "vet", "-vettool="+tool, "./...")
	vet.Dir = filepath.Join("testdata", "sample")
	vet.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := vet.CombinedOutput()
	if err == nil {
		t.Error("go vet finds nothing")
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)(\w+\.go:\d+):\d+: (.+)$`).FindAllStringSubmatch(string(out), -1) {
		got = append(got, m[1]+": "+m[2])
	}
	slices.Sort(got)
	want := []string{
		`sample.go:11: errcheck: unchecked error`,
		`sample.go:15: excuses: say which check is ignored, and why: //lint:ignore CHECK REASON`,
		`sample.go:16: errcheck: unchecked error`,
		`sample.go:19: excuses: unused finds nothing here`,
		`sample.go:1: ST1000: at least one file in a package should have a package comment`,
		fmt.Sprintf(`sample.go:22: misspell: %q should be "receive"`, "recie"+"ve"),
		`sample.go:22: unconvert: the value has this type already`,
		`sample.go:25: unused: func idle is unused`,
		`sample.go:27: length: Long has 61 lines, of at most 60`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("go vet finds\n%s\nwant\n%s\nall of its output\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), out)
	}
}
