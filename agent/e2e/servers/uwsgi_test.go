package servers

import (
	"os/exec"
	"slices"
	"time"
)

// uwsgiTime is uWSGI's %(micros): from accept to the time when the response was
// written, including the time before the first byte.
var uwsgiTime = &serverLog{
	file: "access.log", parse: fields(time.Microsecond), took: fromAccept, within: 3 * time.Millisecond,
	means: "`%(micros)`: duration without backlog",
}

// uwsgiWorkerTime is the same after uWSGI's own router. The clock of the worker
// includes neither the reading nor the writing of the router.
var uwsgiWorkerTime = &serverLog{
	file: "access.log", parse: fields(time.Microsecond),
	means: "", // the worker's time, not the router's
}

func uwsgi(arguments ...string) func(at place) *exec.Cmd {
	return func(at place) *exec.Cmd {
		arguments := slices.Clone(arguments)
		for i, a := range arguments {
			if a == "ADDRESS" {
				arguments[i] = at.address
			}
		}
		return exec.Command("uwsgi", append([]string{"--plugin", "python3", "--plugin", "logfile", "--master", "--die-on-term", "--need-app",
			"--chdir", at.dir, "--wsgi", "application:app", "--logto", at.file("server.log"),
			"--log-format", "%(uri) %(status) %(micros)", "--req-logger", "file:" + at.file("access.log")}, arguments...)...)
	}
}

var uwsgiPkg = []need{{"/usr/bin/uwsgi-core", "uwsgi-core"}, {"/usr/lib/uwsgi/plugins/python3_plugin.so", "uwsgi-plugin-python3"}}

func uwsgiServers() []server {
	return []server{
		{
			name: "uWSGI processes", service: "uwsgi", workers: 4, closes: true, marked: true, waits: inBacklog, threads: sameThread, logs: []*serverLog{uwsgiTime},
			needs: uwsgiPkg, files: []file{wsgiFile}, command: uwsgi("--http-socket", "ADDRESS", "--processes", "4"),
		},
		{
			name: "uWSGI threads", service: "uwsgi", workers: 4, closes: true, marked: true, waits: inBacklog, threads: sameThread, logs: []*serverLog{uwsgiTime},
			needs: uwsgiPkg, files: []file{wsgiFile}, command: uwsgi("--http-socket", "ADDRESS", "--processes", "2", "--threads", "2"),
		},
		{
			name: "uWSGI --http", service: "uwsgi", workers: 4, closes: true, waits: inServer, threads: otherProcess, logs: []*serverLog{uwsgiWorkerTime},
			needs: uwsgiPkg, files: []file{wsgiFile}, command: uwsgi("--plugin", "http", "--http", "ADDRESS", "--processes", "4"),
			limits: "the router reads every request at once: waiting for a worker is part of app here, and queue in the record of the worker",
		},
	}
}
