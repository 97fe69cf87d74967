package assemble

import (
	"lapwing/probes/socket/wire"
)

// Ended reports whether the response in a record that the kernel has not
// handed out yet is complete. Where its framing does not tell, it is not.
func Ended(r wire.Record) bool { return r.ResponseEnd() == wire.EndSeen }
