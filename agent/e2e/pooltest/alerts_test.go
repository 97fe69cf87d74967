package pooltest

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/agent/e2e/promtest"
)

// alertsFor returns how long the servers stay in their states. make alerts sets
// two minutes. The times of the rules are shortened accordingly, including that
// of an alert that waits for five minutes.
func alertsFor(t *testing.T) time.Duration {
	if text := os.Getenv("LAPWING_ALERTS"); text != "" {
		span, err := time.ParseDuration(text)
		require.NoError(t, err)
		return span
	}
	return 16 * time.Second
}

// rulesTake is how long the slowest rule takes to fire, and some more.
const rulesTake = 8 * time.Minute

var ruleTimes = regexp.MustCompile(`(\[|for: |offset )(\d+)m`)

// shortRules writes the alert rules with all times shortened to fit the test.
func shortRules(t *testing.T, span time.Duration) string {
	t.Helper()
	rules, err := os.ReadFile(filepath.Join(harness.ModuleRoot(t), "dashboards/stack/prometheus/rules.yaml"))
	require.NoError(t, err)
	short := ruleTimes.ReplaceAllFunc(rules, func(found []byte) []byte {
		part := ruleTimes.FindSubmatch(found)
		var minutes int64
		_, _ = fmt.Sscan(string(part[2]), &minutes)
		scaled := time.Duration(minutes) * time.Minute * (span / time.Second) / (rulesTake / time.Second)
		return fmt.Appendf(nil, "%s%dms", part[1], scaled.Milliseconds())
	})
	path := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(path, short, 0o600))
	return path
}

// alerting is a server in a state, and the alerts that it must cause.
type alerting struct {
	name    string // of the server and its state
	pattern string // matches its command line
	address string
	clients int
	took    time.Duration
	every   time.Duration // interval of quick requests on new connections; 0: none
	held    int           // number of connections that are kept and send nothing more
	want    []string
}

var overloaded = []string{"LapwingBacklogOverflow", "LapwingPoolExhausted", "LapwingQueueDominates"}

// states returns the states of each kind of server, all with four workers.
func states(kind string) []alerting {
	return []alerting{
		{name: kind + "-idle", every: 100 * time.Millisecond},
		{name: kind + "-busy", clients: 2, took: 200 * time.Millisecond},
		{name: kind + "-overloaded", clients: 20, took: 300 * time.Millisecond, want: overloaded},
	}
}

const alertApplication = `import time

def application(environ, start_response):
    time.sleep(int(environ["PATH_INFO"].split("/")[-1]) / 1000)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]
`

const alertApache = `ServerRoot %[1]s
ServerName localhost
PidFile %[1]s/apache.pid
DefaultRuntimeDir %[1]s
Mutex file:%[1]s
Listen %[2]s
ListenBacklog 5
User www-data
Group www-data
ErrorLog %[1]s/error.log
KeepAlive On
KeepAliveTimeout 600
Timeout 600
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
StartServers 4
MinSpareServers 4
MaxSpareServers 4
ServerLimit 4
MaxRequestWorkers 4
LoadModule wsgi_module /usr/lib/apache2/modules/mod_wsgi.so
WSGIScriptAlias / %[1]s/application.py
`

// startAlerting starts all servers. The configuration has the names of their
// services.
func startAlerting(t *testing.T) (all []*alerting, config string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "lapwing-alerts")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o777))
	application := filepath.Join(dir, "application.py")
	require.NoError(t, os.WriteFile(application, []byte(alertApplication), 0o644))
	page := filepath.Join(dir, "page.php")
	require.NoError(t, os.WriteFile(page, []byte("<?php usleep(1000 * (int)basename($_SERVER['REQUEST_URI'])); echo \"ok\\n\";"), 0o644))
	fpm, servers := "", ""
	for _, kind := range []string{"apache", "uwsgi", "gunicorn", "php"} {
		rows := states(kind)
		if kind == "apache" {
			rows = append(rows, alerting{name: "apache-held", held: 4, clients: 2, want: []string{"LapwingPoolExhausted"}})
		}
		for _, a := range rows {
			a.address = harness.FreeAddress(t)
			a.pattern = regexp.QuoteMeta(a.address) + " "
			var cmd *exec.Cmd
			switch kind {
			case "apache":
				own := filepath.Join(dir, a.name)
				require.NoError(t, os.Mkdir(own, 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(own, "application.py"), []byte(alertApplication), 0o644))
				file := filepath.Join(own, "apache.conf")
				require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, alertApache, own, a.address), 0o644))
				cmd = exec.Command(harness.Installed(t, "apache2"), "-D", "FOREGROUND", "-f", file)
				a.pattern = regexp.QuoteMeta(file)
			case "uwsgi":
				cmd = exec.Command(harness.Installed(t, "uwsgi"), "--plugin", "python3", "--master", "--die-on-term", "--processes", "4",
					"--listen", "5", "--http-socket", a.address, "--wsgi-file", application)
			case "gunicorn":
				cmd = exec.Command(harness.Installed(t, "gunicorn"), "--chdir", dir, "--workers", "4", "--backlog", "5",
					"--bind", a.address, "--worker-tmp-dir", dir, "application:application")
			case "php":
				listen := harness.FreeAddress(t)
				fpm += fmt.Sprintf("[%s]\nuser = www-data\ngroup = www-data\nlisten = %s\nlisten.backlog = 5\npm = static\npm.max_children = 4\n", a.name, listen)
				servers += fmt.Sprintf("server { listen %s; location / { include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME %s; fastcgi_pass %s; } }\n\t", a.address, page, listen)
				a.pattern = "pool " + a.name + "$"
			}
			if cmd != nil {
				cmd.Dir = dir
				harness.Start(t, cmd)
			}
			all = append(all, &a)
		}
	}
	fpmFile, nginxFile := filepath.Join(dir, "fpm.conf"), filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(fpmFile, fmt.Appendf(nil, "[global]\ndaemonize = no\npid = %[1]s/fpm.pid\nerror_log = %[1]s/fpm.log\n%[2]s", dir, fpm), 0o644))
	harness.Start(t, exec.Command(harness.Installed(t, "php-fpm8.2"), "--nodaemonize", "--fpm-config", fpmFile))
	front := strings.NewReplacer("server {\n\t\tlisten %[2]s;\n\t\t%[3]s\n\t}", servers).Replace(backendFront)
	require.NoError(t, os.WriteFile(nginxFile, []byte(strings.ReplaceAll(front, "%[1]s", dir)), 0o644))
	harness.Start(t, exec.Command(harness.Installed(t, "nginx"), "-e", "stderr", "-p", dir, "-c", nginxFile))
	rules := "services:\n  - name: front\n    exe: nginx\n"
	for _, a := range all {
		rules += fmt.Sprintf("  - name: %s\n    cmdline: %q\n", a.name, a.pattern)
		harness.Eventually(t, 30*time.Second, a.name+" to answer", func() bool {
			resp, err := http.Get("http://" + a.address + "/0")
			return err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
		})
	}
	http.DefaultClient.CloseIdleConnections()
	config = filepath.Join(dir, "lapwing.yaml")
	require.NoError(t, os.WriteFile(config, []byte(rules), 0o644))
	return all, config
}

// burden brings the server into its state.
func (a *alerting) burden(t *testing.T) *load {
	t.Helper()
	// A client that gives up stays in the backlog of a server that does not
	// accept, and fills it.
	s := &server{network: "tcp", address: a.address, patience: time.Hour}
	for i := range a.held {
		resp, err := http.ReadResponse(bufio.NewReader(s.ask(t, i, "/0")), nil)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	l := s.closed(a.clients, fmt.Sprintf("/%d", a.took.Milliseconds()))
	if a.every > 0 {
		l.all.Go(func() {
			for tick := time.Tick(a.every); ; <-tick {
				select {
				case <-l.done:
					return
				default:
					s.one("/0")
				}
			}
		})
	}
	return l
}

// TestAlerts runs an idle, a busy and an overloaded Apache, uWSGI, gunicorn and
// php-fpm with Prometheus, and an Apache that is held by idle connections.
// Exactly the right alerts must fire.
func TestAlerts(t *testing.T) {
	span := alertsFor(t)
	all, config := startAlerting(t)
	metrics := harness.FreeAddress(t)
	agent := harness.Start(t, exec.Command(harness.Lapwing(t), "run", "--config", config, "--prometheus-listen", metrics))
	harness.Eventually(t, 30*time.Second, "the probes to be attached", func() bool {
		require.False(t, agent.Exited(), "the agent ended: %s", agent.Stderr())
		return strings.Contains(agent.Stderr(), "probes attached")
	})
	for _, a := range all { // every pool must be known, so that its counters start
		resp, err := http.Get("http://" + a.address + "/0")
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	http.DefaultClient.CloseIdleConnections()
	prometheus := promtest.Start(t, metrics, promtest.Options{Rules: []string{shortRules(t, span)}, Evaluate: span / 40})
	time.Sleep(2 * time.Second)
	for _, a := range all {
		l := a.burden(t)
		defer close(l.done) // the waiting clients end with their server
	}
	time.Sleep(span)
	fired := map[string][]string{}
	for _, s := range prometheus.Query(t, fmt.Sprintf(`count by (service_name, alertname) (count_over_time(ALERTS{alertstate="firing"}[%ds]))`, int(span.Seconds())+5)) {
		service := string(s.Metric["service_name"])
		fired[service] = append(fired[service], string(s.Metric["alertname"]))
	}
	for _, a := range all {
		got := fired[a.name]
		slices.Sort(got)
		assert.Equal(t, a.want, got, a.name)
	}
	assert.Empty(t, fired["front"], "an event loop with requests in flight takes more")
	assert.Empty(t, fired[""], "alerts about the agent itself")
}
