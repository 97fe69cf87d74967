package survey

import (
	"fmt"
	"strings"
)

// Plan names a set of kernel hooks that together give all stamps.
type Plan string

// The plans, in the order in which they are tried.
const (
	// PlanAuto takes the first plan that is possible on this kernel.
	PlanAuto Plan = "auto"
	// PlanSocket uses the tracepoints inside the socket calls (Linux ≥ 6.5).
	PlanSocket Plan = "socket"
	// PlanSyscall uses the tracepoints at the entry and exit of the system
	// calls that read and write (Linux ≥ 5.15).
	PlanSyscall Plan = "syscall"
)

// ParsePlan parses the value of a flag.
func ParsePlan(s string) (Plan, error) {
	switch p := Plan(strings.ToLower(s)); p {
	case PlanAuto, PlanSocket, PlanSyscall:
		return p, nil
	}
	return "", fmt.Errorf("unknown probe plan %q: use auto, socket or syscall", s)
}

// Hook is one kernel attach point and whether it is used.
type Hook struct {
	Program   string // what is attached there, as the object names it
	Name      string // as the kernel names it: tp_btf/tcp_probe
	Purpose   string // which stamps it feeds
	Optional  bool   // the plan works without it; Without says what is absent
	Available bool   // this kernel has it
	Used      bool   // the chosen plan attaches it
	Why       string // why it is not available, or not used
	Without   string // what is absent if an optional hook is missing
}

// PlanSurvey is one plan and whether it would work.
type PlanSurvey struct {
	Plan  Plan
	Works bool
	Why   string // what is missing if it does not work
	Hooks []Hook
}

// Survey is what `lapwing probes` prints.
type Survey struct {
	Kernel   string // release, as uname -r
	Chosen   Plan   // empty if no plan works
	Problems []Problem
	Plans    []PlanSurvey
}

// Problem is something that stops every plan, and what to do about it.
type Problem struct {
	What string // "CAP_BPF is missing"
	Fix  string // "run as root, or: setcap cap_bpf,… lapwing"
}
