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
	lapwing   = sync.OnceValues(func() (string, error) { return binary("LAPWING_BIN", "lapwing") })
	refserver = sync.OnceValues(func() (string, error) { return binary("REFSERVER_BIN", "refserver") })
)

// Lapwing is the path of the agent's binary.
func Lapwing(t testing.TB) string {
	t.Helper()
	return must(t, lapwing)
}

// RefServer is the path of the reference server's binary.
func RefServer(t testing.TB) string {
	t.Helper()
	return must(t, refserver)
}

// Cleanup removes what the run built. Call it at the end of TestMain.
func Cleanup() error {
	dir, err := buildDir()
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

func must(t testing.TB, path func() (string, error)) string {
	t.Helper()
	p, err := path()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// binary is the path in the variable, or the command of that name built anew.
func binary(variable, name string) (string, error) {
	if path := os.Getenv(variable); path != "" {
		return filepath.Abs(path)
	}
	dir, err := buildDir()
	if err != nil {
		return "", err
	}
	root, err := moduleRoot()
	if err != nil {
		return "", fmt.Errorf("%w; set %s to a binary to test it without the sources", err, variable)
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

// moduleRoot is the directory of this module, found upwards from where the
// test runs.
func moduleRoot() (string, error) {
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
