// Command user is one process of a hostile user.
//
// usage: user SEED TIME DIR [VICTIM]...
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"lapwing/agent/e2e/attack"
)

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "user:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 4 {
		return fmt.Errorf("%d arguments: too few", len(args))
	}
	seed, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return err
	}
	lasts, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	attack.Life{Seed: seed, Time: lasts, Dir: args[3], Victims: args[4:]}.Live()
	return nil
}
