package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lapwing/cmd/refserver/config"
	"lapwing/cmd/refserver/daemon"
	"lapwing/cmd/refserver/evented"
	"lapwing/cmd/refserver/front"
	"lapwing/cmd/refserver/prefork"
	"lapwing/cmd/refserver/reader"
	"lapwing/cmd/refserver/serial"
	"lapwing/cmd/refserver/threaded"
)

// version is set by the linker.
var version = "unknown"

// architecture is one kind of server.
type architecture struct {
	name   string
	stands string // the servers that it represents
	run    func(config.Config) error
}

var architectures = []architecture{
	{"serial", "development servers: wsgiref, Django's runserver", serial.Run},
	{"prefork", "gunicorn sync, uWSGI processes, Apache prefork", prefork.Run},
	{"threaded", "CherryPy, Paste, Apache worker, uWSGI threads", threaded.Run},
	{"reader", "waitress", reader.Run},
	{"evented", "nginx, Tornado", evented.Run},
	{"front", "nginx, lighttpd as a front end", front.Run},
	{"daemon", "mod_wsgi daemon mode, FastCGI and uwsgi application servers", daemon.Run},
}

func command() *cobra.Command {
	var cfg config.Config
	cmd := &cobra.Command{
		Use:           "refserver --arch ARCH",
		Short:         "A small web server of the chosen architecture that records the truth about its requests",
		Long:          long(),
		Example:       "  refserver --arch prefork --listen 127.0.0.1:8080 --workers 4 --truth truth.jsonl",
		Version:       version,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(*cobra.Command, []string) error { return run(cfg) },
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Arch, "arch", "", "architecture: "+strings.Join(names(), ", "))
	f.StringVar(&cfg.Listen, "listen", "127.0.0.1:8080", "address: 127.0.0.1:8080, [::1]:8080 or unix:/path; port 0 takes a free one")
	f.IntVar(&cfg.Workers, "workers", 4, "worker processes, or threads where there is one process")
	f.IntVar(&cfg.Threads, "threads", 1, "prefork, daemon: threads per worker process")
	f.IntVar(&cfg.Backlog, "backlog", 511, "length of the listen backlog")
	f.DurationVar(&cfg.KeepAlive, "keepalive", 5*time.Second, "how long a silent connection is kept; 0 closes after each response")
	f.StringVar(&cfg.Truth, "truth", "", "file that takes one JSON line per request")
	f.StringVar(&cfg.Protocol, "protocol", "http", "daemon: protocol to speak: http, fastcgi, uwsgi, scgi")
	f.StringVar(&cfg.Upstream, "upstream", "", "front: server to pass requests to: http://127.0.0.1:9000, fastcgi://unix:/path; also uwsgi, scgi")
	return cmd
}

func run(cfg config.Config) error {
	i := slices.IndexFunc(architectures, func(a architecture) bool { return a.name == cfg.Arch })
	if i < 0 {
		return fmt.Errorf("unknown architecture %q: choose one of %s with --arch", cfg.Arch, strings.Join(names(), ", "))
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	return architectures[i].run(cfg)
}

func names() []string {
	var list []string
	for _, a := range architectures {
		list = append(list, a.name)
	}
	return list
}

func long() string {
	var b strings.Builder
	b.WriteString("refserver serves one application by one of several architectures:\n\n")
	for _, a := range architectures {
		fmt.Fprintf(&b, "  %-9s as %s\n", a.name, a.stands)
	}
	b.WriteString("\nOnce it is ready it prints \"listening on ADDRESS\" on standard output.\n" +
		"SIGTERM and SIGINT end it, after the requests in progress.")
	return b.String()
}
