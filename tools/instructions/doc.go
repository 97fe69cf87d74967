// Instructions measures what the agent costs in executed instructions per
// request. In a guest whose clock advances one nanosecond for each instruction
// and skips idle time, a closed loop of a small client and nginx gives figures
// that repeat to a tenth of a percent however busy the machine is.
// docs/benchmark.md explains them.
package main
