package service

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"lapwing/collectors/text"
)

// TestHostileNames starts programs that choose the strings from which their name is
// made.
func TestHostileNames(t *testing.T) {
	r, err := New(Options{Host: "here"})
	require.NoError(t, err)
	perl, err := exec.LookPath("perl")
	require.NoError(t, err)
	copied := t.TempDir() + "/busybox"
	raw, err := os.ReadFile(perl)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(copied, raw, 0o755))

	wait := `$| = 1; print "ready\n"; sleep 60;`
	for what, argv0 := range map[string]string{
		"long":       strings.Repeat("A", 120<<10),
		"escapes":    "\x1b[2J\x1b]0;title\x07" + strings.Repeat("\u202e", 1000),
		"not UTF-8":  strings.Repeat("\xff\xc0", 30000),
		"characters": strings.Repeat("日", 40000),
	} {
		for _, argv := range [][]string{{argv0, "-e", wait}, {"busybox", "-e", `$0 = "php-fpm: pool ` + argv0[:min(len(argv0), 60000)] + `";` + wait}} {
			cmd := exec.Command(copied)
			cmd.Args = argv
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			})
			_, err = out.Read(make([]byte, 6))
			require.NoError(t, err, what)

			id := (&look{resolver: r}).identify(mustRead(t, r, cmd.Process.Pid))
			pool := r.PoolName(id, 8080, nil)
			for _, name := range []string{id.Name, id.Kind, id.Unit, id.Container, id.app, pool} {
				require.LessOrEqual(t, len(name), text.MaxService, what)
				require.True(t, utf8.ValidString(name), what)
				for _, c := range name {
					require.True(t, unicode.IsPrint(c), "%s: %q", what, name)
				}
			}
			require.LessOrEqual(t, len(id.origin)+len(id.cwd), 64, "what is kept of a command line")
		}
	}
}

func mustRead(t *testing.T, r *Resolver, pid int) process {
	t.Helper()
	p, err := readProcess(r.proc, pid)
	require.NoError(t, err)
	p.cgroups = nil // named by the program, wherever the test runs
	return p
}
