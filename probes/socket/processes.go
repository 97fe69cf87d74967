package socket

import "unsafe"

// ProcessNote says what a process did that serves.
type ProcessNote struct {
	PID  uint32
	Did  ProcessDid
	At   uint64 // nanoseconds of the monotonic clock
	Born uint64 // nanoseconds from boot to the start of the process, suspended or not
}

// ProcessDid is what a process did.
type ProcessDid uint16

// What processes do.
const (
	Listens  = ProcessDid(socketPlanProcessDidPROCESS_LISTENS)  // it has a listening socket open; at the start
	Serves   = ProcessDid(socketPlanProcessDidPROCESS_SERVES)   // it read from a client for the first time
	Executed = ProcessDid(socketPlanProcessDidPROCESS_EXECUTED) // it executes a program, after it had served
)

func decodeProcess(raw []byte) (ProcessNote, bool) {
	var n socketPlanProcessNote
	if len(raw) < int(unsafe.Sizeof(n)) {
		return ProcessNote{}, false
	}
	n = *(*socketPlanProcessNote)(unsafe.Pointer(unsafe.SliceData(raw)))
	return ProcessNote{PID: n.Pid, Did: ProcessDid(n.Did), At: n.At, Born: n.Born}, true
}
