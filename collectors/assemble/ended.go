package assemble

import "lapwing/probes/socket"

// Ended reports whether the response in a record that the kernel has not
// handed out yet is complete. Where its framing does not tell, it is not.
func Ended(r socket.Record) bool { return r.ResponseEnd() == socket.EndSeen }
