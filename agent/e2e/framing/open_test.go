package framing

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/agent/e2e/harness"
	"lapwing/agent/e2e/peer"
	"lapwing/collectors/worker"
	"lapwing/probes/socket/survey"
)

// The events of a response in progress.
const (
	begun peer.Event = 10 + iota // its first piece was written
	goOn                         // the state of the workers was checked
)

// openRow is a response that is checked during its pause.
type openRow struct {
	row
	listener *peer.Listener
	run      *peer.Run
	parts    []*peer.Part
}

// TestOpenRequestIsInProgress checks responses during their pauses: none has a
// record, and each worker is busy, however long the pause is. After a response
// has ended, it has a record and its worker is free, although the connection
// stays open.
func TestOpenRequestIsInProgress(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan, "--exe", harness.Executable(t))
		pools := harness.StartPools(t, plan, "--exe", harness.Executable(t), "--interval", "100ms")
		rows := openRows(t)
		for _, r := range rows {
			r.run.Await(begun)
		}
		awaitBusy(t, pools, "workers that are busy with the responses for a while", len(rows), ms(2*pause))
		for _, r := range rows {
			for _, printed := range trace.Records(harness.At(r.listener.Address.String())) {
				assert.Equal(t, "/before", printed.Path, "%s: path of the only record", r.name)
			}
			r.run.Signal(goOn)
		}
		awaitBusy(t, pools, "free workers after the responses", 0, 0)
		var absent atomic.Int64
		wanted := make(map[string]int)
		for _, r := range rows {
			address := r.listener.Address.String()
			wanted[address] = len(r.talk)
			p := played{t: t, address: r.listener.Address, absent: &absent, records: trace.AwaitRecords(address, len(r.talk), 3*time.Second)}
			r.run.Signal(released)
			p.gather(r.parts)
			p.judge(r.talk)
		}
		assert.Zero(t, absent.Load(), "records without arrival")
		harness.CheckTotals(t, trace.Finish(), wanted)
		pools.Finish()
	})
}

// openRows starts all rows.
func openRows(t *testing.T) (rows []openRow) {
	t.Helper()
	wait := []peer.Step{peer.Signal(begun), peer.Await(goOn)}
	half := peer.Write("a half of it")
	for name, write := range map[string][]peer.Step{
		"chunks":      {peer.Write(streamHead() + chunk("row\r\n")), wait[0], wait[1], peer.Write(chunk("row\r\n") + lastChunk)},
		"length":      {peer.Write(head("200 OK", padding(400), "Content-Length: 24")), half, wait[0], wait[1], half},
		"until close": {peer.Write(head("200 OK", "Connection: close")), half, wait[0], wait[1], half},
	} {
		for _, family := range []peer.Family{peer.TCP4, peer.Unix} {
			r := openRow{row: row{name: name, closes: name == "until close"}, listener: peer.Listen(t, family, 0)}
			r.talk = []exchange{plain("/before"), {ask: get("/open"), work: ms(20), status: 200, write: write}}
			r.run = peer.NewRun(t, r.listener, harness.Slow(20*time.Second))
			server, client := r.scripts()
			r.parts = []*peer.Part{r.run.Serve(server), r.run.Call(client)}
			rows = append(rows, r)
		}
	}
	return rows
}

// awaitBusy waits for a snapshot in which n workers were busy with the same
// response for at least age.
func awaitBusy(t *testing.T, pools *harness.Pools, what string, n int, age time.Duration) {
	t.Helper()
	before := len(pools.Objects())
	harness.Eventually(t, 10*time.Second, what, func() bool {
		for _, o := range pools.Objects()[before:] {
			busy := 0
			for _, p := range o.Pools {
				for _, w := range p.PerWorker {
					if w.State == worker.Busy && w.Age >= age {
						busy++
					}
				}
			}
			if busy == n {
				return true
			}
		}
		return false
	})
}
