package stitch

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"lapwing/agent/e2e/harness"
)

// Proxies that read several requests before they make their calls, or make the
// calls on other threads than those that read. None of them caches.

func squid(t *testing.T, back string) string {
	t.Helper()
	return startProxy(t, "squid.conf", func(address, dir string) string {
		host, port, _ := net.SplitHostPort(back)
		return fmt.Sprintf(`http_port %s accel defaultsite=site
cache_peer %s parent %s 0 no-query originserver
never_direct allow all
http_access allow all
cache deny all
access_log none
cache_log stdio:%[4]s/cache.log
pid_filename none
coredump_dir %[4]s
netdb_filename none
shutdown_lifetime 0 seconds
max_filedescriptors 1024
visible_hostname site
`, address, host, port, dir)
	}, "squid", "-N", "-f")
}

func varnish(t *testing.T, back string) string {
	t.Helper()
	address, dir := harness.FreeAddress(t), harness.OpenDir(t)
	host, port, _ := net.SplitHostPort(back)
	vcl := filepath.Join(dir, "pass.vcl")
	write(t, vcl, fmt.Sprintf(`vcl 4.0;
backend default { .host = "%s"; .port = "%s"; }
sub vcl_recv { return (pass); }
`, host, port))
	await(t, harness.Start(t, exec.Command(harness.Installed(t, "varnishd"), "-F", "-j", "none", "-n", filepath.Join(dir, "n"),
		"-a", address, "-f", vcl, "-s", "malloc,10m", "-p", "thread_pool_min=10")), address)
	return address
}

func caddy(t *testing.T, back string) string {
	t.Helper()
	return startProxy(t, "Caddyfile", func(address, dir string) string {
		_, port, _ := net.SplitHostPort(address)
		return fmt.Sprintf("{\n admin off\n auto_https off\n storage file_system %s\n}\n:%s {\n bind 127.0.0.1\n reverse_proxy %s\n}\n", dir, port, back)
	}, "caddy", "run", "--adapter", "caddyfile", "--config")
}

// trafficServer starts it with all directories below one, and two threads that
// serve.
func trafficServer(t *testing.T, back string) string {
	t.Helper()
	address, dir := harness.FreeAddress(t), harness.OpenDir(t)
	host, port, _ := net.SplitHostPort(address)
	write(t, filepath.Join(dir, "records.config"), fmt.Sprintf(`CONFIG proxy.config.http.server_ports STRING %s:ip-in=%s
CONFIG proxy.config.http.cache.http INT 0
CONFIG proxy.config.url_remap.remap_required INT 1
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 2
CONFIG proxy.config.admin.user_id STRING #-1
CONFIG proxy.config.crash_log_helper STRING NULL
`, port, host))
	write(t, filepath.Join(dir, "remap.config"), "map / http://"+back+"/\n")
	write(t, filepath.Join(dir, "ip_allow.yaml"), "ip_allow:\n  - {apply: in, ip_addrs: 127.0.0.1, action: allow, methods: ALL}\n")
	for _, empty := range []string{"storage.config", "plugin.config"} {
		write(t, filepath.Join(dir, empty), "")
	}
	roots := filepath.Join(dir, "runroot.yaml")
	write(t, roots, fmt.Sprintf(`prefix: /usr
bindir: /usr/bin
libexecdir: /usr/lib/trafficserver/modules
sysconfdir: %[1]s
localstatedir: %[1]s
runtimedir: %[1]s
logdir: %[1]s
cachedir: %[1]s
`, dir))
	await(t, harness.Start(t, exec.Command(harness.Installed(t, "traffic_server"), "--run-root="+roots)), address)
	return address
}

// startProxy starts a program whose last argument is its configuration.
func startProxy(t *testing.T, name string, conf func(address, dir string) string, command ...string) string {
	t.Helper()
	address, dir := harness.FreeAddress(t), harness.OpenDir(t)
	path := filepath.Join(dir, name)
	write(t, path, conf(address, dir))
	cmd := exec.Command(harness.Installed(t, command[0]), append(command[1:], path)...)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	await(t, harness.Start(t, cmd), address)
	return address
}
