package naming

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/collectors/protocol/protocoltest"
	"lapwing/probes/socket/survey"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

const application = `def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"ok\n"]
`

// place is the address of a server and the expected name of its service.
type place struct {
	network, address, want string
	fastcgi                bool
	workers                int
}

// local returns the address as records show it.
func (p place) local() string {
	if p.network == "unix" {
		return "unix:" + p.address
	}
	return p.address
}

// ask sends one request on a connection of its own.
func (p place) ask(t *testing.T) {
	t.Helper()
	c, err := net.DialTimeout(p.network, p.address, 10*time.Second)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(harness.Slow(20*time.Second))))
	request := "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	if p.fastcgi {
		request = protocoltest.Get("/").With("SCRIPT_FILENAME", "/none.php").FastCGI(1, false, "")
	}
	_, err = io.WriteString(c, request)
	require.NoError(t, err)
	answer, err := io.ReadAll(c)
	require.NoError(t, err)
	require.NotEmpty(t, answer)
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o755))
	return file
}

// gunicorns returns two servers of one program that differ only in their
// command lines and sockets.
func gunicorns(t *testing.T) []place {
	dir := t.TempDir()
	tcp, unix := harness.FreeAddress(t), filepath.Join(dir, "front.sock")
	for _, s := range []struct{ module, bind string }{{"weblog", tcp}, {"storefront", "unix:" + unix}} {
		write(t, dir, s.module+".py", application)
		harness.Start(t, exec.Command(harness.Installed(t, "gunicorn"), "--chdir", dir, "--bind", s.bind,
			"--workers", "2", "--worker-tmp-dir", dir, s.module+":app"))
	}
	return []place{{"tcp", tcp, "gunicorn:weblog", false, 2}, {"unix", unix, "gunicorn:storefront", false, 2}}
}

// php returns one master with two pools.
func php(t *testing.T) []place {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	tcp, unix := harness.FreeAddress(t), filepath.Join(dir, "api.sock")
	conf := "[global]\ndaemonize = no\nerror_log = /dev/stderr\n"
	for _, p := range []struct {
		name, listen string
		children     int
	}{{"www", tcp, 2}, {"api", unix, 3}} {
		conf += fmt.Sprintf("[%s]\nuser = www-data\ngroup = www-data\nlisten = %s\nlisten.mode = 0666\npm = static\npm.max_children = %d\n", p.name, p.listen, p.children)
	}
	harness.Start(t, exec.Command(harness.Installed(t, "php-fpm8.2"), "--nodaemonize", "--fpm-config", write(t, dir, "fpm.conf", conf)))
	return []place{{"tcp", tcp, "php-fpm:www", true, 2}, {"unix", unix, "php-fpm:api", true, 3}}
}

func listen(t *testing.T, places []place) {
	t.Helper()
	for _, p := range places {
		harness.Eventually(t, harness.Slow(20*time.Second), p.address+" is listened on", func() bool {
			c, err := net.Dial(p.network, p.address)
			if err == nil {
				_ = c.Close()
			}
			return err == nil
		})
	}
}

// await waits until one of the last pools satisfies is.
func await(t *testing.T, pools *harness.Pools, what string, is func(harness.Pool) bool) {
	t.Helper()
	var last []harness.Pool
	seen := harness.Within(harness.Slow(20*time.Second), func() bool {
		if objects := pools.Objects(); len(objects) > 0 {
			last = objects[len(objects)-1].Pools
		}
		return slices.ContainsFunc(last, is)
	})
	if !seen {
		for _, p := range last {
			t.Logf("%s: %d workers, %d served, %v", p.Service, p.Workers, p.Served, p.Listeners)
		}
	}
	require.True(t, seen, "not seen: %s", what)
}

// TestPoolsOfOneProgram checks that both views tell servers at different
// sockets apart. Every server must have as many workers and requests as it
// really has.
func TestPoolsOfOneProgram(t *testing.T) {
	const requests = 6
	places := append(gunicorns(t), php(t)...)
	listen(t, places)
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		pools := harness.StartPools(t, plan, "--interval", "200ms", "--service", "gunicorn", "--service", "php-fpm")
		trace := harness.StartTrace(t, plan)
		for range requests {
			for _, p := range places {
				p.ask(t)
			}
		}
		for _, p := range places {
			found := trace.AwaitRecords(p.local(), requests, harness.Slow(20*time.Second))
			// The first server of a name is alone until the second is seen.
			assert.Equal(t, p.want, found[len(found)-1].Service, p.local())
			await(t, pools, p.want+" with its own workers and listener", func(pool harness.Pool) bool {
				return pool.Service == p.want && pool.Workers == p.workers && len(pool.Listeners) == 1 &&
					pool.Listeners[0].Address == p.local() && pool.Served >= requests-1
			})
		}
		trace.Finish()
		pools.Finish()
	})
}

// server forks for each connection, reads the head of the request, and lets
// the child execute the script: CGI without a pipe between. The script lives
// on for a while, so that it is there to be named.
const server = `#!/usr/bin/perl
use Socket; $SIG{CHLD} = 'IGNORE'; $| = 1;
my ($family, $address) = @ARGV;
if ($family eq 'unix') { socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un($address)) or die; }
else { my ($host, $port) = split /:/, $address; socket(S, PF_INET, SOCK_STREAM, 0); bind(S, sockaddr_in($port, inet_aton($host))) or die; }
listen(S, 16);
while (1) {
	accept(C, S) or next;
	if (!fork) {
		close S; sysread(C, my $head, 65536);
		open(STDOUT, '>&', \*C); open(STDIN, '<&', \*C); close C;
		exec $ENV{SCRIPT};
	}
	close C;
}
`

const script = `#!%s
%s
`

// TestScriptsBelongToTheServer requests scripts in two languages, one of them
// the language of the server.
func TestScriptsBelongToTheServer(t *testing.T) {
	dir := t.TempDir()
	answer := `HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n`
	frontd := write(t, dir, "frontd", server)
	scripts := map[string]string{
		"shell": write(t, dir, "report.cgi", fmt.Sprintf(script, "/bin/sh", "printf '"+answer+"'; exec 0<&- 1>&-; sleep 1.5")),
		"perl":  write(t, dir, "invoice.cgi", fmt.Sprintf(script, "/usr/bin/perl", `syswrite(STDOUT, "`+answer+`"); close STDIN; close STDOUT; sleep 2;`)),
	}
	var places []place
	for language, file := range scripts {
		for _, p := range []place{{network: "tcp", address: harness.FreeAddress(t)}, {network: "unix", address: filepath.Join(dir, language+".sock")}} {
			cmd := exec.Command(frontd, p.network, p.address)
			cmd.Env = append(os.Environ(), "SCRIPT="+file)
			harness.Start(t, cmd)
			places = append(places, p)
		}
	}
	listen(t, places)
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan)
		for _, p := range places {
			p.ask(t)
		}
		for _, p := range places {
			for _, r := range trace.AwaitRecords(p.local(), 1, harness.Slow(20*time.Second)) {
				assert.True(t, r.Service == "frontd" || strings.HasPrefix(r.Service, "frontd:"), "%s is %s", p.local(), r.Service)
				assert.Equal(t, http.StatusOK, r.Status)
			}
		}
		trace.Finish()
	})
}

// TestAppletHasItsOwnName runs a server that is one of many programs in an
// executable.
func TestAppletHasItsOwnName(t *testing.T) {
	address := harness.FreeAddress(t)
	harness.Start(t, exec.Command(harness.Installed(t, "busybox"), "httpd", "-f", "-p", address, "-h", t.TempDir()))
	listen(t, []place{{network: "tcp", address: address}})
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan, "--port", harness.Port(t, address))
		place{network: "tcp", address: address}.ask(t)
		found := trace.AwaitRecords(address, 1, harness.Slow(20*time.Second))
		assert.Equal(t, "httpd", found[0].Service)
		trace.Finish()
	})
}
