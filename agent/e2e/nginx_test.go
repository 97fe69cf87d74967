package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
)

// nginxFrame is the common part of the configuration: one worker in the
// foreground, which only writes below the directory of the test.
const nginxFrame = `
daemon off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
	log_format own '$uri_asked $status $request_time';
	map $request_uri $uri_asked { "~^(?<asked>[^?]*)" $asked; }
	access_log %[1]s/access.log own;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	sendfile on;
	keepalive_requests 1000000;
	%[2]s
}
`

// startNginx starts nginx with the server blocks of the test.
func startNginx(t *testing.T, address, blocks string) *served {
	t.Helper()
	// The worker runs as another user and must be able to read the files.
	dir, err := os.MkdirTemp("", "lapwing-nginx")
	require.NoError(t, err, "directory for nginx")
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	writeFile(t, filepath.Join(dir, "static.bin"), strings.Repeat("static file\n", 2000))
	conf := filepath.Join(dir, "nginx.conf")
	writeFile(t, conf, fmt.Sprintf(nginxFrame, dir, strings.ReplaceAll(blocks, "DIR", dir)))
	p := harness.Start(t, exec.Command(harness.Installed(t, "nginx"), "-e", "stderr", "-p", dir, "-c", conf))
	harness.AwaitListener(t, p, address)
	access := filepath.Join(dir, "access.log")
	return &served{Process: p, address: address, log: func(t *testing.T) []logged { return readLog(t, access, time.Second) }}
}

// readLog reads an access log with path, status and time per line. unit is the
// unit of the time.
func readLog(t *testing.T, file string, unit time.Duration) []logged {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err, "the server's own log")
	var log []logged
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		fields := strings.Fields(line)
		require.Len(t, fields, 3, "log line %q", line)
		status, err := strconv.Atoi(fields[1])
		require.NoError(t, err, "log line %q", line)
		took, err := strconv.ParseFloat(fields[2], 64)
		require.NoError(t, err, "log line %q", line)
		log = append(log, logged{fields[0], status, time.Duration(took * float64(unit))})
	}
	return log
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}
