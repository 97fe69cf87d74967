package sock

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func listen(t *testing.T, address string) *Listener {
	t.Helper()
	l, err := Listen(address, 16)
	require.NoError(t, err)
	t.Cleanup(l.Close)
	return l
}

// pair returns the client's and the server's end of a connection.
func pair(t *testing.T, address string) (client int, server Conn) {
	t.Helper()
	l := listen(t, address)
	client, err := Dial(l.Addr(), 20*time.Second)
	require.NoError(t, err)
	server, err = Accept(l.FD)
	require.NoError(t, err)
	t.Cleanup(func() { Close(server.FD) })
	return client, server
}

func TestPeer(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "localhost:0"} {
		client, server := pair(t, address)
		local, err := unix.Getsockname(client)
		require.NoError(t, err)
		assert.Equal(t, addrPort(local), server.Peer, "on %s: accepted %+v", address, server)
		assert.True(t, server.Peer.IsValid(), "on %s: accepted %+v", address, server)
		assert.NotZero(t, server.Accepted, "on %s: accepted %+v", address, server)
		Close(client)
	}
	client, server := pair(t, "unix:"+filepath.Join(t.TempDir(), "s"))
	defer Close(client)
	assert.False(t, server.Peer.IsValid(), "the peer on a unix socket is %v", server.Peer)
}

func TestAddressErrors(t *testing.T) {
	for _, address := range []string{"", "here", "127.0.0.1", "127.0.0.1:99999", "unix:", "unix:" + strings.Repeat("x", 108), "a.test:80"} {
		_, err := Listen(address, 1)
		assert.ErrorContains(t, err, "address", "Listen(%q)", address)
	}
}

func TestUnixSocketFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l := listen(t, "unix:"+path)
	assert.Equal(t, "unix:"+path, l.Addr())
	_, err := Listen("unix:"+path, 1)
	assert.ErrorIs(t, err, unix.EADDRINUSE, "a second listener")
	Close(l.FD) // as if it were killed: the file stays
	again := listen(t, "unix:"+path)
	again.Close()
	_, err = os.Lstat(path)
	assert.ErrorIs(t, err, os.ErrNotExist, "after Close")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = Listen("unix:"+path, 1)
	assert.Error(t, err, "a file that is no socket was replaced")
}

func TestReadTimeout(t *testing.T) {
	client, server := pair(t, "127.0.0.1:0")
	defer Close(client)
	require.NoError(t, SetReadTimeout(server.FD, 20*time.Millisecond))
	_, _, err := Read(server.FD, make([]byte, 1))
	assert.ErrorIs(t, err, ErrTimeout, "reading from a silent client")
}

// TestStream sends more than a socket buffer holds, blocking and non-blocking,
// in every way.
func TestStream(t *testing.T) {
	const size = 8 << 20
	file, err := unix.MemfdCreate("test", 0)
	require.NoError(t, err)
	defer Close(file)
	content := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	_, err = unix.Write(file, content)
	require.NoError(t, err)
	for _, nonblocking := range []bool{false, true} {
		client, server := pair(t, "127.0.0.1:0")
		require.NoError(t, unix.SetNonblock(server.FD, nonblocking))
		s := Stream{FD: server.FD, Nonblocking: nonblocking}
		sent := make(chan error, 1)
		go func() {
			sent <- errors.Join(s.Send([]byte("head"), content), s.SendFile(file, 16, size-16), unix.Shutdown(s.FD, unix.SHUT_WR))
		}()
		got, err := io.ReadAll(os.NewFile(uintptr(client), "client"))
		require.NoError(t, errors.Join(err, <-sent))
		want := "head" + string(content) + string(content[16:])
		// Not Equal: it would print 32 kB of both.
		assert.True(t, string(got) == want, "nonblocking %v: got other bytes: %d, want %d; stream %+v", nonblocking, len(got), len(want), s)
		assert.Equal(t, int64(len(want)), s.Sent, "nonblocking %v: stream %+v", nonblocking, s)
		assert.NotZero(t, s.Entered, "nonblocking %v: stream %+v", nonblocking, s)
		assert.GreaterOrEqual(t, s.Left, s.Entered, "nonblocking %v: stream %+v", nonblocking, s)
	}
}

func TestSendFileTooShort(t *testing.T) {
	client, server := pair(t, "127.0.0.1:0")
	defer Close(client)
	file, err := unix.MemfdCreate("test", 0)
	require.NoError(t, err)
	defer Close(file)
	s := Stream{FD: server.FD}
	assert.ErrorIs(t, s.SendFile(file, 0, 1), io.ErrUnexpectedEOF, "sending a file that is too short")
}

func TestDialErrors(t *testing.T) {
	_, err := Dial("127.0.0.1:1", time.Second)
	assert.ErrorIs(t, err, unix.ECONNREFUSED)
	assert.ErrorContains(t, err, "127.0.0.1:1")
	_, err = DialNonblock("nowhere")
	assert.Error(t, err, "DialNonblock takes a name")
}
