// Package harness starts the agent and the servers it watches the way a person
// does, as processes, and reads back what they print.
//
// Everything a test starts is ended by its process id when the test ends. Waits
// are polls of a condition with a deadline.
//
// These environment variables change a run; all have a default:
//
//	LAPWING_BIN          the agent to test; built from this module when unset
//	REFSERVER_BIN        the reference server; built from this module when unset
//	LAPWING_TEST_PLANS   the probe plans to test, default "socket,syscall"
//	LAPWING_TEST_SLOW    by how much time limits and tolerances are stretched
//	                     on a slow machine, such as an emulated one; default 1
package harness
