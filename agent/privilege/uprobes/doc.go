// Package uprobes opens the perf events of uprobes in a process of its own.
//
// Before Linux 6.6 a program is attached to a function by such an event, and the
// kernel wants CAP_SYS_ADMIN for it: CAP_PERFMON does not do. Markers are set as long
// as the agent runs, which has given up both. So a child keeps that one capability. It
// opens events and hands them over, and can do nothing else: what it is asked is a
// file and an offset. An event does nothing before the agent attaches one of the
// programs that it has loaded.
package uprobes
