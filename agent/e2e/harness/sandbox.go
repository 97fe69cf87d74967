package harness

import "os"

// init makes a system call that the agent's filter does not allow end the agent
// in all tests, which fails the test. So the tests check the list in
// agent/privilege/sandbox against everything that the agent does. A test that
// sets a new environment for an agent must include KillEnv.
func init() {
	name, value := "LAPWING_SANDBOX", "kill"
	if _, set := os.LookupEnv(name); !set {
		_ = os.Setenv(name, value)
	}
}

// KillEnv returns the variable for agents with a new environment.
func KillEnv() string { return "LAPWING_SANDBOX=" + os.Getenv("LAPWING_SANDBOX") }
