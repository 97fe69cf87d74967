package assemble

import (
	"lapwing/probes/socket/wire"
)

// Ended reports whether the response is complete, in a record that the kernel has
// not passed on yet. If the framing does not show it, the response is not complete.
func Ended(r wire.Record) bool { return r.ResponseEnd() == wire.EndSeen }
