package servers

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// staticFile is the file that static servers serve under many names.
var staticFile = file{"static.bin", strings.Repeat("a line of a static file\n", 2000)}

// nginxConf returns the configuration of a server whose workers only write
// below the row's directory. The given part belongs to the row.
func nginxConf(server string) file {
	return file{"nginx.conf", `daemon off;
worker_processes 2;
pid @DIR@/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
	log_format own '$uri_asked $status $request_time $upstream_response_time';
	map $request_uri $uri_asked { "~^(?<asked>[^?]*)" $asked; }
	access_log @DIR@/access.log own;
	client_body_temp_path @DIR@/body;
	proxy_temp_path @DIR@/proxy;
	fastcgi_temp_path @DIR@/fastcgi;
	uwsgi_temp_path @DIR@/uwsgi;
	scgi_temp_path @DIR@/scgi;
	sendfile on;
	tcp_nopush on;
	server { listen @ADDRESS@; root @DIR@; ` + server + ` }
}
`}
}

func nginx(at place) *exec.Cmd {
	return exec.Command(sbin("nginx"), "-e", "stderr", "-p", at.dir, "-c", at.file("nginx.conf"))
}

// nginxTime is nginx's $request_time: from the first byte read to the last byte
// written, by a clock of 1 ms that is read once per turn of the event loop.
var nginxTime = &serverLog{
	file: "access.log", parse: fields(time.Second), took: fromRead, within: 3 * time.Millisecond,
	means: "`$request_time`: duration without queue",
}

const lighttpdConf = `server.document-root = "@DIR@"
server.bind = "@HOST@"
server.port = @PORT@
server.errorlog = "@DIR@/error.log"
server.modules = ( "mod_accesslog", "mod_rewrite" )
url.rewrite-once = ( "^/static/" => "/static.bin" )
accesslog.filename = "@DIR@/access.log"
accesslog.format = "%U %s %D %{x}i %r"
`

// lighttpdTime is lighttpd's %D: from accept on a new connection, from the
// first byte of the request on a kept-alive one.
var lighttpdTime = &serverLog{
	file: "access.log", parse: lighttpdLine, took: fromRead, within: 3 * time.Millisecond,
	means: "`%D`: duration without queue; from accept for the first request of a connection",
}

// lighttpdLine takes the path from the request line, because %U is the
// rewritten one.
func lighttpdLine(line string) (logged, error) {
	l, err := fields(time.Microsecond)(line)
	if words := strings.Fields(line); err == nil && len(words) == 7 {
		l.path = words[5]
	}
	return l, err
}

// nginxUpstreamTime is nginx's $upstream_response_time: from the start of the
// connect to the last byte of the response, which nginx then passes on.
var nginxUpstreamTime = &serverLog{
	file: "access.log", parse: upstreamLine, took: justApp, within: 3 * time.Millisecond,
	means: "`$upstream_response_time`: app",
}

// upstreamLine parses the time that follows the time of the request.
func upstreamLine(line string) (logged, error) {
	words := strings.Fields(line)
	return fields(time.Second)(strings.Join(slices.Delete(words, 2, 3), " "))
}

const mongrel2Conf = `main = Server(
    uuid="main", name="main", chroot="@DIR@", default_host="@HOST@", bind_addr="@HOST@", port=@PORT@,
    access_log="/access.log", error_log="/error.log", pid_file="/mongrel2.pid",
    hosts=[Host(name="@HOST@", routes={"/static/": Dir(base="static/", index_file="none", default_ctype="text/plain"),
        "/missing/": Dir(base="missing/", index_file="none", default_ctype="text/plain")})]
)
settings = {"server.daemonize": 0}
servers = [main]
`

// mongrel2Files returns the files for the requests of all attempts: mongrel2
// cannot serve one file under many names.
func mongrel2Files() []file {
	files := []file{{"mongrel2.conf", mongrel2Conf}, {"run/needed", ""}, {"missing/needed", ""}}
	for _, plan := range []string{"socket", "syscall"} {
		for i := range attempts * requests {
			run := plan + string(rune('a'+i/requests))
			if path := staticPath(run, i%requests); strings.HasPrefix(path, "/static") {
				files = append(files, file{path, "a file\n"})
			}
		}
	}
	return files
}

// tnetstring matches the relevant parts of a line of mongrel2's access log.
var tnetstring = regexp.MustCompile(`:GET,\d+:([^,]+),8:HTTP/1.1,3:(\d+)#`)

func mongrel2Line(line string) (l logged, err error) {
	m := tnetstring.FindStringSubmatch(line)
	if m == nil {
		return l, fmt.Errorf("log line %q is not a request", line)
	}
	l.path = m[1]
	l.status, err = strconv.Atoi(m[2])
	return l, err
}

var (
	nginxPkg    = need{"/usr/sbin/nginx", "nginx"}
	lighttpdPkg = need{"/usr/sbin/lighttpd", "lighttpd"}
)

func lighttpd(at place) *exec.Cmd {
	return exec.Command(sbin("lighttpd"), "-D", "-f", at.file("lighttpd.conf"))
}

// nginxToGunicorn is nginx in front of a number of workers; more is added to
// its configuration.
func nginxToGunicorn(name, workers, more string) server {
	return server{
		name: name, service: "nginx", workers: 4, waits: inServer, threads: otherProcess,
		logs:  []*serverLog{nginxTime, nginxUpstreamTime},
		needs: []need{nginxPkg, gunicornPkg}, command: nginx,
		files: []file{wsgiFile, nginxConf(more + ` location / { proxy_pass http://unix:@DIR@/behind; }`)},
		behind: func(at place) *exec.Cmd {
			return gunicornAt(at, "unix:"+at.file("behind"), "behind.log", "--umask", "0", "--worker-class", "sync", "--workers", workers)
		},
		limits: "what happens in gunicorn, its queue included, is app here, and has a record of its own",
	}
}

func staticServers() []server {
	return []server{
		{
			name: "nginx static", service: "nginx", workers: 4, waits: nowhere, path: staticPath, logs: []*serverLog{nginxTime},
			needs: []need{nginxPkg}, command: nginx,
			files: []file{staticFile, nginxConf(`location /static/ { try_files /static.bin =404; } location / { return 404; }`)},
		},
		nginxToGunicorn("nginx to gunicorn", "4", ""),
		{
			name: "lighttpd static", flush: syscall.SIGHUP, service: "lighttpd", workers: 4, waits: nowhere, path: staticPath, logs: []*serverLog{lighttpdTime},
			needs:   []need{lighttpdPkg},
			files:   []file{staticFile, {"lighttpd.conf", lighttpdConf}},
			command: lighttpd,
		},
		{
			name: "mongrel2 static", service: "mongrel2", workers: 4, waits: nowhere, path: staticPath,
			logs:  []*serverLog{{file: "access.log", parse: mongrel2Line}},
			needs: []need{{"/usr/bin/mongrel2", "mongrel2-core"}},
			files: mongrel2Files(),
			command: func(at place) *exec.Cmd {
				return exec.Command("sh", "-c", "m2sh load -config mongrel2.conf -db config.sqlite && exec mongrel2 config.sqlite main")
			},
		},
	}
}
