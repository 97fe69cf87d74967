package gateways

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
)

const apacheFrame = `
ServerRoot DIR
ServerName localhost
PidFile DIR/%[1]s.pid
ErrorLog DIR/%[1]s.error.log
Listen %[2]s
User www-data
Group www-data
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LogFormat "%%U %%s %%D" own
CustomLog DIR/%[1]s.log own
StartServers 1
<Directory DIR>
	Require all granted
</Directory>
`

const apacheHops = `
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule wsgi_module /usr/lib/apache2/modules/mod_wsgi.so
WSGISocketPrefix DIR/wsgi
WSGIDaemonProcess watched processes=2 threads=2
WSGIScriptAlias /modwsgi DIR/watched.wsgi process-group=watched application-group=%%{GLOBAL}

LoadModule fcgid_module /usr/lib/apache2/modules/mod_fcgid.so
FcgidIPCDir DIR/fcgid
FcgidProcessTableFile DIR/fcgid.table
FcgidMaxProcesses %d
FcgidMinProcessesPerClass %[1]d
AliasMatch ^/fcgid/ DIR/index.php
<LocationMatch ^/fcgid/>
	SetHandler fcgid-script
	Options +ExecCGI
	FcgidWrapper /usr/bin/php-cgi .php
</LocationMatch>

LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_fcgi_module /usr/lib/apache2/modules/mod_proxy_fcgi.so
ProxyPassMatch ^/proxyfcgi/ fcgi://%s/DIR/index.php
`

// within checks against Apache's %D, which starts when Apache has read the
// first line of the request. The hop is within this time. The front end needs
// some additional time, in which requests may wait until one of the processes
// is free.
var within = since("Apache %D", func(r harness.Record) int64 { return value(r.Duration) }, -time.Second, 100*time.Microsecond)

// behindApache starts Apache with mod_wsgi's daemon, mod_fcgid and php-fpm as
// application servers.
func (s *site) behindApache(t *testing.T) []hop {
	t.Helper()
	front, fpm := harness.FreeAddress(t), harness.FreeAddress(t)
	s.write(t, "proxied.conf", strings.ReplaceAll(phpFrame, "fpm.", "proxied.")+
		strings.ReplaceAll(fmt.Sprintf(phpPool, "proxied", fpm, workers), "fpm.", "proxied."))
	s.start(t, fpm, harness.Installed(t, "php-fpm8.2"), "--nodaemonize", "--fpm-config", "DIR/proxied.conf")
	s.write(t, "hops.conf", fmt.Sprintf(apacheFrame, "hops", front)+fmt.Sprintf(apacheHops, clients, fpm))
	s.start(t, front, harness.Installed(t, "apache2"), "-D", "FOREGROUND", "-f", "DIR/hops.conf")
	own := logReader(s.path("hops.log"), time.Microsecond)
	return []hop{
		{name: "modwsgi", front: front, protocol: "mod_wsgi", service: "apache2", local: "unix:" + s.path("wsgi"), logged: own, judge: s.byEvents},
		{name: "fcgid", front: front, protocol: "fastcgi", service: "php-cgi", local: "unix:" + s.path("fcgid"), logged: own, judge: within},
		{name: "proxyfcgi", front: front, protocol: "fastcgi", service: "php-fpm:proxied", local: fpm, logged: own, judge: within},
	}
}

// event holds what mod_wsgi reports about a request, in seconds of the wall
// clock.
type event struct {
	ID     string  `json:"request_id"`
	Event  string  `json:"event"`
	URI    string  `json:"uri"`
	Queue  float64 `json:"queue_start"`
	Daemon float64 `json:"daemon_start"`
	Start  float64 `json:"application_start"`
	Finish float64 `json:"application_finish"`
	Output float64 `json:"output_time"`
}

// byEvents compares all four phases with mod_wsgi's own events. The front end
// connects at queue_start. The daemon has accepted at daemon_start and read the
// request at application_start. The application runs until it passes on its
// response, which takes output_time. application_finish comes right after.
func (s *site) byEvents(t *testing.T, pairs []pair) {
	events := s.events(t)
	var queue, parse, app, writeBack []time.Duration
	seconds := func(s float64) int64 { return int64(s * 1e9) }
	for _, p := range pairs {
		e, ok := events[p.Path]
		if !assert.True(t, ok, "no events of %s", p.Path) {
			continue
		}
		queue = append(queue, time.Duration(value(p.Queue)-seconds(e.Daemon-e.Queue)))
		parse = append(parse, time.Duration(value(p.Parse)-seconds(e.Start-e.Daemon)))
		app = append(app, time.Duration(value(p.App)-seconds(e.Finish-e.Start-e.Output)))
		writeBack = append(writeBack, time.Duration(value(p.WriteBack)-seconds(e.Output)))
	}
	const most = time.Millisecond
	spread(t, "queue", queue, -most, most)
	spread(t, "parse", parse, -most, most)
	spread(t, "app", app, -most, most)
	spread(t, "write_back", writeBack, -most, most)
}

// events reads the events that the processes of the daemon recorded, by path.
func (s *site) events(t *testing.T) map[string]event {
	t.Helper()
	files, _ := filepath.Glob(s.path("events.*"))
	all := make(map[string]event)
	for _, file := range files {
		f, err := os.Open(file)
		require.NoError(t, err)
		begun := make(map[string]event)
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var e event
			require.NoError(t, json.Unmarshal(lines.Bytes(), &e), "event %q", lines.Bytes())
			switch e.Event {
			case "request_started":
				begun[e.ID] = e
			case "request_finished":
				b := begun[e.ID]
				b.Finish, b.Output = e.Finish, e.Output
				path, _, _ := strings.Cut(b.URI, "?")
				all[path] = b
			}
		}
		_ = f.Close()
	}
	return all
}

const apachePassenger = `
LoadModule passenger_module /usr/lib/apache2/modules/mod_passenger.so
PassengerRoot /usr/lib/ruby/vendor_ruby/phusion_passenger/locations.ini
PassengerInstanceRegistryDir DIR
PassengerPython /usr/bin/python3
PassengerDisableSecurityUpdateCheck on
PassengerDisableAnonymousTelemetry on
PassengerUserSwitching off
PassengerMaxPoolSize %[1]d
PassengerMinInstances %[1]d
PassengerPoolIdleTime 0
DocumentRoot DIR/passenger/public
<Directory DIR/passenger/public>
	PassengerEnabled on
	PassengerAppRoot DIR/passenger
	PassengerAppType wsgi
	PassengerStartupFile passenger_wsgi.py
</Directory>
`

// behindPassenger starts another Apache with Passenger.
func (s *site) behindPassenger(t *testing.T) []hop {
	t.Helper()
	front := harness.FreeAddress(t)
	s.write(t, "passenger.conf", fmt.Sprintf(apacheFrame, "passenger", front)+fmt.Sprintf(apachePassenger, workers))
	s.start(t, front, harness.Installed(t, "apache2"), "-D", "FOREGROUND", "-f", "DIR/passenger.conf")
	return []hop{{name: "passenger", front: front, protocol: "passenger", service: "passenger", local: "unix:", noMarker: true,
		logged: logReader(s.path("passenger.log"), time.Microsecond), judge: within}}
}
