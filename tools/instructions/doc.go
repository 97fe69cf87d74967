// Instructions measures the cost of the agent in executed instructions per
// request. The guest's clock advances one nanosecond for each instruction and
// skips idle time. In it, a closed loop of a small client and nginx gives
// figures that repeat to a tenth of a percent, however busy the machine is.
// docs/benchmark.md explains them.
package main
