package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// buildDir holds what this run built; Cleanup removes it.
var buildDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "lapwing-e2e") })

var (
	buildLapwing   = sync.OnceValues(func() (string, error) { return build("lapwing") })
	buildRefServer = sync.OnceValues(func() (string, error) { return build("refserver") })
)

// Lapwing is the path of the agent's binary: what LAPWING_BIN names, or the
// command built anew.
func Lapwing(t testing.TB) string {
	t.Helper()
	return binary(t, "LAPWING_BIN", buildLapwing)
}

// RefServer is the path of the reference server's binary: what REFSERVER_BIN
// names, or the command built anew.
func RefServer(t testing.TB) string {
	t.Helper()
	return binary(t, "REFSERVER_BIN", buildRefServer)
}

// Cleanup removes what the run built. Call it at the end of TestMain.
func Cleanup() error {
	dir, err := buildDir()
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// Main runs the tests of a package and removes what they built. It returns the
// status to exit with.
func Main(m *testing.M) int {
	status := m.Run()
	if err := Cleanup(); err != nil {
		fmt.Fprintln(os.Stderr, "clean up:", err)
		status = 1
	}
	return status
}

// ModuleRoot is the directory of this module.
func ModuleRoot(t testing.TB) string {
	t.Helper()
	root, err := FindModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func binary(t testing.TB, variable string, build func() (string, error)) string {
	t.Helper()
	if path := os.Getenv(variable); path != "" {
		abs, err := filepath.Abs(path)
		if err != nil {
			t.Fatalf("%s: %v", variable, err)
		}
		return abs
	}
	path, err := build()
	if err != nil {
		t.Fatalf("%v\n(set %s to test a binary without building it)", err, variable)
	}
	return path
}

// build builds a command of this module.
func build(name string) (string, error) {
	dir, err := buildDir()
	if err != nil {
		return "", err
	}
	root, err := FindModuleRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-o", path, "./cmd/"+name)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// FindModuleRoot is the directory of this module, found upwards from where the
// test runs.
func FindModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module lapwing\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("the lapwing module is not around the working directory")
		}
		dir = parent
	}
}

// Installed is the path of a program that the tests need on the machine.
func Installed(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", name))
	}
	if err != nil {
		t.Fatalf("%s is not installed: run `make deps`", name)
	}
	return path
}
