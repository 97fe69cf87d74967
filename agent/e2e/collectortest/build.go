package collectortest

import (
	"sync"

	"lapwing/agent/e2e/harness"
)

// binary builds the Collector once per process and returns its path. The first
// build on a machine takes a minute. Later ones use Go's cache.
var binary = sync.OnceValues(func() (string, error) { return harness.BuildModule("collector", ".") })
