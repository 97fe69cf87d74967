package gateways

import (
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"lapwing/agent/e2e/harness"
)

const nginxFrame = `
daemon off;
worker_processes 1;
pid DIR/nginx.pid;
error_log stderr error;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	upstream kept { server %s; keepalive 8; }
	server {
		listen %s;
		%s
	}
}
`

// behindNginx starts nginx with uWSGI and php-fpm as application servers.
func (s *site) behindNginx(t *testing.T) []hop {
	t.Helper()
	front := harness.FreeAddress(t)
	hops, locations := s.uwsgi(t)
	more, others, keeping := s.php(t)
	hops = append(hops, more...)
	var blocks []string
	for i := range hops {
		hops[i].front = front
		blocks = append(blocks, fmt.Sprintf("location /%s/ { %s }\n", hops[i].name, append(locations, others...)[i]))
	}
	sort.Strings(blocks)
	s.write(t, "nginx.conf", fmt.Sprintf(nginxFrame, keeping, front, strings.Join(blocks, "\t\t")))
	s.start(t, front, harness.Installed(t, "nginx"), "-e", "stderr", "-p", "DIR", "-c", "DIR/nginx.conf")
	return hops
}

// uwsgi starts uWSGI, whose workers serve all its protocols. Its clock runs
// from accept to the end of the request.
func (s *site) uwsgi(t *testing.T) (hops []hop, locations []string) {
	t.Helper()
	args := []string{"--plugin", "python3", "--master", "--die-on-term", "--processes", fmt.Sprint(workers),
		"--wsgi-file", "DIR/application.py", "--logformat", "%(uri) %(status) %(micros)", "--logto", "DIR/uwsgi.log"}
	fromAccept := since("uWSGI %(micros)", func(r harness.Record) int64 {
		return value(r.Duration) - value(r.Backlog)
	}, -time.Millisecond, time.Millisecond)
	var last string
	for _, protocol := range []string{"uwsgi", "fastcgi", "scgi"} {
		option := map[string]string{"uwsgi": "--uwsgi-socket", "fastcgi": "--fastcgi-socket", "scgi": "--scgi-socket"}[protocol]
		for _, family := range []string{"tcp", "unix"} {
			address := harness.FreeAddress(t)
			pass, local := address, address
			if family == "unix" {
				address = s.path(protocol + ".sock")
				pass, local = "unix:"+address, "unix:"+address
			}
			last = address
			args = append(args, option, address)
			if family == "unix" {
				args = append(args, "--chmod-socket=666")
			}
			hops = append(hops, hop{name: protocol + "-" + family, protocol: protocol, service: "uwsgi", local: local,
				logged: logReader(s.path("uwsgi.log"), time.Microsecond), judge: fromAccept})
			locations = append(locations, fmt.Sprintf("include /etc/nginx/%s_params; %s_pass %s;", protocol, protocol, pass))
		}
	}
	s.start(t, last, harness.Installed(t, "uwsgi"), args...)
	return hops, locations
}

const phpFrame = `[global]
daemonize = no
pid = DIR/fpm.pid
error_log = DIR/fpm.error.log
`

const phpPool = `[%s]
user = www-data
group = www-data
listen = %s
listen.mode = 0666
pm = static
pm.max_children = %d
access.log = DIR/fpm.log
access.format = "%%{REQUEST_URI}e %%s %%{microseconds}d"
`

// php starts php-fpm with a pool of workers per socket. Its clock runs from the
// time at which a worker started to wait for a request. On a new connection
// this excludes the queue, on a kept-alive one it includes the idle time before
// the request.
func (s *site) php(t *testing.T) (hops []hop, locations []string, kept string) {
	t.Helper()
	var tcp string
	tcp, kept = harness.FreeAddress(t), harness.FreeAddress(t)
	unix := s.path("fpm.sock")
	conf := phpFrame
	worked := func(least time.Duration) func(*testing.T, []pair) {
		return since("php-fpm %{microseconds}d", func(r harness.Record) int64 {
			return value(r.Duration) - value(r.Queue)
		}, least, time.Millisecond)
	}
	for _, h := range []struct {
		name, listen, pass, local string
		children                  int
		least                     time.Duration
	}{
		{"php-tcp", tcp, tcp, tcp, workers, -time.Millisecond},
		{"php-unix", unix, "unix:" + unix, "unix:" + unix, workers, -time.Millisecond},
		// A kept-alive connection occupies its worker.
		{"php-kept", kept, "kept", kept, clients, -25 * time.Millisecond},
	} {
		conf += fmt.Sprintf(phpPool, h.name, h.listen, h.children)
		hops = append(hops, hop{name: h.name, protocol: "fastcgi", service: "php-fpm:" + h.name, local: h.local,
			logged: logReader(s.path("fpm.log"), time.Microsecond), judge: worked(h.least)})
		location := "include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME DIR/index.php; fastcgi_pass " + h.pass + ";"
		if h.name == "php-kept" {
			location += " fastcgi_keep_conn on;"
		}
		locations = append(locations, location)
	}
	s.write(t, "fpm.conf", conf)
	s.start(t, tcp, harness.Installed(t, "php-fpm8.2"), "--nodaemonize", "--fpm-config", "DIR/fpm.conf")
	return hops, locations, kept
}
