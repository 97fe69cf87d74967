package survey

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// kernel answers what the running kernel has. It asks the kernel's own type information,
// so an answer is proof and not a guess from the version.
type kernel struct {
	release string
	types   *btf.Spec
	tracefs string           // empty if not mounted
	refused map[string]error // iterators that were tried
}

// tracefsPaths are the places where the kernel's tracing files may be mounted.
var tracefsPaths = []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}

// newKernel fails if the kernel has no type information (BTF). The kernel that it returns
// then still knows its release.
func newKernel() (*kernel, error) {
	k := &kernel{release: release(), tracefs: findTracefs(), refused: map[string]error{}}
	types, err := btf.LoadKernelSpec()
	if err != nil {
		return k, fmt.Errorf("read the kernel's type information: %w", err)
	}
	k.types = types
	return k, nil
}

func findTracefs() string {
	for _, p := range tracefsPaths {
		if _, err := os.Stat(filepath.Join(p, "events", "syscalls")); err == nil {
			return p
		}
	}
	return ""
}

func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// lacks returns an error that says what the kernel is missing.
func lacks(format string, args ...any) error { return fmt.Errorf(format, args...) }

func tracepointBTF(name string) func(*kernel) error {
	return func(k *kernel) error {
		var t *btf.Typedef
		if k.types.TypeByName("btf_trace_"+name, &t) != nil {
			return lacks("the kernel has no tracepoint %s", name)
		}
		return nil
	}
}

func function(name string) func(*kernel) error {
	return func(k *kernel) error {
		var f *btf.Func
		if k.types.TypeByName(name, &f) != nil {
			return lacks("the kernel has no function %s to attach to", name)
		}
		return nil
	}
}

// attachable finds out whether programs may attach to a function, by doing it. Kernels
// without ftrace, and kernels in lockdown, have the function but refuse.
func attachable(name string) func(*kernel) error {
	return func(k *kernel) error {
		if err := function(name)(k); err != nil {
			return err
		}
		prog, err := load(ebpf.AttachTraceFEntry, name)
		if err != nil {
			return lacks("the kernel cannot attach programs to functions: %w", err)
		}
		defer prog.Close()
		l, err := link.AttachTracing(link.TracingOptions{Program: prog})
		if err != nil {
			return lacks("the kernel cannot attach programs to functions: %w", err)
		}
		return l.Close()
	}
}

func iterator(name string) func(*kernel) error {
	return func(k *kernel) error {
		var s *btf.Struct
		if k.types.TypeByName("bpf_iter__"+name, &s) != nil {
			return lacks("the kernel has no iterator %s", name)
		}
		return nil
	}
}

// mapIterator requires an iterator over maps, which some kernels have and refuse.
func mapIterator(name string) func(*kernel) error {
	return func(k *kernel) error {
		if err := iterator(name)(k); err != nil {
			return err
		}
		refused, tried := k.refused[name]
		if !tried {
			refused = loads(ebpf.AttachTraceIter, name)
			if refused != nil && loads(ebpf.AttachTraceRawTp, "sys_enter") != nil {
				refused = nil // not known
			}
			k.refused[name] = refused
		}
		if refused != nil {
			return lacks("the kernel refuses the iterator %s: %w", name, refused)
		}
		return nil
	}
}

// loads reports whether the kernel takes a program of this kind that does nothing. If it
// takes none of any kind, this process may not load programs.
func loads(kind ebpf.AttachType, to string) error {
	prog, err := load(kind, to)
	if err != nil {
		return err
	}
	return prog.Close()
}

func load(kind ebpf.AttachType, to string) (*ebpf.Program, error) {
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:         ebpf.Tracing,
		AttachType:   kind,
		AttachTo:     to,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
		License:      "GPL",
	})
}

// callable requires what a program needs that user space calls to go over a map.
func callable(*kernel) error {
	err := features.HaveProgramHelper(ebpf.Syscall, asm.FnForEachMapElem)
	if errors.Is(err, ebpf.ErrNotSupported) {
		return lacks("the kernel is older than 5.14: user space cannot call a program that goes over a map")
	}
	return nil
}

func syscallTracepoint(name string) func(*kernel) error {
	return func(k *kernel) error {
		if k.tracefs == "" {
			return errors.New("tracefs is not mounted, or the kernel was built without CONFIG_FTRACE_SYSCALLS")
		}
		if _, err := os.Stat(filepath.Join(k.tracefs, "events", "syscalls", name)); err != nil {
			return lacks("the kernel has no tracepoint syscalls/%s", name)
		}
		return nil
	}
}

// MarkProgram is the program that notes a call into the application.
const MarkProgram = "app_called"

// UprobePMU exists if programs can be attached to functions of programs.
const UprobePMU = "/sys/bus/event_source/devices/uprobe"

func uprobes(*kernel) error {
	if _, err := os.Stat(UprobePMU); err != nil {
		return lacks("the kernel was built without CONFIG_UPROBE_EVENTS")
	}
	return nil
}

// HasFunction reports whether the running kernel has a function.
func HasFunction(name string) bool {
	k, err := newKernel()
	return err == nil && function(name)(k) == nil
}
