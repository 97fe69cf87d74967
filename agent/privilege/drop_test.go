package privilege

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// childEnv makes the test binary drop its privileges and print what is left.
// Dropping is permanent, so it needs a process of its own.
const childEnv = "PRIVILEGE_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run())
	}
	if err := child(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child drops privileges with threads that exist before, and one that starts
// after.
func child() error {
	started, release := make(chan struct{}), make(chan struct{})
	thread := func() {
		runtime.LockOSThread()
		started <- struct{}{}
		<-release
	}
	for range 3 {
		go thread()
		<-started
	}
	if err := Drop(cap.SYS_PTRACE, cap.DAC_READ_SEARCH); err != nil {
		return err
	}
	go thread()
	<-started
	defer close(release)

	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		raw, err := os.ReadFile(task)
		if err != nil {
			return err
		}
		fmt.Printf("%sThreadEnd:\t1\n", raw)
	}
	return nil
}

// threads parses the output of the child: the status of each thread, by field.
func threads(t *testing.T, out string) []map[string]string {
	t.Helper()
	var all []map[string]string
	current := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ":")
		current[key] = strings.TrimSpace(value)
		if key == "ThreadEnd" {
			all = append(all, current)
			current = map[string]string{}
		}
	}
	return all
}

func TestDropReachesEveryThread(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)

	have := cap.GetProc()
	kept, bequeathed := uint64(0), uint64(0)
	for _, v := range []cap.Value{cap.SYS_PTRACE, cap.DAC_READ_SEARCH} {
		if permitted, err := have.GetFlag(cap.Permitted, v); err == nil && permitted {
			kept |= 1 << uint(v)
		}
	}
	if held, err := cap.GetBound(cap.DAC_READ_SEARCH); err == nil && held {
		bequeathed = 1 << uint(cap.DAC_READ_SEARCH)
	}
	all := threads(t, string(out))
	require.GreaterOrEqual(t, len(all), 5)
	for _, status := range all {
		require.Equal(t, kept, mask(t, status["CapEff"]))
		require.Equal(t, kept, mask(t, status["CapPrm"]))
		require.Zero(t, mask(t, status["CapInh"]))
		require.Zero(t, mask(t, status["CapAmb"]))
		require.Equal(t, "1", status["NoNewPrivs"])
		if effective(have, cap.SETPCAP) {
			require.Equal(t, bequeathed, mask(t, status["CapBnd"]), "what its readers of files are started with")
		}
	}
}

func mask(t *testing.T, text string) uint64 {
	t.Helper()
	v, err := strconv.ParseUint(text, 16, 64)
	require.NoError(t, err, "field of a status")
	return v
}
