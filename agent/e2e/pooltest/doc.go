// Package pooltest holds `lapwing workers` against what servers themselves say
// about their workers: full pools, held workers, recycled workers, backlogs.
package pooltest
