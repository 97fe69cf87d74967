package load

import (
	"encoding/binary"
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/clock"
)

// The kernel stamps each write of a client when it hands the bytes to the
// loopback device (SO_TIMESTAMPING): from there to the server's receive queue
// there is nothing but the other half of the network stack, on the same CPU.
// So the moment at which a request arrives is known without the client's own
// way into the kernel, and without any eBPF program.

// stampWrites asks for the stamps, without the bytes, and numbered by the
// bytes of the connection.
const stampWrites = unix.SOF_TIMESTAMPING_TX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE |
	unix.SOF_TIMESTAMPING_OPT_ID | unix.SOF_TIMESTAMPING_OPT_TSONLY

// stamps are the kernel's, by the number of the last byte of a write. Values
// are nanoseconds of CLOCK_MONOTONIC.
type stamps map[uint32]int64

// collect takes the stamps that the kernel has put into the error queue.
func (s *socket) collect() error {
	var control [512]byte
	for {
		_, n, _, _, err := unix.Recvmsg(s.fd, nil, control[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil:
			return err
		}
		messages, err := unix.ParseSocketControlMessage(control[:n])
		if err != nil {
			return err
		}
		s.keep(messages)
	}
}

// keep takes the two halves of a stamp: the time, and which write it is of.
func (s *socket) keep(messages []unix.SocketControlMessage) {
	var at int64
	var last uint32
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPING && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})):
			// The first of three is the software's.
			at = int64(binary.NativeEndian.Uint64(m.Data))*1e9 + int64(binary.NativeEndian.Uint64(m.Data[8:]))
		case m.Header.Level == unix.SOL_IP && m.Header.Type == unix.IP_RECVERR && len(m.Data) >= 16:
			last = binary.NativeEndian.Uint32(m.Data[12:]) // ee_data
		}
	}
	if at == 0 {
		return
	}
	if s.stamps == nil {
		s.stamps = make(stamps)
	}
	// A write that the device got in pieces has a stamp for each; the first
	// one is the one that the server woke up for.
	if _, earlier := s.stamps[last]; !earlier {
		s.stamps[last] = at - wallOffset()
	}
}

// wallOffset is how far the wall clock, the clock of the stamps, is ahead of
// CLOCK_MONOTONIC now. It is the closest of a few tries, because a try can be
// interrupted between its clock reads.
func wallOffset() (offset int64) {
	best := int64(1) << 62
	for range 5 {
		var wall unix.Timespec
		before := clock.Now()
		// CLOCK_REALTIME cannot fail on Linux.
		_ = unix.ClockGettime(unix.CLOCK_REALTIME, &wall)
		if gap := clock.Now() - before; gap < best {
			best, offset = gap, wall.Nano()-before-gap/2
		}
	}
	return offset
}
