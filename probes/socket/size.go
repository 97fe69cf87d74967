package socket

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

// explainSize adds how much memory the maps take to an error about missing memory.
func explainSize(err error, spec *ebpf.CollectionSpec) error {
	if !errors.Is(err, unix.ENOMEM) {
		return err
	}
	all, largest, most := mapSizes(spec)
	return fmt.Errorf("the maps take %s, %s alone %s: %w", units.BytesSize(float64(all)), largest, units.BytesSize(float64(most)), err)
}

// mapSizes returns about how much memory the kernel takes for all maps when they are
// created, and which map takes most.
func mapSizes(spec *ebpf.CollectionSpec) (all uint64, largest string, most uint64) {
	for name, m := range spec.Maps {
		size := sizeOf(m)
		all += size
		if size > most {
			largest, most = name, size
		}
	}
	return all, largest, most
}

// sizeOf leaves out the memory that is allocated with the elements later.
func sizeOf(m *ebpf.MapSpec) uint64 {
	const element, bucket = 48, 16 // what the kernel adds to each of them
	aligned := func(n uint32) uint64 { return (uint64(n) + 7) &^ 7 }
	n := uint64(m.MaxEntries)
	switch m.Type {
	case ebpf.Array:
		return n * aligned(m.ValueSize)
	case ebpf.PerCPUArray:
		return n * aligned(m.ValueSize) * uint64(ebpf.MustPossibleCPU())
	case ebpf.RingBuf:
		return n
	case ebpf.Hash, ebpf.LRUHash:
		buckets := uint64(1)
		for buckets < n {
			buckets *= 2
		}
		if m.Flags&unix.BPF_F_NO_PREALLOC != 0 {
			return buckets * bucket
		}
		return buckets*bucket + n*(element+aligned(m.KeySize)+aligned(m.ValueSize))
	}
	return 0
}
