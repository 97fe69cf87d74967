package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// TestDebugRecords compares the printed records of the probes with the client's
// requests. Captured heads are only printed on request.
func TestDebugRecords(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
		defer s.Close()
		_, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
		require.NoError(t, err)
		for _, heads := range []bool{false, true} {
			var out bytes.Buffer
			cmd := exec.Command(harness.Lapwing(t), "debug", "records", "--format", "json", "--probe-plan", string(plan), "--port", port, fmt.Sprintf("--heads=%v", heads))
			cmd.Stdout = &out
			p := harness.Start(t, cmd)
			harness.Eventually(t, 20*time.Second, "it is attached", func() bool { return strings.Contains(p.Stderr(), "lapwing: attached (plan "+string(plan)+")") })
			const requests = 20
			for i := range requests {
				resp, err := http.Get(fmt.Sprintf("%s/%d?secret=%d", s.URL, i, i))
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
			}
			http.DefaultClient.CloseIdleConnections()
			require.NoError(t, p.Stop(), p.Stderr())
			finals := 0
			for line := range strings.Lines(out.String()) {
				var o map[string]any
				require.NoError(t, json.Unmarshal([]byte(line), &o), line)
				if o["kind"] != "final" || o["local"] != "127.0.0.1:"+port {
					continue
				}
				assert.Equal(t, 418.0, o["out.status"], line)
				assert.Greater(t, o["write_first"], o["read_last"], line)
				if heads {
					assert.Contains(t, o["request_head"], fmt.Sprintf("GET /%d?secret=%d ", finals, finals))
				}
				finals++
			}
			assert.Equal(t, requests, finals)
			assert.Equal(t, heads, strings.Contains(out.String(), "secret"))
		}
	})
}
