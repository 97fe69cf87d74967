// Package harness starts the agent and the servers it watches as processes,
// like a user does, and reads what they print.
//
// Every process that a test starts is ended, by its process id, when the test
// ends. Waits poll a condition until a deadline.
//
// These environment variables change a run. All have a default:
//
//	LAPWING_BIN          the agent to test; built from this module when unset
//	REFSERVER_BIN        the reference server; built from this module when unset
//	LAPWING_TEST_PLANS   the probe plans to test, default "socket,syscall"
//	LAPWING_TEST_SLOW    by how much time limits and tolerances are stretched
//	                     on a slow machine, such as an emulated one; default 1
package harness
