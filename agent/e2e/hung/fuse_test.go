package hung

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/agent/e2e/harness"
)

// The operations of FUSE that the file needs, from linux/fuse.h.
const (
	opForget    = 2
	opGetAttr   = 3
	opSetAttr   = 4
	opOpen      = 14
	opRead      = 15
	opWrite     = 16
	opRelease   = 18
	opFlush     = 25
	opInit      = 26
	opInterrupt = 36
	opBatch     = 42
)

type (
	inHeader struct {
		Len, Op      uint32
		Unique, Node uint64
		UID, GID     uint32
		PID, Rest    uint32
	}
	outHeader struct {
		Len    uint32
		Error  int32
		Unique uint64
	}
	initOut struct {
		Major, Minor, ReadAhead, Flags uint32
		Background, Congestion         uint16
		MaxWrite, Granularity          uint32
		Rest                           [9]uint32
	}
	attrOut struct {
		Valid                       uint64
		Rest, _                     uint32
		Ino, Size, Blocks           uint64
		Accessed, Modified, Changed uint64
		_, _, _                     uint32
		Mode, Links, UID, GID       uint32
		_, BlockSize, _             uint32
	}
	openOut struct {
		Handle      uint64
		Flags, Rest uint32
	}
)

// deafFile is a file of one page in a file system of its own. Writes to it are
// not acknowledged until the test ends.
type deafFile struct {
	path string
	dev  int

	mu      sync.Mutex
	written []uint64 // requests that were not answered
	over    bool
}

// mountDeafFile mounts the file. Every kernel of a distribution has /dev/fuse.
// Mounting it directly avoids fusermount.
func mountDeafFile(t *testing.T) *deafFile {
	t.Helper()
	f := &deafFile{path: filepath.Join(harness.OpenDir(t), "file")}
	require.NoError(t, os.WriteFile(f.path, nil, 0o666))
	var err error
	f.dev, err = unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err, "the test needs FUSE (modprobe fuse)")
	options := fmt.Sprintf("fd=%d,rootmode=100666,user_id=0,group_id=0,allow_other", f.dev)
	require.NoError(t, unix.Mount("deaf", f.path, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options))
	go f.serve()
	t.Cleanup(func() {
		f.release()
		_ = unix.Unmount(f.path, unix.MNT_DETACH)
		_ = unix.Close(f.dev)
	})
	return f
}

func (f *deafFile) serve() {
	buf := make([]byte, 256<<10)
	for {
		n, err := unix.Read(f.dev, buf)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN || err == unix.ENOENT:
			continue
		case err != nil:
			return // unmounted
		}
		var in inHeader
		_ = binary.Read(bytes.NewReader(buf[:n]), binary.NativeEndian, &in)
		f.answer(in)
	}
}

func (f *deafFile) answer(in inHeader) {
	switch in.Op {
	case opForget, opInterrupt, opBatch:
	case opInit:
		f.reply(in.Unique, initOut{Major: 7, Minor: 31, MaxWrite: 1 << 16, Granularity: 1})
	case opGetAttr, opSetAttr:
		f.reply(in.Unique, attrOut{Valid: 3600, Ino: 1, Size: 4096, Blocks: 8, Mode: unix.S_IFREG | 0o666, Links: 1, BlockSize: 4096})
	case opOpen:
		f.reply(in.Unique, openOut{})
	case opRead:
		f.reply(in.Unique, [4096]byte{})
	case opRelease, opFlush:
		f.reply(in.Unique, nil)
	case opWrite:
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.over {
			f.fail(in.Unique, unix.EIO)
		} else {
			f.written = append(f.written, in.Unique)
		}
	default:
		f.fail(in.Unique, unix.ENOSYS)
	}
}

// release answers the writes, so that waiting processes continue.
func (f *deafFile) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	for _, unique := range f.written {
		f.fail(unique, unix.EIO)
	}
	f.written = nil
}

func (f *deafFile) reply(unique uint64, body any) {
	var b bytes.Buffer
	if body != nil {
		_ = binary.Write(&b, binary.NativeEndian, body)
	}
	f.send(outHeader{Len: uint32(16 + b.Len()), Unique: unique}, b.Bytes())
}

func (f *deafFile) fail(unique uint64, err unix.Errno) {
	f.send(outHeader{Len: 16, Error: -int32(err), Unique: unique}, nil)
}

func (f *deafFile) send(h outHeader, body []byte) {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.NativeEndian, h)
	b.Write(body)
	_, _ = unix.Write(f.dev, b.Bytes())
}
