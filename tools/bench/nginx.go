package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"lapwing/tools/child"
)

// The status page has a unix socket of its own, because the agent observes the
// port.
const nginxConfig = `
daemon off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr warn;
%[3]s
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_timeout 60s;
    keepalive_requests 1000000000;
    client_body_temp_path %[1]s/body;
    proxy_temp_path %[1]s/proxy;
    fastcgi_temp_path %[1]s/fastcgi;
    uwsgi_temp_path %[1]s/uwsgi;
    scgi_temp_path %[1]s/scgi;
    server {
        listen 127.0.0.1:%[2]d;
        location / { return 200 "ok\n"; }
    }
    server {
        listen unix:%[1]s/status.sock;
        location / { stub_status; }
    }
}
`

// nginx is one running server with one worker.
type nginx struct {
	proc   *child.Child
	worker int // pid
	port   int
	status http.Client
	asked  uint64 // number of status requests, which nginx counts too
}

func startNginx(ctx context.Context, program, dir string) (*nginx, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "nginx.conf")
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // otherwise the worker cannot enter the temporary folder
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, port, user), 0o600); err != nil {
		return nil, err
	}
	proc, err := child.Start(child.Options{Args: []string{program, "-p", dir, "-e", "stderr", "-c", config}})
	if err != nil {
		return nil, fmt.Errorf("%w: run make deps", err)
	}
	n := &nginx{proc: proc, port: port}
	n.status.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "status.sock"))
		},
	}
	if err := n.awaitUp(ctx); err != nil {
		_ = n.stop()
		return nil, err
	}
	return n, nil
}

// freePort returns a loopback port on which no process listens.
func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (n *nginx) awaitUp(ctx context.Context) error {
	const patience = 10 * time.Second
	return poll(ctx, patience, "nginx to answer", func() (bool, error) {
		select {
		case <-n.proc.Done():
			return false, fmt.Errorf("nginx did not start: %w", n.proc.Stop(0))
		default:
		}
		if _, _, err := n.counters(ctx); err != nil {
			return false, nil
		}
		workers, err := children(n.proc.PID())
		if err != nil || len(workers) != 1 {
			return false, err
		}
		n.worker = workers[0]
		return true, nil
	})
}

func (n *nginx) stop() error { return n.proc.Stop(5 * time.Second) }

func (n *nginx) address() string { return "127.0.0.1:" + strconv.Itoa(n.port) }

var statusPage = regexp.MustCompile(`Active connections: (\d+)\s+server accepts handled requests\s+\d+ \d+ (\d+)`)

// counters reads stub_status: the open connections and the requests started.
// Both exclude those of the reading itself.
func (n *nginx) counters(ctx context.Context) (active, requests uint64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://status/", nil)
	if err != nil {
		return 0, 0, err
	}
	resp, err := n.status.Do(req)
	if err != nil {
		return 0, 0, fmt.Errorf("read nginx's status: %w", err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, 0, fmt.Errorf("read nginx's status: %w", err)
	}
	n.asked++
	active, requests, err = parseStatus(string(page))
	return active - 1, requests - n.asked, err
}

func parseStatus(page string) (active, requests uint64, err error) {
	m := statusPage.FindStringSubmatch(page)
	if m == nil {
		return 0, 0, fmt.Errorf("nginx's status page is not one: %q", strings.TrimSpace(page))
	}
	active, errA := strconv.ParseUint(m[1], 10, 64)
	requests, errR := strconv.ParseUint(m[2], 10, 64)
	return active, requests, errors.Join(errA, errR)
}

// served returns the number of requests so far, once all clients have gone.
func (n *nginx) served(ctx context.Context) (uint64, error) {
	const patience = 5 * time.Second
	var served uint64
	err := poll(ctx, patience, "nginx to see its clients go", func() (bool, error) {
		active, requests, err := n.counters(ctx)
		served = requests
		return active == 0, err
	})
	return served, err
}

// poll calls ask until it returns true.
func poll(ctx context.Context, patience time.Duration, what string, ask func() (bool, error)) error {
	deadline := time.Now().Add(patience)
	for {
		ok, err := ask()
		if ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %s for %s in vain", patience, what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}
