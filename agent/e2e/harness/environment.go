package harness

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"lapwing/probes/socket"
)

// Plans lists the probe plans to test.
func Plans(t testing.TB) []socket.Plan {
	t.Helper()
	value := os.Getenv("LAPWING_TEST_PLANS")
	if value == "" {
		return []socket.Plan{socket.PlanSocket, socket.PlanSyscall}
	}
	var plans []socket.Plan
	for _, name := range strings.Split(value, ",") {
		plan, err := socket.ParsePlan(strings.TrimSpace(name))
		if err != nil {
			t.Fatalf("LAPWING_TEST_PLANS: %v", err)
		}
		plans = append(plans, plan)
	}
	return plans
}

// ForEachPlan runs the test once per probe plan.
func ForEachPlan(t *testing.T, test func(t *testing.T, plan socket.Plan)) {
	t.Helper()
	for _, plan := range Plans(t) {
		t.Run(string(plan), func(t *testing.T) { test(t, plan) })
	}
}

// Slow stretches a time limit or a tolerance by the factor that
// LAPWING_TEST_SLOW gives.
func Slow(d time.Duration) time.Duration {
	factor, err := strconv.ParseFloat(os.Getenv("LAPWING_TEST_SLOW"), 64)
	if err != nil || factor < 1 {
		return d
	}
	return time.Duration(float64(d) * factor)
}
