package gateways

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
)

// site is a directory with the applications, which servers of any user can
// read.
type site struct{ dir string }

// application is a WSGI application. The last three path elements define what
// it does: sleep for some milliseconds, or respond with a status.
const application = `import time

def application(environ, start_response):
    kind, argument, _ = environ["REQUEST_URI"].partition("?")[0].split("/")[-3:]
    status = "200 OK"
    if kind == "sleep":
        time.sleep(int(argument) / 1000)
    elif kind == "status":
        status = argument + " As Asked"
    body = b"hello from the application\n"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
`

// page does the same in PHP.
const page = `<?php
[$kind, $argument] = array_slice(explode('/', strtok($_SERVER['REQUEST_URI'], '?')), -3);
if ($kind == 'sleep') usleep($argument * 1000);
if ($kind == 'status') http_response_code($argument);
header('Content-Type: text/plain');
echo "hello from the page\n";
`

// watched is the application for mod_wsgi, which also records its events.
const watched = application + `
import json, mod_wsgi, os
events = open(os.path.join(os.path.dirname(__file__), "events.%d" % os.getpid()), "a", buffering=1)

def keep(name, **facts):
    environ = facts.pop("request_environ", None)
    kept = {k: v for k, v in facts.items() if isinstance(v, (int, float, str))}
    kept["event"] = name
    if environ:
        kept["uri"] = environ["REQUEST_URI"]
    events.write(json.dumps(kept) + "\n")

mod_wsgi.subscribe_events(keep)
`

func openSite(t *testing.T) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "lapwing-gateways")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &site{dir}
	for name, content := range map[string]string{
		"application.py": application, "index.php": page, "watched.wsgi": watched,
		"passenger/passenger_wsgi.py": application, "passenger/public/none": "",
	} {
		s.write(t, name, content)
	}
	for _, d := range []string{"", "passenger", "passenger/public"} {
		require.NoError(t, os.Chmod(s.path(d), 0o777))
	}
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// write writes a file. DIR in its content is replaced by the directory of the
// site.
func (s *site) write(t *testing.T, name, content string) string {
	t.Helper()
	path := s.path(name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(content, "DIR", s.dir)), 0o644))
	return path
}

// start starts a server and waits for it to listen.
func (s *site) start(t *testing.T, address, program string, args ...string) {
	t.Helper()
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "DIR", s.dir)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = s.dir
	p := harness.Start(t, cmd)
	if !strings.HasPrefix(address, "/") {
		harness.AwaitListener(t, p, address)
		return
	}
	harness.Eventually(t, 10*time.Second, "the socket "+address, func() bool {
		_, err := os.Stat(address)
		return err == nil
	})
}
