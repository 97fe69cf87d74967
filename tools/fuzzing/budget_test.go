package fuzzing

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// verdict is a test that only remembers whether it failed.
type verdict struct {
	testing.TB
	failed bool
}

func (v *verdict) Helper()               {}
func (v *verdict) Errorf(string, ...any) { v.failed = true }

var (
	kept   []byte
	others int
)

func TestBudget(t *testing.T) {
	for name, tt := range map[string]struct {
		f    func()
		over bool
	}{
		"nothing": {func() {}, false},
		"memory":  {func() { kept = make([]byte, 1<<20) }, true},
		"memory that is let go": {func() {
			for range 1 << 10 {
				kept = make([]byte, 1<<10)
			}
		}, true},
		"time": {func() {
			for end := threadTime() + 150*time.Millisecond; threadTime() < end; {
			}
		}, true},
		"what others take once": {func() {
			if others++; others <= 2 {
				kept = make([]byte, 1<<20)
			}
		}, false},
		"waiting": {func() { time.Sleep(150 * time.Millisecond) }, false},
	} {
		v := &verdict{TB: t}
		For(0).Within(v, tt.f)
		assert.Equal(t, tt.over, v.failed, "%s: over the budget %v, want %v", name, v.failed, tt.over)
	}
}
