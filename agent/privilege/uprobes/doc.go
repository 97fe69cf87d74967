// Package uprobes opens the perf events of uprobes in a process of its own.
//
// Before Linux 6.6 a program is attached to a function through such an event,
// for which the kernel requires CAP_SYS_ADMIN: CAP_PERFMON is not enough.
// Markers are set as long as the agent runs, but the agent has dropped both
// capabilities. So a child process keeps this one capability. The child opens
// events and hands them over, and can do nothing else: each request is a file
// and an offset. An event does nothing until the agent attaches one of the
// programs that it has loaded.
package uprobes
