package peer

import (
	"time"
)

// Slot identifies a descriptor of a process. Slot 0 is the connection unless a
// step says otherwise.
type Slot int

// ListenerSlot is the listening socket that Start passes to a server.
const ListenerSlot Slot = -1

// Event is an event that one thread signals and others await, also across
// processes. It is an index into a board that all processes of a run share.
type Event uint8

// MaxEvents is the highest number of events of a run.
const MaxEvents = 32

// Program is what one process does.
type Program struct {
	// Threads are the scripts of the process's threads, which start together.
	Threads [][]Step
	// Inherit lists the slots that a process started by OpSpawn gets from the
	// thread that starts it.
	Inherit []Slot
	// Backlog is the listen backlog of a server; 0 means 128.
	Backlog int
}

// Threads is a program with one script per thread.
func Threads(scripts ...[]Step) Program { return Program{Threads: scripts} }

// Script is a program with a single thread.
func Script(steps ...Step) Program { return Threads(steps) }

// WithBacklog sets the listen backlog.
func (p Program) WithBacklog(n int) Program {
	p.Backlog = n
	return p
}

// Inheriting sets the slots that a spawned program gets from its parent.
func (p Program) Inheriting(slots ...Slot) Program {
	p.Inherit = slots
	return p
}

// Op is what a step does.
type Op string

// The operations. Each read and write is stamped separately, so that one step
// can leave several stamps under its label.
const (
	OpAccept     Op = "accept"
	OpConnect    Op = "connect"
	OpSleep      Op = "sleep"
	OpRead       Op = "read"        // one call
	OpReadFull   Op = "read_full"   // calls until Size bytes were read
	OpReadHead   Op = "read_head"   // calls until a blank line
	OpReadEOF    Op = "read_eof"    // calls until the end of the stream
	OpPeek       Op = "peek"        // one call that leaves the bytes where they are
	OpReadNone   Op = "read_none"   // one call that finds nothing (EAGAIN)
	OpWrite      Op = "write"       // one call, which blocks as long as necessary
	OpTrickle    Op = "trickle"     // Chunk bytes per call, Pause between calls
	OpWritePoll  Op = "write_poll"  // non-blocking calls, poll between them
	OpWriteRoom  Op = "write_room"  // poll for room before each non-blocking call
	OpSegments   Op = "segments"    // the Segments in one vectored call, as far as it accepts them
	OpSendfile   Op = "sendfile"    // the data with sendfile
	OpSplice     Op = "splice"      // the data through a pipe
	OpShutdown   Op = "shutdown"    // no more writes
	OpClose      Op = "close"       //
	OpReset      Op = "reset"       // close with a reset (SO_LINGER 0)
	OpSocketpair Op = "socketpair"  // into Slot and Other
	OpPassFD     Op = "pass_fd"     // Slot over the unix socket Other
	OpTakeFD     Op = "take_fd"     // into Slot from the unix socket Other
	OpSpawn      Op = "spawn"       // start Child with copies of its Inherit slots
	OpSendBuffer Op = "send_buffer" // SO_SNDBUF of Slot to Size
	OpSignal     Op = "signal"
	OpAwait      Op = "await"
)

// Step is one step of a script. Create it with the functions named after the
// operations.
type Step struct {
	Op       Op
	Label    string        // the label of its stamps; empty: not stamped
	Slot     Slot          // the descriptor
	Other    Slot          // a second descriptor
	Data     []byte        // what is written
	Segments []Segment     // what a vectored call writes
	Size     int           // bytes to read, or the length of generated data
	Chunk    int           // bytes per call; 0: as many as fit
	Pause    time.Duration // between the calls of the step, or how long to sleep
	Via      string        // the system call family: see the Via constants
	Event    Event
	Address  Address // where to connect; zero: where the run's server listens
	Child    *Program
	MayFail  bool // if the call fails, the error is stamped and the script continues
}

// The system calls for a read or a write.
const (
	ViaPlain   = ""        // read, write
	ViaSocket  = "socket"  // recvfrom, sendto
	ViaVector  = "vector"  // readv, writev
	ViaMessage = "message" // recvmsg, sendmsg
	ViaBatch   = "batch"   // recvmmsg, sendmmsg
)

// As sets the label of the step's stamps.
func (s Step) As(label string) Step { s.Label = label; return s }

// On selects another descriptor for the step.
func (s Step) On(slot Slot) Step { s.Slot = slot; return s }

// By selects the system call family.
func (s Step) By(via string) Step { s.Via = via; return s }

// In sets the bytes of one call.
func (s Step) In(chunk int) Step { s.Chunk = chunk; return s }

// Every sets the pause between the calls of the step.
func (s Step) Every(d time.Duration) Step { s.Pause = d; return s }

// Tolerant lets the script continue if the call fails.
func (s Step) Tolerant() Step { s.MayFail = true; return s }

// To sets the address of a connect.
func (s Step) To(a Address) Step { s.Address = a; return s }

// Accept accepts a connection from the listener.
func Accept() Step { return Step{Op: OpAccept} }

// Connect connects. A size sets the receive buffer before that.
func Connect() Step { return Step{Op: OpConnect} }

// ReceiveBuffer sets SO_RCVBUF before the connect.
func (s Step) ReceiveBuffer(bytes int) Step { s.Size = bytes; return s }

// Sleep sleeps.
func Sleep(d time.Duration) Step { return Step{Op: OpSleep, Pause: d} }

// Read makes one call for up to n bytes.
func Read(n int) Step { return Step{Op: OpRead, Size: n} }

// ReadFull reads exactly n bytes.
func ReadFull(n int) Step { return Step{Op: OpReadFull, Size: n} }

// ReadHead reads until a blank line.
func ReadHead() Step { return Step{Op: OpReadHead} }

// ReadEOF reads until the end of the stream.
func ReadEOF() Step { return Step{Op: OpReadEOF} }

// Peek reads up to n bytes without removing them from the socket.
func Peek(n int) Step { return Step{Op: OpPeek, Size: n} }

// ReadNone reads without blocking and expects no bytes.
func ReadNone() Step { return Step{Op: OpReadNone} }

// Write writes the data in one call.
func Write(data string) Step { return Step{Op: OpWrite, Data: []byte(data)} }

// Trickle writes the data in calls of chunk bytes.
func Trickle(data string, chunk int, pause time.Duration) Step {
	return Step{Op: OpTrickle, Data: []byte(data), Chunk: chunk, Pause: pause}
}

// WriteRoom polls for room before each call of chunk bytes, like event loops
// that never see a full buffer.
func WriteRoom(data string, chunk int) Step {
	return Step{Op: OpWriteRoom, Data: []byte(data), Chunk: chunk}
}

// Padded lengthens the data of a write to n bytes.
func (s Step) Padded(n int) Step { s.Size = n; return s }

// WritePoll writes without blocking and polls for room.
func WritePoll(data string) Step { return Step{Op: OpWritePoll, Data: []byte(data)} }

// Sendfile sends the data from a file.
func Sendfile(data string) Step { return Step{Op: OpSendfile, Data: []byte(data)} }

// Splice sends the data from a pipe.
func Splice(data string) Step { return Step{Op: OpSplice, Data: []byte(data)} }

// Shutdown ends the stream of writes.
func Shutdown() Step { return Step{Op: OpShutdown} }

// Close closes the descriptor.
func Close() Step { return Step{Op: OpClose} }

// Reset closes the descriptor with a reset.
func Reset() Step { return Step{Op: OpReset} }

// Socketpair creates two connected unix sockets.
func Socketpair(a, b Slot) Step { return Step{Op: OpSocketpair, Slot: a, Other: b} }

// PassFD sends the connection over the unix socket.
func PassFD(over Slot) Step { return Step{Op: OpPassFD, Other: over} }

// TakeFD receives the connection from the unix socket.
func TakeFD(over Slot) Step { return Step{Op: OpTakeFD, Other: over} }

// Spawn starts another process.
func Spawn(child Program) Step { return Step{Op: OpSpawn, Child: &child} }

// SendBuffer sets the connection's send buffer.
func SendBuffer(bytes int) Step { return Step{Op: OpSendBuffer, Size: bytes} }

// Signal makes the event happen.
func Signal(e Event) Step { return Step{Op: OpSignal, Event: e} }

// Await waits for the event.
func Await(e Event) Step { return Step{Op: OpAwait, Event: e} }
