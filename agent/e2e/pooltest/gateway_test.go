package pooltest

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// backend is a pool of two workers that a front end calls with its own
// protocol.
type backend struct {
	name     string
	location string // location of nginx
}

const (
	backendWorkers = 2
	backendClients = 8
	backendTook    = 1200 * time.Millisecond
)

const backendApplication = `import time

def application(environ, start_response):
    kind, argument = environ["REQUEST_URI"].split("/")[-2:]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if kind == "stream":
        yield b"begun\n"
    time.sleep(int(argument) / 1000)
    yield b"done\n"
`

const backendPage = `<?php
[$kind, $argument] = array_slice(explode('/', $_SERVER['REQUEST_URI']), -2);
if ($kind == 'stream') { echo "begun\n"; while (ob_get_level()) ob_end_flush(); flush(); }
usleep($argument * 1000);
echo "done\n";
`

// backendPerl forks two workers that accept from one socket.
const backendPerl = `use FCGI; use Time::HiRes 'sleep';
my $socket = FCGI::OpenSocket($ARGV[0], 100);
for (1..2) { last unless fork; wait if $_ == 2; }
my %env; my $request = FCGI::Request(\*STDIN, \*STDOUT, \*STDERR, \%env, $socket);
while ($request->Accept() >= 0) {
	my ($kind, $argument) = (split '/', $env{REQUEST_URI})[-2, -1];
	print "Content-Type: text/plain\r\n\r\n";
	if ($kind eq 'stream') { print "begun\n"; $request->Flush(); }
	sleep($argument / 1000);
	print "done\n";
}
`

const backendScript = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nsleep 1.2\necho done\n"

const backendFront = `daemon off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr error;
events { worker_connections 512; }
http {
	access_log off;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s;
		%[3]s
	}
}
`

// backends starts every server, and nginx in front of them. It returns the
// address of nginx and the configuration with the names of the pools.
func backends(t *testing.T) (front string, all []backend, config string) {
	t.Helper()
	// Servers of other users must be able to read it.
	dir, err := os.MkdirTemp("", "lapwing-pools")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o777))
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), mode))
		return path
	}
	file("application.py", backendApplication, 0o644)
	page := file("page.php", backendPage, 0o644)
	rules := "services:\n"
	add := func(name, pattern, location string) {
		all = append(all, backend{name, location})
		rules += fmt.Sprintf("  - name: pool-%s\n    cmdline: %q\n", name, pattern)
	}
	address := func(name, network string) (listen, pass string) {
		if network == "unix" {
			path := filepath.Join(dir, name)
			return path, "unix:" + path
		}
		free := harness.FreeAddress(t)
		return free, free
	}
	pools := ""
	var commands []*exec.Cmd
	var sockets []string
	for _, network := range []string{"tcp", "unix"} {
		name := "php-" + network
		listen, pass := address(name, network)
		pools += fmt.Sprintf("[%s]\nuser = www-data\ngroup = www-data\nlisten = %s\nlisten.mode = 0666\npm = static\npm.max_children = %d\n", name, listen, backendWorkers)
		sockets = append(sockets, listen)
		add(name, "pool "+name, "include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME "+page+"; fastcgi_buffering off; fastcgi_pass "+pass+";")
		for _, protocol := range []string{"uwsgi", "fastcgi", "scgi"} {
			name := "uwsgi-" + protocol + "-" + network
			listen, pass := address(name, network)
			commands = append(commands, exec.Command(harness.Installed(t, "uwsgi"), "--plugin", "python3", "--master", "--die-on-term",
				"--processes", fmt.Sprint(backendWorkers), "--"+protocol+"-socket", listen, "--chmod-socket=666",
				"--wsgi-file", filepath.Join(dir, "application.py")))
			sockets = append(sockets, listen)
			add(name, "uwsgi.* "+listen+" ", fmt.Sprintf("include /etc/nginx/%[1]s_params; %[1]s_buffering off; %[1]s_pass %[2]s;", protocol, pass))
		}
		name = "perl-" + network
		listen, pass = address(name, network)
		if network == "tcp" {
			_, port, _ := net.SplitHostPort(listen)
			listen = ":" + port
		}
		commands = append(commands, exec.Command("perl", file("server-"+network+".pl", "umask 0;\n"+backendPerl, 0o644), listen))
		sockets = append(sockets, strings.TrimPrefix(pass, "unix:"))
		add(name, "server-"+network+".pl", "include /etc/nginx/fastcgi_params; fastcgi_buffering off; fastcgi_pass "+pass+";")
	}
	script := file("script.cgi", backendScript, 0o755)
	listen, pass := address("fcgiwrap", "unix")
	commands = append(commands, exec.Command("sh", "-c", "umask 0; exec "+harness.Installed(t, "fcgiwrap")+" -c 2 -s unix:"+listen))
	sockets = append(sockets, listen)
	add("fcgiwrap", "fcgiwrap", "include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME "+script+"; fastcgi_pass "+pass+";")
	fpm := file("fpm.conf", fmt.Sprintf("[global]\ndaemonize = no\npid = %[1]s/fpm.pid\nerror_log = %[1]s/fpm.log\n%[2]s", dir, pools), 0o644)
	commands = append(commands, exec.Command(harness.Installed(t, "php-fpm8.2"), "--nodaemonize", "--fpm-config", fpm))
	for _, cmd := range commands {
		cmd.Dir = dir
		harness.Start(t, cmd)
	}
	front = harness.FreeAddress(t)
	locations := ""
	for _, b := range all {
		locations += fmt.Sprintf("location /%s/ { %s }\n\t\t", b.name, b.location)
	}
	conf := file("nginx.conf", fmt.Sprintf(backendFront, dir, front, locations), 0o644)
	nginx := harness.Start(t, exec.Command(harness.Installed(t, "nginx"), "-e", "stderr", "-p", dir, "-c", conf))
	harness.AwaitListener(t, nginx, front)
	for _, s := range sockets {
		network := "tcp"
		if strings.HasPrefix(s, "/") {
			network = "unix"
		}
		harness.Eventually(t, 20*time.Second, "a listener at "+s, func() bool {
			c, err := net.Dial(network, s)
			return err == nil && c.Close() == nil
		})
	}
	return front, all, file("lapwing.yaml", rules, 0o644)
}

// TestGatewayWorkers saturates pools that speak FastCGI, uwsgi and SCGI. Each
// has two workers and eight clients.
func TestGatewayWorkers(t *testing.T) {
	front, all, config := backends(t)
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		agent := harness.StartPools(t, plan, "--config", config, "--interval", "250ms")
		ask := func(b backend, kind string, clients int) (done *sync.WaitGroup, sent time.Time) {
			done = new(sync.WaitGroup)
			for range clients {
				done.Go(func() {
					resp, err := http.Get(fmt.Sprintf("http://%s/%s/%s/%d", front, b.name, kind, backendTook.Milliseconds()))
					if assert.NoError(t, err) {
						assert.Equal(t, http.StatusOK, resp.StatusCode, b.name)
						_ = resp.Body.Close()
					}
				})
			}
			return done, time.Now()
		}
		var asked []*sync.WaitGroup
		for _, b := range all {
			done, _ := ask(b, "sleep", backendClients)
			asked = append(asked, done)
		}
		for _, b := range all {
			t.Run(b.name, func(t *testing.T) {
				p := agent.AwaitOf(harness.Slow(10*time.Second), "pool-"+b.name, "two busy workers and six that wait", func(p harness.Pool) bool {
					return p.Busy == backendWorkers && p.BacklogLen == backendClients-backendWorkers
				})
				assert.Equal(t, "WW", p.Scoreboard)
				assert.Equal(t, []int{backendWorkers, 0, 0}, []int{p.Workers, p.Available, p.Held})
				for _, w := range p.PerWorker {
					assert.NotZero(t, w.PID)
					assert.Greater(t, w.Age, time.Duration(0))
					assert.Less(t, w.Age, backendTook+500*time.Millisecond)
				}
			})
		}
		for _, done := range asked {
			done.Wait()
		}
		for _, b := range all {
			// Each request took as long as it slept.
			agent.AwaitOf(harness.Slow(10*time.Second), "pool-"+b.name, "all served, workers free and their time known", func(p harness.Pool) bool {
				took := time.Duration(p.Served) * backendTook
				return p.Served >= backendClients && p.Busy == 0 && p.Available == backendWorkers && (p.BusyTime-took).Abs() < backendTook
			})
		}
		// A response that has started and continues keeps its worker busy.
		asked = nil
		for _, b := range all {
			if b.name != "fcgiwrap" {
				done, _ := ask(b, "stream", backendWorkers)
				asked = append(asked, done)
			}
		}
		for _, b := range all {
			if b.name != "fcgiwrap" {
				agent.AwaitOf(harness.Slow(10*time.Second), "pool-"+b.name, "two workers that send", func(p harness.Pool) bool {
					return p.Served >= backendClients && p.Scoreboard == "SS"
				})
			}
		}
		for _, done := range asked {
			done.Wait()
		}
		agent.Finish()
		for _, o := range agent.Objects() {
			for _, p := range o.Pools {
				for _, w := range p.PerWorker {
					require.NotZero(t, w.PID, "pool %s has a worker without a process", p.Service)
				}
			}
		}
	})
}
