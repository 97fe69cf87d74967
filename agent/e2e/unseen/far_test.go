package unseen

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The addresses of a distant network: what is sent to `far` comes back from
// there after the delay, as if it came from another host.
var (
	near = [4]byte{10, 77, 0, 1}
	far  = [4]byte{10, 77, 0, 2}
)

// farAway runs f on a thread with a network of its own, in which each packet is
// delayed. Sockets that f creates stay there.
func farAway(t *testing.T, delay time.Duration, f func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: no other goroutine shall run on this thread
		defer close(done)      // f can end with a failed requirement
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			tun, err := openTunnel()
			if err != nil {
				return err
			}
			defer tun.Close()
			go hairpin(tun, delay)
			f()
			return nil
		}()
	}()
	require.NoError(t, <-done)
}

// openTunnel creates a device whose packets this process receives and sends.
func openTunnel() (*os.File, error) {
	tun, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	device, err := unix.NewIfreq("far")
	if err != nil {
		return nil, err
	}
	device.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(tun, unix.TUNSETIFF, device); err != nil {
		return nil, fmt.Errorf("make a tunnel: %w", err)
	}
	if err := setAddress("far"); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(tun), "tun"), nil
}

func setAddress(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	set := func(request uint, fill func(*unix.Ifreq) error) error {
		r, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		if err := fill(r); err != nil {
			return err
		}
		return unix.IoctlIfreq(fd, request, r)
	}
	address := func(a [4]byte) func(*unix.Ifreq) error {
		return func(r *unix.Ifreq) error { return r.SetInet4Addr(a[:]) }
	}
	if err := set(unix.SIOCSIFADDR, address(near)); err != nil {
		return err
	}
	if err := set(unix.SIOCSIFNETMASK, address([4]byte{255, 255, 255, 0})); err != nil {
		return err
	}
	return set(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error {
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		return nil
	})
}

// hairpin sends each packet back with its two addresses exchanged, which does
// not change its checksums.
func hairpin(tun *os.File, delay time.Duration) {
	type packet struct {
		due   time.Time
		bytes []byte
	}
	queue := make(chan packet, 4096)
	defer close(queue)
	go func() {
		for p := range queue {
			time.Sleep(time.Until(p.due))
			_, _ = tun.Write(p.bytes)
		}
	}()
	for {
		buf := make([]byte, 65536)
		n, err := tun.Read(buf)
		if err != nil {
			return
		}
		if n < 20 || buf[0]>>4 != 4 {
			continue
		}
		var from [4]byte
		copy(from[:], buf[12:16])
		copy(buf[12:16], buf[16:20])
		copy(buf[16:20], from[:])
		queue <- packet{time.Now().Add(delay), buf[:n]}
	}
}
