package servers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// need is something that a row requires: a file that proves its presence (a
// glob) and the package that contains it.
type need struct{ proof, pkg string }

// pythonModule returns a Python module of the distribution.
func pythonModule(name, pkg string) need {
	return need{"/usr/lib/python3/dist-packages/" + name, pkg}
}

// apacheModule returns a loadable module of Apache.
func apacheModule(name, pkg string) need { return need{apacheModules + name + ".so", pkg} }

func (n need) present() bool {
	found, err := filepath.Glob(n.proof)
	return err == nil && len(found) > 0
}

// leftOut returns why a row cannot be played on this machine, empty if it can.
// A package that the distribution has must be installed.
func (s server) leftOut(t *testing.T) string {
	t.Helper()
	for _, n := range s.needs {
		if n.present() {
			continue
		}
		why := n.unavailable()
		require.NotEmpty(t, why, "%s: %s is missing although package %s can be had: run `make deps`", s.name, n.proof, n.pkg)
		return why
	}
	return ""
}

// unavailable returns the proof if the package is not available, or an empty
// string.
func (n need) unavailable() string {
	policy, err := exec.Command("apt-cache", "policy", n.pkg).Output()
	switch {
	case err != nil:
		return "no " + n.proof + ", and apt-cache cannot be asked for " + n.pkg + ": " + err.Error()
	case strings.Contains(string(policy), "Candidate:") && !strings.Contains(string(policy), "Candidate: (none)"):
		return ""
	}
	return "no " + n.proof + ", and apt-cache knows no package " + n.pkg
}

// python is the interpreter of the distribution, which has the packaged
// modules. Another one can come before it in the PATH.
const python = "/usr/bin/python3"

// writeFiles fills the directory of a server, which can run as any user.
func writeFiles(t *testing.T, at place, files []file) {
	t.Helper()
	host, port, _ := strings.Cut(at.address, ":")
	fill := strings.NewReplacer("@DIR@", at.dir, "@ADDRESS@", at.address, "@HOST@", host, "@PORT@", port)
	for _, f := range files {
		path := at.file(f.name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte(fill.Replace(f.content)), 0o666))
		require.NoError(t, os.Chmod(path, 0o666))
	}
}

// sbin returns the path of a program that is not on every user's PATH.
func sbin(name string) string { return "/usr/sbin/" + name }
