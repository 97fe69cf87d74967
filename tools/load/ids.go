package load

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"
)

// ids gives out trace ids that nobody else has: half of each is random, the
// other half counts.
type ids struct {
	base [8]byte
	last atomic.Uint64
}

func newIDs() *ids {
	i := new(ids)
	// Does not fail: the runtime ends the program first.
	_, _ = rand.Read(i.base[:])
	return i
}

func (i *ids) next() string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(i.base[:], i.last.Add(1)))
}
