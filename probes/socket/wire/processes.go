package wire

import (
	"unsafe"

	"lapwing/probes/socket/bpf"
)

// ProcessNote is a note of what a server process did.
type ProcessNote struct {
	PID  uint32
	Did  ProcessDid
	At   uint64 // nanoseconds of the monotonic clock
	Born uint64 // nanoseconds from boot to the start of the process, suspended or not
}

// ProcessDid is what a process did.
type ProcessDid uint16

// What processes do. Executed is reported only of processes that have served before.
const (
	Listens  = ProcessDid(bpf.SocketPlanProcessDidPROCESS_LISTENS)  // it listens at the start
	Serves   = ProcessDid(bpf.SocketPlanProcessDidPROCESS_SERVES)   // its first read from a client
	Executed = ProcessDid(bpf.SocketPlanProcessDidPROCESS_EXECUTED) // it executes a program
)

func DecodeProcess(raw []byte) (ProcessNote, bool) {
	var n bpf.SocketPlanProcessNote
	if len(raw) < int(unsafe.Sizeof(n)) {
		return ProcessNote{}, false
	}
	n = *(*bpf.SocketPlanProcessNote)(unsafe.Pointer(unsafe.SliceData(raw)))
	return ProcessNote{PID: n.Pid, Did: ProcessDid(n.Did), At: n.At, Born: n.Born}, true
}
