// Package pooltest compares `lapwing workers` with what servers themselves
// report about their workers: full pools, held workers, recycled workers,
// backlogs.
package pooltest
