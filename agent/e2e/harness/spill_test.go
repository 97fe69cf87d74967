package harness

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestSpillHoldsAllUntilItIsRead(t *testing.T) {
	s := newSpill()
	piece := bytes.Repeat([]byte("0123456789"), 1000)
	var want []byte
	for range 200 { // no reader yet
		n, err := s.Write(piece)
		require.NoError(t, err)
		require.Len(t, piece, n)
		want = append(want, piece...)
	}
	go func() {
		_, _ = s.Write([]byte("last"))
		_ = s.Close()
	}()
	got, err := io.ReadAll(iotest.OneByteReader(s))
	require.NoError(t, err)
	require.True(t, bytes.Equal(got, append(want, "last"...)))
}
