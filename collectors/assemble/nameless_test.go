package assemble

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
	"lapwing/collectors/service"
	"lapwing/probes/socket/wire"
)

// table is a process table in which each process has a program with its own name.
type table struct {
	t    *testing.T
	root string
}

// add adds a process that lets its command line be read, or does not.
func (p table) add(pid int, program string, silent bool) {
	p.t.Helper()
	dir := filepath.Join(p.root, strconv.Itoa(pid))
	require.NoError(p.t, os.Mkdir(dir, 0o755))
	stat := strconv.Itoa(pid) + " (python3) S 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
	require.NoError(p.t, os.WriteFile(filepath.Join(dir, "stat"), []byte(stat), 0o600))
	require.NoError(p.t, os.Symlink("/usr/bin/python3", filepath.Join(dir, "exe")))
	require.NoError(p.t, os.Symlink("/", filepath.Join(dir, "cwd")))
	line := filepath.Join(dir, "cmdline")
	if !silent {
		require.NoError(p.t, os.WriteFile(line, []byte("python3\x00/srv/"+program+".py\x00"), 0o600))
		return
	}
	require.NoError(p.t, syscall.Mkfifo(line, 0o600))
	p.t.Cleanup(func() { p.tell(pid, "late") })
}

// tell lets a silent process answer.
func (p table) tell(pid int, program string) {
	line := filepath.Join(p.root, strconv.Itoa(pid), "cmdline")
	deaf := line + ".deaf"
	if os.Rename(line, deaf) != nil {
		return
	}
	_ = os.WriteFile(line, []byte("python3\x00/srv/"+program+".py\x00"), 0o600)
	f, err := os.OpenFile(deaf, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err == nil {
		time.Sleep(50 * time.Millisecond)
		_ = f.Close()
	}
}

func served(pid, seq uint32) wire.Record {
	f := fields()
	f.Pid, f.Tid, f.Seq, f.Conn = pid, pid, seq, uint64(pid)<<32|uint64(seq)
	return record(f, getHead, plainOK)
}

func ticked(t *testing.T, a *Assembler, until func() bool) {
	t.Helper()
	require.Eventually(t, func() bool { a.Tick(time.Now()); return until() }, 20*time.Second, time.Millisecond)
}

func naming(t *testing.T, f *service.Filter, export func(*request.Request)) (*Assembler, table) {
	p := table{t, t.TempDir()}
	services, err := service.New(service.Options{Proc: p.root, Host: "here"})
	require.NoError(t, err)
	return New(Options{Services: services, Filter: f, Export: export}), p
}

func TestFirstRequestsHaveTheRightName(t *testing.T) {
	var got sink
	a, p := naming(t, nil, got.take)
	p.add(101, "shop", false)
	p.add(102, "blog", false)
	for seq := range uint32(5) {
		a.HandleRecord(wire.Final, served(101, seq))
		a.HandleRecord(wire.Final, served(102, seq))
	}
	ticked(t, a, func() bool { return len(got) == 10 })
	next := map[uint32]uint32{}
	for _, r := range got {
		assert.Equal(t, map[uint32]string{101: "shop", 102: "blog"}[r.PID], r.Service)
		assert.Equal(t, next[r.PID], r.Seq, "in order")
		next[r.PID]++
	}
	assert.Empty(t, a.nameless.byPID)
	assert.Zero(t, a.nameless.total)
	a.HandleRecord(wire.Final, served(101, 5))
	assert.Len(t, got, 11, "now nobody waits")
}

// A process that does not answer delays no other, and its own requests only for a
// short time.
func TestSilentProcessHoldsUpNobody(t *testing.T) {
	var got sink
	a, p := naming(t, nil, got.take)
	p.add(101, "shop", false)
	p.add(103, "", true)
	a.HandleRecord(wire.Final, served(101, 0))
	ticked(t, a, func() bool { return len(got) == 1 })
	for seq := range uint32(3) {
		a.HandleRecord(wire.Final, served(103, seq))
		a.HandleRecord(wire.Final, served(101, seq+1))
		assert.Len(t, got, int(seq)+2, "the other goes on")
	}
	began := time.Now()
	ticked(t, a, func() bool { return len(got) == 7 })
	assert.Less(t, time.Since(began), 10*time.Second)
	for _, r := range got[4:] {
		assert.Equal(t, "python3", r.Service, "by its command name")
	}
	a.HandleRecord(wire.Final, served(103, 3))
	assert.Len(t, got, 8)

	p.tell(103, "hung")
	ticked(t, a, func() bool {
		a.HandleRecord(wire.Final, served(103, 4))
		return got[len(got)-1].Service == "hung"
	})
	assert.Zero(t, a.Counts().Undecided)
}

// A filter passes nothing that it must not pass, and each request that it drops is
// counted.
func TestFilterWaitsForTheName(t *testing.T) {
	var got sink
	a, p := naming(t, &service.Filter{Services: []string{"shop"}}, got.take)
	hidden := 0
	a.opts.Hide = func(*request.Request) { hidden++ }
	p.add(101, "shop", false)
	p.add(102, "blog", false)
	p.add(103, "", true)
	p.add(104, "", true)
	for pid := range uint32(4) {
		a.HandleRecord(wire.Final, served(101+pid, 1))
	}
	ticked(t, a, func() bool {
		id, known := a.opts.Services.Find(104, "web", 0)
		return len(got) == 1 && a.nameless.total == 2 && known && id.Unsure
	})
	p.tell(104, "shop")
	ticked(t, a, func() bool { return a.nameless.total == 0 })
	require.Len(t, got, 2)
	assert.EqualValues(t, []uint32{101, 104}, []uint32{got[0].PID, got[1].PID})
	assert.EqualValues(t, 1, a.Counts().Undecided, "one never told")
	assert.EqualValues(t, 2, a.Counts().Requests)
}

func TestNamelessAreBounded(t *testing.T) {
	n := 0
	a, p := naming(t, nil, func(*request.Request) { n++ })
	p.add(103, "", true)
	for seq := range uint32(maxOfOne + 100) {
		a.HandleRecord(wire.Final, served(103, seq))
		require.LessOrEqual(t, a.nameless.total, maxOfOne)
	}
	a.Flush()
	assert.Equal(t, maxOfOne+100, n)
	assert.Zero(t, a.nameless.total)
}

func TestFlushWaitsForTheLastNames(t *testing.T) {
	var got sink
	a, p := naming(t, nil, got.take)
	p.add(101, "shop", false)
	p.add(103, "", true)
	a.HandleRecord(wire.Final, served(103, 1))
	a.HandleRecord(wire.Final, served(101, 1))
	began := time.Now()
	a.Flush()
	assert.Less(t, time.Since(began), 5*time.Second)
	require.Len(t, got, 2)
	names := map[uint32]string{got[0].PID: got[0].Service, got[1].PID: got[1].Service}
	assert.Equal(t, map[uint32]string{101: "shop", 103: "python3"}, names)
}
