package load

import (
	"encoding/binary"
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/clock"
)

// The kernel stamps each write of a client when it hands the bytes to the
// loopback device (SO_TIMESTAMPING). From there to the receive queue of the
// server, only the other half of the network stack follows, on the same CPU. So
// the arrival of a request is known without the client's own path into the
// kernel, and without an eBPF program.

// stampWrites enables the stamps, without the bytes, numbered by the bytes of
// the connection.
const stampWrites = unix.SOF_TIMESTAMPING_TX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE |
	unix.SOF_TIMESTAMPING_OPT_ID | unix.SOF_TIMESTAMPING_OPT_TSONLY

// stamps are the stamps of the kernel, by the number of the last byte of a
// write. Values are nanoseconds of CLOCK_MONOTONIC.
type stamps map[uint32]int64

// collect reads the stamps from the error queue of the socket.
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

// keep reads the two parts of a stamp: the time, and the write that it belongs
// to.
func (s *socket) keep(messages []unix.SocketControlMessage) {
	var at int64
	var last uint32
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPING && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})):
			// The first of three is the software stamp.
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
	// A write that reaches the device in pieces has a stamp for each. The first
	// one is the one that woke the server.
	if _, earlier := s.stamps[last]; !earlier {
		s.stamps[last] = at - wallOffset()
	}
}

// wallOffset returns how far the wall clock, which the stamps use, is ahead of
// CLOCK_MONOTONIC now, in nanoseconds. It is the closest of a few tries,
// because a try can be interrupted between its clock reads.
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
