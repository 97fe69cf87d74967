package survey

import (
	"fmt"
	"slices"
)

// TakeSurvey asks the kernel what it has. It loads nothing and needs no
// privileges beyond reading the kernel's type information and tracefs.
func TakeSurvey() Survey {
	k, err := newKernel()
	s := Survey{Kernel: k.release}
	if err != nil {
		s.Problems = append(s.Problems, Problem{
			What: fmt.Sprintf("the kernel's type information (/sys/kernel/btf/vmlinux) cannot be read: %v", err),
			Fix:  "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (Debian 11, Ubuntu 20.10, RHEL 8.2 and later have it)",
		})
		return s
	}
	if k.tracefs == "" {
		s.Problems = append(s.Problems, Problem{
			What: "tracefs is not mounted at /sys/kernel/tracing",
			Fix:  "mount -t tracefs tracefs /sys/kernel/tracing",
		})
	}
	for _, p := range []Plan{PlanSocket, PlanSyscall} {
		survey := surveyPlan(k, p)
		if survey.Works && s.Chosen == "" {
			s.Chosen = p
		}
		s.Plans = append(s.Plans, survey)
	}
	return s
}

// surveyPlan decides for each hook of a plan whether it is used.
func surveyPlan(k *kernel, p Plan) PlanSurvey {
	s := PlanSurvey{Plan: p, Works: true}
	used := map[string]bool{}
	for _, h := range hooksOf(p) {
		out := Hook{Program: h.program, Name: h.Name, Purpose: h.purpose, Optional: h.optional, Available: true}
		if err := h.has(k); err != nil {
			out.Available, out.Why = false, err.Error()
		}
		instead := slices.IndexFunc(h.unless, func(program string) bool { return used[program] })
		switch {
		case instead >= 0:
			out.Why = "not needed: " + hookName(p, h.unless[instead]) + " provides it"
		case out.Available:
			out.Used = true
			used[h.program] = true
		case h.optional:
			out.Without = h.without
		default:
			if s.Works {
				s.Works, s.Why = false, out.Why
			}
		}
		s.Hooks = append(s.Hooks, out)
	}
	return s
}

func hookName(p Plan, program string) string {
	for _, h := range hooksOf(p) {
		if h.program == program {
			return h.Name
		}
	}
	return program
}

// Resolve resolves PlanAuto and refuses a plan that is not possible on this kernel.
func (s Survey) Resolve(want Plan) (PlanSurvey, error) {
	if len(s.Plans) == 0 {
		return PlanSurvey{}, fmt.Errorf("no probe plan works: %s; %s", s.Problems[0].What, s.Problems[0].Fix)
	}
	if want == PlanAuto || want == "" {
		want = s.Chosen
	}
	for _, p := range s.Plans {
		if p.Plan != want {
			continue
		}
		if !p.Works {
			return p, fmt.Errorf("probe plan %s does not work on kernel %s: %s", p.Plan, s.Kernel, p.Why)
		}
		return p, nil
	}
	return PlanSurvey{}, fmt.Errorf("no probe plan works on kernel %s: %s (run lapwing probes for details)", s.Kernel, s.Plans[len(s.Plans)-1].Why)
}
