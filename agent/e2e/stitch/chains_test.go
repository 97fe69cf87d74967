package stitch

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
)

// chain is a row of the test: servers that pass requests on to each other.
type chain struct {
	name  string
	start func(t *testing.T) hops
}

// hops are the addresses at which a request is served, in order.
type hops struct {
	addresses []string
	path      string // with a format verb for the number of the request
}

func chains() []chain {
	return []chain{
		{"nginx, gunicorn sync", func(t *testing.T) hops {
			back := startGunicorn(t, harness.FreeAddress(t), "--workers", "4")
			return numbered(startNginx(t, proxy("http://"+back, false)), back)
		}},
		{"nginx, gunicorn on a unix socket", func(t *testing.T) hops {
			back := startGunicorn(t, "unix:"+filepath.Join(harness.OpenDir(t), "g.sock"), "--workers", "4")
			return numbered(startNginx(t, proxy("http://"+back, false)), back)
		}},
		{"nginx, gunicorn gthread, kept connections", func(t *testing.T) hops {
			back := startGunicorn(t, harness.FreeAddress(t), "--workers", "2", "--threads", "8", "--keep-alive", "60")
			return numbered(startNginx(t, proxy("http://"+back, true)), back)
		}},
		{"nginx, refserver, kept connections", func(t *testing.T) hops {
			back := startRefServer(t, "--arch", "threaded", "--workers", "64", "--keepalive", "60s")
			return numbered(startNginx(t, proxy("http://"+back, true)), back)
		}},
		{"nginx, Apache worker, gunicorn sync", func(t *testing.T) hops {
			back := startGunicorn(t, harness.FreeAddress(t), "--workers", "4")
			middle := startApache(t, "ProxyPass / http://"+back+"/")
			return numbered(startNginx(t, proxy("http://"+middle, true)), middle, back)
		}},
		{"nginx, uWSGI by HTTP", func(t *testing.T) hops {
			back := startUWSGI(t, harness.FreeAddress(t), "--http-socket", "--processes", "4")
			return numbered(startNginx(t, proxy("http://"+back, false)), back)
		}},
		{"nginx, uWSGI by uwsgi", gateway("uwsgi", "--socket", false)},
		{"nginx, uWSGI by uwsgi on a unix socket", gateway("uwsgi", "--socket", true)},
		{"nginx, uWSGI by FastCGI", gateway("fastcgi", "--fastcgi-socket", false)},
		{"nginx, uWSGI by SCGI on a unix socket", gateway("scgi", "--scgi-socket", true)},
		{"uWSGI router, uWSGI", startUWSGIRouter},
		{"nginx, php-fpm, kept connections", func(t *testing.T) hops {
			back := harness.FreeAddress(t)
			script := startPHP(t, back, 110) // a kept-alive connection occupies a process
			return numbered(startNginx(t, fmt.Sprintf(`upstream back { server %s; keepalive 64; }
				server { listen LISTEN backlog=1024; location / { include /etc/nginx/fastcgi_params;
				fastcgi_keep_conn on; fastcgi_param SCRIPT_FILENAME %s; fastcgi_pass back; } }`, back, script)), back)
		}},
		{"Apache worker, php-fpm on a unix socket", func(t *testing.T) hops {
			back := "unix:" + filepath.Join(harness.OpenDir(t), "php.sock")
			script := startPHP(t, back, 4)
			return numbered(startApache(t, fmt.Sprintf(`ProxyPass / "%s|fcgi://localhost%s/"`, back, script)), back)
		}},
		{"nginx, Apache worker, mod_wsgi daemon", func(t *testing.T) hops {
			front, back := startDaemon(t)
			return numbered(startNginx(t, proxy("http://"+front, true)), front, back)
		}},
		{"lighttpd, gunicorn sync", func(t *testing.T) hops {
			back := startGunicorn(t, harness.FreeAddress(t), "--workers", "4")
			return numbered(startLighttpd(t, back), back)
		}},
		{"nginx that tries the next, gunicorn sync", func(t *testing.T) hops {
			back := startGunicorn(t, harness.FreeAddress(t), "--workers", "4")
			bad := startNginx(t, "server { listen LISTEN backlog=1024; return 502; }")
			return numbered(startNginx(t, retrying(back, bad, harness.FreeAddress(t))), back)
		}},
		{"nginx that asks for permission, gunicorn sync", func(t *testing.T) hops {
			back := startGunicorn(t, harness.FreeAddress(t), "--workers", "4")
			gate := startNginx(t, "server { listen LISTEN backlog=1024; return 204; }")
			return numbered(startNginx(t, asking(back, gate)), back)
		}},
		{"asyncio that waits first, gunicorn sync", func(t *testing.T) hops {
			back := startGunicorn(t, harness.FreeAddress(t), "--workers", "4")
			return numbered(startAsyncio(t, back), back)
		}},
		{"Go proxy, gunicorn sync", func(t *testing.T) hops {
			back := startGunicorn(t, harness.FreeAddress(t), "--workers", "4")
			return numbered(goQueue("0")(t, back), back)
		}},
		{"refserver front, daemon", func(t *testing.T) hops {
			back := startRefServer(t, "--arch", "daemon", "--protocol", "http", "--workers", "8")
			front := startRefServer(t, "--arch", "front", "--workers", "1", "--upstream", "http://"+back)
			return numbered(front, back)
		}},
		{"refserver front, gunicorn sync", func(t *testing.T) hops {
			back := startGunicorn(t, harness.FreeAddress(t), "--workers", "4")
			return numbered(startRefServer(t, "--arch", "front", "--workers", "1", "--upstream", "http://"+back), back)
		}},
	}
}

func numbered(addresses ...string) hops {
	return hops{addresses: addresses, path: "/n/%d"}
}

// proxy returns nginx's configuration of an upstream; kept keeps its
// connections open.
func proxy(to string, kept bool) string {
	scheme, address, _ := strings.Cut(to, "://")
	keep := ""
	if kept {
		keep = "keepalive 64;"
	}
	return fmt.Sprintf(`upstream back { server %s; %s }
	server { listen LISTEN backlog=1024; location / { proxy_pass %s://back; proxy_http_version 1.1; proxy_set_header Connection "%s"; } }`,
		address, keep, scheme, map[bool]string{true: "", false: "close"}[kept])
}

const nginxFrame = `
daemon off; worker_processes 2; pid %[1]s/nginx.pid; error_log stderr warn;
events { worker_connections 1024; }
http {
	access_log off; keepalive_requests 1000000;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	%[2]s
}`

func startNginx(t *testing.T, blocks string) string {
	t.Helper()
	dir, address := harness.OpenDir(t), harness.FreeAddress(t)
	conf := filepath.Join(dir, "nginx.conf")
	write(t, conf, fmt.Sprintf(nginxFrame, dir, strings.ReplaceAll(blocks, "LISTEN", address)))
	p := harness.Start(t, exec.Command(harness.Installed(t, "nginx"), "-e", "stderr", "-p", dir, "-c", conf))
	harness.AwaitListener(t, p, address)
	return address
}

// application responds after two milliseconds, so that requests overlap.
const application = `import time

def app(environ, start_response):
    time.sleep(0.002)
    body = b"ok\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [body]

application = app
`

func startGunicorn(t *testing.T, bind string, args ...string) string {
	t.Helper()
	dir := harness.OpenDir(t)
	write(t, filepath.Join(dir, "application.py"), application)
	p := harness.Start(t, exec.Command(harness.Installed(t, "gunicorn"), append([]string{
		"--chdir", dir, "--bind", bind, "--worker-tmp-dir", dir, "--graceful-timeout", "5", "--umask", "0",
		"--log-level", "error", "application:app"}, args...)...))
	await(t, p, bind)
	return bind
}

func startRefServer(t *testing.T, args ...string) string {
	t.Helper()
	address := harness.FreeAddress(t)
	p := harness.Start(t, exec.Command(harness.RefServer(t), append([]string{"--listen", address}, args...)...))
	await(t, p, address)
	return address
}

func startUWSGI(t *testing.T, address string, args ...string) string {
	t.Helper()
	dir := harness.OpenDir(t)
	write(t, filepath.Join(dir, "application.py"), application)
	for i, arg := range args {
		if strings.HasSuffix(arg, "socket") {
			args = append(append(append([]string{}, args[:i+1]...), address), args[i+1:]...)
			break
		}
	}
	p := harness.Start(t, exec.Command(harness.Installed(t, "uwsgi"), append([]string{
		"--plugin", "python3,http", "--master", "--die-on-term", "--disable-logging", "--chdir", dir,
		"--wsgi-file", "application.py", "--listen", "100"}, args...)...))
	await(t, p, address)
	return address
}

// gateway is nginx in front of uWSGI with one of the protocols that both
// support.
func gateway(protocol, option string, onUnix bool) func(t *testing.T) hops {
	return func(t *testing.T) hops {
		back := harness.FreeAddress(t)
		if onUnix {
			back = filepath.Join(harness.OpenDir(t), "u.sock")
		}
		startUWSGI(t, back, option, "--processes", "4", "--chmod-socket=666")
		if onUnix {
			back = "unix:" + back
		}
		block := fmt.Sprintf(`server { listen LISTEN backlog=1024; location / { include /etc/nginx/%s_params; %s_pass %s; } }`,
			protocol, protocol, back)
		return numbered(startNginx(t, block), back)
	}
}

// startPHP starts php-fpm and returns its only script.
func startPHP(t *testing.T, listen string, children int) string {
	t.Helper()
	dir := harness.OpenDir(t)
	script, conf := filepath.Join(dir, "work.php"), filepath.Join(dir, "fpm.conf")
	write(t, script, `<?php usleep(2000); header("Content-Type: text/plain"); echo "ok\n";`)
	write(t, conf, fmt.Sprintf(`[global]
error_log = %[1]s/error.log
daemonize = no
[www]
user = www-data
group = www-data
listen = %[2]s
listen.mode = 0666
pm = static
pm.max_children = %[3]d
`, dir, strings.TrimPrefix(listen, "unix:"), children))
	p := harness.Start(t, exec.Command(harness.Installed(t, "php-fpm8.2"), "--nodaemonize", "--fpm-config", conf))
	await(t, p, listen)
	return script
}

// startDaemon starts Apache with an application in a mod_wsgi daemon and
// returns the addresses of both.
func startDaemon(t *testing.T) (front, back string) {
	t.Helper()
	dir := harness.OpenDir(t)
	write(t, filepath.Join(dir, "app.wsgi"), application)
	front = startApache(t, fmt.Sprintf(`WSGISocketPrefix %[1]s/wsgi
WSGIDaemonProcess work processes=2 threads=8 user=www-data group=www-data
WSGIProcessGroup work
WSGIApplicationGroup %%{GLOBAL}
WSGIScriptAlias / %[1]s/app.wsgi
<Directory %[1]s>
Require all granted
</Directory>`, dir))
	harness.Eventually(t, wait, "the daemon's socket", func() bool {
		found, err := filepath.Glob(filepath.Join(dir, "wsgi.*.sock"))
		if err == nil && len(found) == 1 {
			back = "unix:" + found[0]
		}
		return back != ""
	})
	return front, back
}

func startUWSGIRouter(t *testing.T) hops {
	front, back := harness.FreeAddress(t), harness.FreeAddress(t)
	startUWSGI(t, back, "--socket", "--http", front, "--http-to", back, "--processes", "4")
	return numbered(front, back)
}

const apacheFrame = `
ServerName localhost
ServerRoot %[1]s
PidFile %[1]s/apache.pid
DefaultRuntimeDir %[1]s
Mutex file:%[1]s
User www-data
Group www-data
Listen %[2]s
ErrorLog %[1]s/error.log
LogLevel warn
LoadModule mpm_worker_module /usr/lib/apache2/modules/mod_mpm_worker.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
LoadModule proxy_fcgi_module /usr/lib/apache2/modules/mod_proxy_fcgi.so
LoadModule wsgi_module /usr/lib/apache2/modules/mod_wsgi.so
ServerLimit 2
StartServers 2
ThreadsPerChild 32
MaxRequestWorkers 64
KeepAlive On
MaxKeepAliveRequests 0
%[3]s
`

func startApache(t *testing.T, directives string) string {
	t.Helper()
	dir, address := harness.OpenDir(t), harness.FreeAddress(t)
	conf := filepath.Join(dir, "apache.conf")
	write(t, conf, fmt.Sprintf(apacheFrame, dir, address, strings.ReplaceAll(directives, "DIR", dir)))
	p := harness.Start(t, exec.Command(harness.Installed(t, "apache2"), "-DFOREGROUND", "-f", conf))
	await(t, p, address)
	return address
}

func startLighttpd(t *testing.T, back string) string {
	t.Helper()
	dir, address := harness.OpenDir(t), harness.FreeAddress(t)
	conf := filepath.Join(dir, "lighttpd.conf")
	host, port, _ := strings.Cut(address, ":")
	_, backPort, _ := strings.Cut(back, ":")
	write(t, conf, fmt.Sprintf(`server.modules = ("mod_proxy")
server.document-root = "%s"
server.bind = "%s"
server.port = %s
proxy.server = ("" => (("host" => "127.0.0.1", "port" => %s)))
`, dir, host, port, backPort))
	p := harness.Start(t, exec.Command(harness.Installed(t, "lighttpd"), "-D", "-f", conf))
	await(t, p, address)
	return address
}

func await(t *testing.T, p *harness.Process, address string) {
	t.Helper()
	path, ok := strings.CutPrefix(address, "unix:")
	if ok || strings.HasPrefix(address, "/") {
		harness.Eventually(t, wait, path, func() bool { _, err := os.Stat(path); return err == nil })
		return
	}
	harness.AwaitListener(t, p, address)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}
