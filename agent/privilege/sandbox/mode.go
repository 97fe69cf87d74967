package sandbox

import "fmt"

// Mode is the action for a system call that is not allowed.
type Mode string

// The modes.
const (
	Refuse Mode = "refuse" // the call fails with EPERM, and is counted
	Kill   Mode = "kill"   // the call ends the process
	Off    Mode = "off"    // there is no filter
)

// ParseMode checks the name of a mode.
func ParseMode(name string) (Mode, error) {
	switch m := Mode(name); m {
	case Refuse, Kill, Off:
		return m, nil
	}
	return "", fmt.Errorf("unknown value %q for sandbox: use refuse, kill or off", name)
}
