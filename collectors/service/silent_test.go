package service

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/patience"
)

// silence makes a process of a table block every reader of its command line, in the
// kernel, until the function that it returns is called.
func silence(t *testing.T, dir string) (answer func()) {
	t.Helper()
	file := filepath.Join(dir, "cmdline")
	line, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.Remove(file))
	require.NoError(t, syscall.Mkfifo(file, 0o600))
	answer = sync.OnceFunc(func() {
		// Later readers open the file. Earlier ones wait for a writer.
		require.NoError(t, os.Rename(file, file+".deaf"))
		require.NoError(t, os.WriteFile(file, line, 0o600))
		f, err := os.OpenFile(file+".deaf", os.O_RDWR|syscall.O_NONBLOCK, 0)
		require.NoError(t, err)
		time.Sleep(50 * time.Millisecond)
		require.NoError(t, f.Close())
	})
	t.Cleanup(answer)
	return answer
}

func TestProcessThatDoesNotAnswer(t *testing.T) {
	root, dir := copyProcess(t, "203")
	pool := patience.New(patience.Options{})
	r := fixture(t, func(o *Options) { o.Proc, o.Pool = root, pool })
	answer := silence(t, dir)

	began := time.Now()
	_, known := r.Find(203, "python3", 0)
	require.False(t, known)
	require.True(t, r.Ask(203, "python3"))
	id := r.Lookup(203, "python3")
	assert.Equal(t, "python3", id.Name, "it goes by its command name")
	assert.Equal(t, FromComm, id.Source)
	assert.True(t, id.Unsure)
	assert.NotEmpty(t, id.Exe, "what needs nothing of it is known")
	assert.Equal(t, id.Name, r.PoolName(id, 8080, nil))
	for range 100 {
		require.Same(t, id, r.Lookup(203, "python3"))
	}
	r.Refresh()
	require.Same(t, id, r.Lookup(203, "python3"))
	assert.Less(t, time.Since(began), 20*time.Second)
	assert.Equal(t, 1, pool.Counts().Stuck)

	answer()
	require.Eventually(t, func() bool { return r.Lookup(203, "python3").Name == "http.server" },
		20*time.Second, time.Millisecond, "the right name comes by itself")
	assert.False(t, r.Lookup(203, "python3").Unsure)
	assert.Equal(t, id.Exe, r.Lookup(203, "python3").Exe)
}

// A program that is not an interpreter is known without its command line, and so
// are its container and its unit.
func TestNamesThatNeedNoCommandLine(t *testing.T) {
	for pid, want := range map[string]struct {
		name   string
		source Source
	}{
		"100": {"nginx", FromUnit}, "200": {"nginx", FromProgram}, "300": {"3f2a9c01b7de", FromContainer},
	} {
		root, dir := copyProcess(t, pid)
		r := fixture(t, func(o *Options) { o.Proc = root })
		silence(t, dir)
		id := r.Lookup(uint32(atoi(t, pid)), "")
		if want.source == FromProgram {
			want.source = FromComm
		}
		assert.Equal(t, want.name, id.Name)
		assert.Equal(t, want.source, id.Source)
		assert.True(t, id.Unsure)
	}
}

// The command line of a worker can be read, that of its master cannot.
func TestSilentMaster(t *testing.T) {
	root := t.TempDir()
	for _, pid := range []string{"201", "202"} {
		unpack(t, pid, root)
	}
	r := fixture(t, func(o *Options) { o.Proc = root })
	answer := silence(t, filepath.Join(root, "201"))
	id := r.Lookup(202, "gunicorn")
	assert.True(t, id.Unsure)
	assert.Equal(t, "gunicorn", id.Name)
	answer()
	require.Eventually(t, func() bool { return r.Lookup(202, "gunicorn").Master == 201 }, 20*time.Second, time.Millisecond)
}

// What the kernel reports about a process during a look is taken into account.
func TestExecutedWhileBeingLookedAt(t *testing.T) {
	root, dir := copyProcess(t, "203")
	r := fixture(t, func(o *Options) { o.Proc = root })
	silence(t, dir)
	require.True(t, r.Ask(203, "python3"))
	r.Executed(203, 2000)
	require.Eventually(t, func() bool { _, known := r.Find(203, "python3", 1999); return known }, 20*time.Second, time.Millisecond)
	_, known := r.Find(203, "python3", 2000)
	assert.False(t, known, "what it was may not be what it is")
}

func TestSilentProcessesAndRules(t *testing.T) {
	root, dir := copyProcess(t, "203")
	r := fixture(t, func(o *Options) { o.Proc = root })
	answer := silence(t, dir)
	r.Ask(203, "python3")
	require.NoError(t, r.SetRules([]Rule{{Name: "files", Cmdline: "http.server"}}))
	assert.NotEqual(t, "files", r.Lookup(203, "python3").Name)
	answer()
	require.Eventually(t, func() bool { return r.Lookup(203, "python3").Name == "files" }, 20*time.Second, time.Millisecond)
}

func TestFilterOfWhatIsNotKnown(t *testing.T) {
	unsure := &Identity{Name: "python3", Exe: "/usr/bin/python3", Source: FromComm, Unsure: true}
	for _, tt := range []struct {
		f              Filter
		selected, sure bool
	}{
		{Filter{}, true, true},
		{Filter{Ports: []uint16{80}}, true, true},
		{Filter{Ports: []uint16{81}}, false, true},
		{Filter{PIDs: []uint32{7}}, true, true},
		{Filter{PIDs: []uint32{8}}, true, false},
		{Filter{Exes: []string{"python3"}}, true, true},
		{Filter{Exes: []string{"nginx"}}, false, true},
		{Filter{Services: []string{"python3"}}, true, false},
		{Filter{Services: []string{"shop"}}, true, false},
		{Filter{Services: []string{"shop"}, Ports: []uint16{81}}, false, true},
	} {
		selected, sure := tt.f.Decide(7, 80, unsure)
		assert.Equal(t, tt.sure, sure, "%+v", tt.f)
		if sure {
			assert.Equal(t, tt.selected, selected, "%+v", tt.f)
		}
	}
	known := &Identity{Name: "shop", Exe: "/usr/bin/python3"}
	selected, sure := (&Filter{Services: []string{"shop"}}).Decide(7, 80, known)
	assert.True(t, selected && sure)
	selected, sure = (&Filter{Exes: []string{"nginx"}}).Decide(7, 80, &Identity{Unsure: true})
	assert.False(t, sure, "not even the executable is known: %t", selected)
}

func TestFindDoesNotAllocate(t *testing.T) {
	r := fixture(t, nil)
	r.Lookup(101, "nginx")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, known := r.Find(101, "nginx", 5)
		assert.True(t, known, "it is not known any more")
	}))
}

func TestAwait(t *testing.T) {
	r := fixture(t, nil)
	r.Await(map[uint32]string{101: "nginx", 203: "", 99998: ""}, time.Minute)
	for _, pid := range []uint32{101, 203, 99998} {
		_, known := r.Find(pid, "", 0)
		require.True(t, known, pid)
	}
	_, known := r.Find(99998, "shop", 0)
	require.False(t, known, "now somebody knows its command name")
	require.Equal(t, "shop", r.Lookup(99998, "shop").Name)
}

// TestAwaitHasALimit checks that Await does not wait for a name that takes long.
func TestAwaitHasALimit(t *testing.T) {
	root, dir := copyProcess(t, "203")
	r := fixture(t, func(o *Options) {
		o.Proc, o.Pool = root, patience.New(patience.Options{Patience: time.Hour})
	})
	answer := silence(t, dir)
	began := time.Now()
	r.Await(map[uint32]string{203: "python3"}, 10*time.Millisecond)
	require.Less(t, time.Since(began), time.Minute)
	_, known := r.Find(203, "python3", 0)
	require.False(t, known)
	answer()
	r.Await(map[uint32]string{203: "python3"}, time.Minute)
	_, known = r.Find(203, "python3", 0)
	require.True(t, known, "the look went on alone")
}
