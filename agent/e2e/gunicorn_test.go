package e2e

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"lapwing/agent/e2e/harness"
)

// application is the WSGI application of the tests.
const application = `import time

def app(environ, start_response):
    kind, _, rest = environ["PATH_INFO"].lstrip("/").partition("/")
    status = "200 OK"
    if kind == "sleep":
        time.sleep(int(rest.split("/")[0]) / 1000)
    elif kind == "status":
        status = rest.split("/")[0] + " As Asked"
    body = b"hello from the application\n"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
`

// startGunicorn starts gunicorn with two sync workers.
func startGunicorn(t *testing.T) *served {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "application.py"), application)
	access := filepath.Join(dir, "access.log")
	address := harness.FreeAddress(t)
	p := harness.Start(t, exec.Command(harness.Installed(t, "gunicorn"),
		"--chdir", dir, "--bind", address, "--workers", "2", "--worker-class", "sync",
		"--worker-tmp-dir", dir, "--graceful-timeout", "5",
		"--access-logfile", access, "--access-logformat", "%(U)s %(s)s %(D)s", "application:app"))
	harness.AwaitListener(t, p, address)
	return &served{Process: p, address: address,
		log: func(t *testing.T) []logged { return readLog(t, access, time.Microsecond) }}
}
