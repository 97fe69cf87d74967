package servers

import (
	"fmt"
	"os/exec"
	"strings"
	"time"
)

const apacheModules = "/usr/lib/apache2/modules/mod_"

// apacheFrame is the common configuration: only files of the row, and four
// workers.
const apacheFrame = `ServerRoot @DIR@
ServerName localhost
PidFile @DIR@/apache.pid
DefaultRuntimeDir @DIR@
Mutex file:@DIR@
Listen @ADDRESS@
User www-data
Group www-data
ErrorLog @DIR@/error.log
LogFormat "%U %>s %D" own
CustomLog @DIR@/access.log own
DocumentRoot @DIR@
KeepAlive On
KeepAliveTimeout 5
Timeout 30
LoadModule authz_core_module ` + apacheModules + `authz_core.so
`

// The ways in which Apache divides work. In prefork and worker, a kept-alive
// connection occupies a worker, so it is closed after some requests.
const (
	prefork = `LoadModule mpm_prefork_module ` + apacheModules + `mpm_prefork.so
StartServers 4
MinSpareServers 4
MaxSpareServers 4
ServerLimit 4
MaxRequestWorkers 4
MaxKeepAliveRequests 10
`
	workerMPM = `LoadModule mpm_worker_module ` + apacheModules + `mpm_worker.so
StartServers 1
ServerLimit 4
ThreadsPerChild 4
MaxRequestWorkers 4
MinSpareThreads 1
MaxSpareThreads 4
MaxKeepAliveRequests 10
`
	eventMPM = `LoadModule mpm_event_module ` + apacheModules + `mpm_event.so
StartServers 1
ServerLimit 4
ThreadsPerChild 4
MaxRequestWorkers 4
MinSpareThreads 1
MaxSpareThreads 4
`
)

const modWSGI = `LoadModule wsgi_module ` + apacheModules + `wsgi.so
WSGIScriptAlias / @DIR@/shop.wsgi
WSGIPythonPath @DIR@
`

// shopWSGI also records mod_wsgi's events, as wall time in seconds.
const shopWSGI = `import os, threading
import mod_wsgi
from application import app

_events = os.open("@DIR@/events.log", os.O_WRONLY | os.O_APPEND)

def application(environ, start_response):
    mod_wsgi.request_data()["path"] = environ["PATH_INFO"]
    return app(environ, start_response)

def event(name, **facts):
    data = mod_wsgi.request_data()
    if name == "request_started":
        data["entered"] = facts["application_start"]
        data["parsed"] = facts["application_start"] - facts["request_start"]
    elif name == "response_started":
        data["status"] = facts["response_status"].split()[0]
    elif name == "request_finished":
        worked = facts["application_finish"] - data["entered"]
        line = "%(path)s %(status)s %(parsed).6f" % data + " %.6f\n" % worked
        os.write(_events, line.encode())

mod_wsgi.subscribe_events(event)
`

const modPython = `LoadModule python_module ` + apacheModules + `python.so
SetHandler mod_python
PythonPath "['@DIR@'] + sys.path"
PythonHandler handler
`

const pythonHandler = `import time
from mod_python import apache
from application import asked, note, spin

def handler(req):
    begin = time.monotonic_ns()
    seconds, status = asked(req.uri)
    req.read()
    spin(seconds / 10)
    time.sleep(seconds * 9 / 10)
    req.status = status
    req.content_type = "text/plain"
    note(req.uri, status, begin)
    req.write("hello from the application\n")
    return apache.OK
`

const modPHP = `LoadModule php_module /usr/lib/apache2/modules/libphp8.2.so
LoadModule alias_module ` + apacheModules + `alias.so
AliasMatch "^/" @DIR@/work.php
SetHandler application/x-httpd-php
`

// workPHP is the test application in PHP.
const workPHP = `<?php
$begin = hrtime(true);
$path = $_SERVER["REQUEST_URI"];
[, , $ms, $status] = explode("/", $path);
$spun = $begin + $ms * 100000;
while (hrtime(true) < $spun);
usleep($ms * 900);
http_response_code((int)$status);
header("Content-Type: text/plain");
$line = sprintf("%s %d %d %d %d %d\n", $path, $status, $begin, hrtime(true), getmypid(), getmypid());
file_put_contents("@DIR@/application.log", $line, FILE_APPEND);
echo "hello from the application\n";
`

// apacheTime is Apache's %D: from the request line to the end of the response.
var apacheTime = &serverLog{
	file: "access.log", parse: fields(time.Microsecond), took: fromRead, within: 3 * time.Millisecond,
	means: "`%D`: duration without queue",
}

// modWSGIEvents are mod_wsgi's own times in embedded mode.
var modWSGIEvents = []*serverLog{
	{
		file: "events.log", parse: event(0), took: justParse, within: 3 * time.Millisecond,
		means: "`application_start - request_start`: parse",
	},
	{
		file: "events.log", parse: event(1), took: justApp, within: 3 * time.Millisecond,
		means: "`application_finish - application_start`: app",
	},
}

// event reads the n-th time of a line of events.
func event(n int) func(line string) (logged, error) {
	return func(line string) (l logged, err error) {
		var took [2]float64
		if _, err = fmt.Sscan(line, &l.path, &l.status, &took[0], &took[1]); err != nil {
			return l, fmt.Errorf("line of events %q: %w", line, err)
		}
		l.took = time.Duration(took[n] * float64(time.Second))
		return l, nil
	}
}

var (
	apachePkg = need{"/usr/sbin/apache2", "apache2-bin"}
	wsgiNeeds = []need{apachePkg, apacheModule("wsgi", "libapache2-mod-wsgi-py3")}
)

// apache returns a row of Apache from parts of its configuration and files.
func apache(s server, parts ...string) server {
	s.service, s.workers, s.waits, s.threads, s.logs = "apache2", 4, inBacklog, sameThread, append(s.logs, apacheTime)
	s.marked = true
	s.files = append(s.files, wsgiFile, file{"apache.conf", apacheFrame + strings.Join(parts, "")})
	s.command = func(at place) *exec.Cmd {
		return exec.Command(sbin("apache2"), "-D", "FOREGROUND", "-f", at.file("apache.conf"))
	}
	return s
}

func apacheServers() []server {
	wsgi := []file{{"shop.wsgi", shopWSGI}, {"events.log", ""}}
	return []server{
		apache(server{name: "Apache prefork, mod_wsgi embedded", needs: wsgiNeeds, files: wsgi, logs: modWSGIEvents}, prefork, modWSGI),
		apache(server{name: "Apache worker, mod_wsgi embedded", needs: wsgiNeeds, files: wsgi, logs: modWSGIEvents}, workerMPM, modWSGI),
		apache(server{name: "Apache event, mod_wsgi embedded", needs: wsgiNeeds, files: wsgi, logs: modWSGIEvents}, eventMPM, modWSGI),
		apache(server{
			name:  "Apache prefork, mod_python",
			needs: []need{apachePkg, apacheModule("python", "libapache2-mod-python")},
			files: []file{{"handler.py", pythonHandler}},
		}, prefork, modPython),
		apache(server{
			name:  "Apache prefork, mod_php",
			needs: []need{apachePkg, {"/usr/lib/apache2/modules/libphp*.so", "libapache2-mod-php"}},
			files: []file{{"work.php", workPHP}},
		}, prefork, modPHP),
	}
}
