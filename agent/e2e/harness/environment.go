package harness

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/survey"
)

// Plans lists the probe plans to test.
func Plans(t testing.TB) []survey.Plan {
	t.Helper()
	value := os.Getenv("LAPWING_TEST_PLANS")
	if value == "" {
		return []survey.Plan{survey.PlanSocket, survey.PlanSyscall}
	}
	var plans []survey.Plan
	for _, name := range strings.Split(value, ",") {
		plan, err := survey.ParsePlan(strings.TrimSpace(name))
		require.NoError(t, err, "LAPWING_TEST_PLANS")
		plans = append(plans, plan)
	}
	return plans
}

// ForEachPlan runs the test once per probe plan.
func ForEachPlan(t *testing.T, test func(t *testing.T, plan survey.Plan)) {
	t.Helper()
	for _, plan := range Plans(t) {
		t.Run(string(plan), func(t *testing.T) { test(t, plan) })
	}
}

// Slow multiplies a time limit or a tolerance by LAPWING_TEST_SLOW.
func Slow(d time.Duration) time.Duration {
	factor, err := strconv.ParseFloat(os.Getenv("LAPWING_TEST_SLOW"), 64)
	if err != nil || factor < 1 {
		return d
	}
	return time.Duration(float64(d) * factor)
}
