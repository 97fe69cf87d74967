package harness

import "os"

// A system call that the agent's filter does not know ends it in all tests,
// that is to say fails them: the list in agent/privilege/sandbox is held against
// all that the agent does. A test that sets the environment of an agent anew
// takes over KillEnv.
func init() {
	name, value := "LAPWING_SANDBOX", "kill"
	if _, set := os.LookupEnv(name); !set {
		_ = os.Setenv(name, value)
	}
}

// KillEnv is the variable for agents whose environment a test makes anew.
func KillEnv() string { return "LAPWING_SANDBOX=" + os.Getenv("LAPWING_SANDBOX") }
