package load

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"
)

// ids generates unique trace ids: half of each is random, the other half is a
// counter.
type ids struct {
	base [8]byte
	last atomic.Uint64
}

func newIDs() *ids {
	i := new(ids)
	// Cannot fail: the runtime ends the program first.
	_, _ = rand.Read(i.base[:])
	return i
}

func (i *ids) next() string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(i.base[:], i.last.Add(1)))
}
