package service

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"text/tabwriter"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden file anew")

// fixture resolves the processes of testdata/proc.
func fixture(t *testing.T, change func(*Options)) *Resolver {
	t.Helper()
	o := Options{
		Proc:          procTree(t),
		Host:          "web-1",
		ContainerName: func(string) string { return "" },
	}
	if change != nil {
		change(&o)
	}
	r, err := New(o)
	require.NoError(t, err)
	return r
}

// TestIdentities resolves every process of the fixture and compares the whole
// table, so that a change of the rules shows its effect on all of them.
func TestIdentities(t *testing.T) {
	proc := procTree(t)
	entries, err := os.ReadDir(proc)
	require.NoError(t, err)
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		require.NoError(t, err)
		pids = append(pids, pid)
	}
	slices.Sort(pids)

	r := fixture(t, func(o *Options) { o.Proc = proc })
	var got bytes.Buffer
	w := tabwriter.NewWriter(&got, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PID\tNAME\tSOURCE\tKIND\tINSTANCE\tMASTER\tUNIT")
	for _, pid := range pids {
		id := r.Lookup(uint32(pid), "")
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d\t%s\n",
			pid, id.Name, id.Source, id.Kind, id.Instance, id.Master, id.Unit)
	}
	require.NoError(t, w.Flush())

	golden := filepath.Join("testdata", "identities.golden")
	if *update {
		require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())
}

func TestExecutableSurvivesItsReplacement(t *testing.T) {
	require.Equal(t, "/usr/sbin/nginx", fixture(t, nil).Lookup(200, "nginx").Exe)
}

func TestGoneProcessIsNamedByItsCommand(t *testing.T) {
	r := fixture(t, nil)
	id := r.Lookup(99999, "gunicorn: worke")
	require.Equal(t, Identity{Name: "gunicorn", Instance: "web-1/gunicorn", Source: FromComm}, *id)
	require.Equal(t, "unknown", r.Lookup(99998, "").Name)
}

// A worker that is gone when its requests are read belongs to the service of the
// process that it was forked from.
func TestGoneWorkerIsNamedByItsParent(t *testing.T) {
	parents := map[uint32]uint32{99990: 200, 99991: 99992, 99993: 99993}
	r := fixture(t, func(o *Options) { o.Parent = func(pid uint32) uint32 { return parents[pid] } })
	require.Equal(t, *r.Lookup(200, ""), *r.Lookup(99990, "nginx"))
	require.Equal(t, FromComm, r.Lookup(99991, "nginx").Source, "the parent is gone too")
	require.Equal(t, FromComm, r.Lookup(99993, "nginx").Source)
}

// A process that ended, and whose parent has not noticed yet, has no command line
// and no executable.
func TestEndedProcessIsNamedByItsParent(t *testing.T) {
	root, dir := copyProcess(t, "203")
	unpack(t, "200", root)
	rewrite(t, filepath.Join(dir, "stat"), ") S ", ") Z ")
	r := fixture(t, func(o *Options) { o.Proc, o.Parent = root, func(uint32) uint32 { return 200 } })
	require.Equal(t, "nginx", r.Lookup(203, "python3").Name)
}

// A process that is ending still runs for the kernel, but it has no executable.
func TestEndingProcessIsNamedByItsParent(t *testing.T) {
	root, dir := copyProcess(t, "203")
	unpack(t, "200", root)
	r := fixture(t, func(o *Options) { o.Proc, o.Parent = root, func(uint32) uint32 { return 200 } })
	require.Equal(t, "http.server", r.Lookup(203, "python3").Name)
	r.Forget(203)
	require.NoError(t, os.Remove(filepath.Join(dir, "exe")))
	require.Equal(t, "nginx", r.Lookup(203, "python3").Name)
}

func TestDockerNames(t *testing.T) {
	r := fixture(t, func(o *Options) { o.ContainerName = DockerNames("testdata/docker") })
	require.Equal(t, "shop-cart", r.Lookup(311, "").Name, "replicas share the Compose service")
	require.Equal(t, "frontend", r.Lookup(300, "").Name)
	require.Equal(t, "web1", r.Lookup(308, "").Name, "not one of Docker's")
}

func TestRulesComeFirst(t *testing.T) {
	rules := map[string]struct {
		rule Rule
		pid  uint32
		want string
	}{
		"exe by file name":    {Rule{Name: "shop", Exe: "nginx*"}, 100, "shop"},
		"exe by path":         {Rule{Name: "shop", Exe: "/usr/*/nginx"}, 100, "shop"},
		"exe elsewhere":       {Rule{Name: "shop", Exe: "/opt/*/nginx"}, 100, "nginx"},
		"unit":                {Rule{Name: "shop", Unit: "shop@*.service"}, 103, "shop"},
		"unit of none":        {Rule{Name: "shop", Unit: "*"}, 200, "nginx"},
		"container id":        {Rule{Name: "shop", Container: "3f2a9c*"}, 302, "shop"},
		"container name":      {Rule{Name: "shop", Container: "front*"}, 302, "shop"},
		"command line":        {Rule{Name: "shop", Cmdline: `-m http\.server \d+`}, 203, "shop"},
		"port it listens on":  {Rule{Name: "shop", Port: 8000}, 203, "shop"},
		"port of another":     {Rule{Name: "shop", Port: 80}, 203, "http.server"},
		"all conditions":      {Rule{Name: "shop", Exe: "python3*", Port: 8000}, 203, "shop"},
		"not all conditions":  {Rule{Name: "shop", Exe: "ruby*", Port: 8000}, 203, "http.server"},
		"exe cannot be seen":  {Rule{Name: "shop", Exe: "*"}, 220, "mystery"},
		"command of a worker": {Rule{Name: "shop", Cmdline: `\[shop\]`}, 209, "shop"},
	}
	for name, tt := range rules {
		t.Run(name, func(t *testing.T) {
			r := fixture(t, func(o *Options) {
				o.Rules = []Rule{tt.rule}
				o.ContainerName = func(string) string { return "frontend" }
			})
			id := r.Lookup(tt.pid, "")
			require.Equal(t, tt.want, id.Name)
			require.Equal(t, tt.want == "shop", id.Source == FromRule)
		})
	}
}

// Anybody can call a program, or only its command name, like the service of a rule.
func TestNameOfARuleIsItsOwn(t *testing.T) {
	r := fixture(t, func(o *Options) { o.Rules = []Rule{{Name: "nginx", Exe: "/opt/*/nginx"}, {Name: "shop", Port: 1}} })
	id := r.Lookup(100, "")
	require.Equal(t, "nginx (no rule)", id.Name)
	require.Equal(t, FromUnit, id.Source)
	for _, comm := range []string{"shop", "shop ", "shop: worker"} { // of a process that has ended
		require.Equal(t, "shop (no rule)", r.Lookup(99990, comm).Name, "%q", comm)
		r.Forget(99990)
	}
	require.Equal(t, "shopkeeper", r.Lookup(99991, "shopkeeper").Name)
}

func TestFirstRuleWins(t *testing.T) {
	r := fixture(t, func(o *Options) {
		o.Rules = []Rule{{Name: "first", Exe: "nginx"}, {Name: "second", Unit: "nginx.service"}}
	})
	require.Equal(t, "first", r.Lookup(100, "").Name)
}

func TestRuleValidation(t *testing.T) {
	for want, rule := range map[string]Rule{
		"name: missing":                    {Exe: "nginx"},
		"name: the rule needs a condition": {Name: "shop"},
		`exe: "[" is not a valid glob`:     {Name: "shop", Exe: "["},
		`unit: "[a" is not a valid glob`:   {Name: "shop", Unit: "[a"},
		"cmdline: not a regular expressi":  {Name: "shop", Cmdline: "("},
	} {
		require.ErrorContains(t, rule.Validate(), want)
	}
	require.NoError(t, Rule{Name: "shop", Port: 80}.Validate())

	_, err := New(Options{Rules: []Rule{{Name: "ok", Port: 1}, {Name: "bad"}}})
	require.ErrorContains(t, err, "service rule 2: name: the rule needs a condition")
}

func TestFilter(t *testing.T) {
	id := &Identity{Name: "shop", Exe: "/usr/sbin/nginx", Master: 100}
	for name, tt := range map[string]struct {
		filter Filter
		port   uint16
		want   bool
	}{
		"empty":               {Filter{}, 80, true},
		"port":                {Filter{Ports: []uint16{443, 80}}, 80, true},
		"other port":          {Filter{Ports: []uint16{443}}, 80, false},
		"unix socket":         {Filter{Ports: []uint16{443}}, 0, false},
		"pid":                 {Filter{PIDs: []uint32{101}}, 80, true},
		"pid of the master":   {Filter{PIDs: []uint32{100}}, 80, true},
		"other pid":           {Filter{PIDs: []uint32{102}}, 80, false},
		"exe by file name":    {Filter{Exes: []string{"nginx"}}, 80, true},
		"exe by path":         {Filter{Exes: []string{"/usr/sbin/*"}}, 80, true},
		"other exe":           {Filter{Exes: []string{"ngin", "/nginx"}}, 80, false},
		"service":             {Filter{Services: []string{"blog", "sh*"}}, 80, true},
		"other service":       {Filter{Services: []string{"blog"}}, 80, false},
		"lists must agree":    {Filter{Ports: []uint16{80}, Services: []string{"blog"}}, 80, false},
		"lists that do agree": {Filter{Ports: []uint16{80}, Services: []string{"shop"}}, 80, true},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tt.want, tt.filter.Match(101, tt.port, id))
			require.Equal(t, name == "empty", tt.filter.Empty())
		})
	}
}

func TestFilterDoesNotTakeAGoneProcessForAMaster(t *testing.T) {
	f := Filter{PIDs: []uint32{7}}
	require.False(t, f.Match(8, 80, &Identity{Name: "gone"}))
}
