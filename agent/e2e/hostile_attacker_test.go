package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/agent/e2e/attack"
	"lapwing/agent/e2e/harness"
)

// hostileEnv makes this test binary an attacker: a program of an unprivileged
// user that does with its files and memory what the value says.
const hostileEnv = "LAPWING_E2E_HOSTILE"

// hostileUser is the user id of the attacker.
const hostileUser = 64501

var attacks = map[string]func(files []string) error{"map": mapFiles, "hold": holdMemory}

func hostileMain() {
	attack := attacks[os.Getenv(hostileEnv)]
	if attack == nil {
		return
	}
	if err := attack(os.Args[1:]); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	select {}
}

// mapFiles maps files as a program maps its libraries.
func mapFiles(files []string) error {
	for _, file := range files {
		if _, err := attack.Map(file); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	time.Sleep(time.Hour)
	return nil
}

// holdMemory holds the lock of its memory while a page of a file is written
// back, which the file's server never completes.
func holdMemory(files []string) error {
	fd, err := unix.Open(files[0], unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	page, err := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	page[0] = 1
	if err := unix.SyncFileRange(fd, 0, int64(len(page)), unix.SYNC_FILE_RANGE_WRITE); err != nil {
		return err
	}
	time.Sleep(200 * time.Millisecond) // the write is in progress
	fmt.Println("ready")
	go func() { page[1] = 2 }() // waits for the end of the write
	time.Sleep(200 * time.Millisecond)
	return unix.Munmap(page) // also waits for that, while it holds the lock
}

// hostile is a running attacker.
type hostile struct {
	cmd *exec.Cmd
}

// startHostile starts an attacker with the name of a server.
func startHostile(t *testing.T, name, attack string, user uint32, files ...string) *hostile {
	t.Helper()
	exe := filepath.Join(harness.OpenDir(t), name)
	if err := os.Link(harness.Executable(t), exe); err != nil {
		copyProgram(t, harness.Executable(t), exe)
	}
	cmd := exec.Command(exe, files...)
	cmd.Env = []string{hostileEnv + "=" + attack}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: &syscall.Credential{Uid: user, Gid: user}}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	h := &hostile{cmd}
	t.Cleanup(h.end)
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, "the attacker says %q", line)
	require.Equal(t, "ready\n", line, "what the attacker says")
	return h
}

func (h *hostile) end() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, raw, 0o755))
}

// refusals returns how many attempts at markers the agent refused, by reason.
func refusals(t *testing.T, metrics string) map[string]float64 {
	t.Helper()
	found := map[string]float64{}
	page := scrape(t, metrics)
	for line := range strings.Lines(page) {
		rest, ok := strings.CutPrefix(line, "lapwing_agent_markers_refused_total{")
		if !ok {
			continue
		}
		_, reason, _ := strings.Cut(rest, `reason="`)
		reason, _, _ = strings.Cut(reason, `"`)
		found[reason] = harness.SumOf(t, line, "lapwing_agent_markers_refused_total")
	}
	return found
}

// awaitRefusal waits until n refusals with the reason are counted.
func awaitRefusal(t *testing.T, metrics, reason string, n float64) {
	t.Helper()
	harness.Eventually(t, 20*time.Second, "a refusal as "+reason, func() bool { return refusals(t, metrics)[reason] >= n })
}
