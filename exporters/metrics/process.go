package metrics

import (
	"os"
	"time"

	"github.com/prometheus/procfs"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"lapwing/collectors/worker"
)

func (s *Snapshot) addGauge(f *Family, service string, n int, attrs ...attribute.KeyValue) {
	s.Add(f, service, time.Time{}, float64(n), attrs...)
}

func (s *Snapshot) addProcess(service string, pid attribute.KeyValue, u *worker.Process) {
	s.Add(ProcessCPU, service, began, u.CPUTime.Seconds(), pid)
	s.Add(ProcessMemory, service, time.Time{}, float64(u.RSS), pid)
	s.addGauge(ProcessThreads, service, u.Threads, pid)
	if u.Descriptors > 0 { // a process always has descriptors; 0 means that they may not be read
		s.addGauge(ProcessDescriptors, service, u.Descriptors, pid)
	}
}

// Self returns what the agent itself uses, as a source.
func Self() Source {
	pid := os.Getpid()
	return SourceFunc(func(s *Snapshot) {
		if u, err := usage(pid); err == nil { // it fails if /proc is hidden
			s.addProcess(AgentService, semconv.ProcessPID(pid), u)
		}
	})
}

func usage(pid int) (*worker.Process, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return nil, err
	}
	stat, err := p.Stat()
	if err != nil {
		return nil, err
	}
	descriptors, err := p.FileDescriptorsLen()
	return &worker.Process{
		CPUTime:     time.Duration(stat.CPUTime() * float64(time.Second)),
		RSS:         uint64(stat.ResidentMemory()),
		Threads:     stat.NumThreads,
		Descriptors: descriptors,
	}, err
}
