package marker

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Marker is a function that a server enters once per request, when it calls
// the application. Globs are separated by |.
type Marker struct {
	Server  string // whose application is called
	Program string // globs over the name of the process's executable
	File    string // globs over the name of the file that holds the function
	Symbol  string
	// Rank orders the markers that one request passes: that of the highest
	// rank is nearest to the application.
	Rank uint8
	// Costly markers cost 2 µs of a request or more, or say nothing that is
	// worth their cost. They are used only when asked for.
	Costly bool
}

// Table lists the markers that are known. docs/phases.md has their costs.
var Table = []Marker{
	{Server: "refserver", Program: "refserver*", File: "refserver*", Symbol: "lapwing/cmd/refserver/app.Serve", Rank: 1},
	{Server: "uWSGI", Program: "uwsgi*", File: "python*_plugin.so|uwsgi*", Symbol: "python_call", Rank: 1},
	{Server: "Apache", Program: "apache2|httpd", File: "apache2|httpd", Symbol: "ap_invoke_handler", Rank: 1},
	{Server: "mod_wsgi", Program: "apache2|httpd", File: "mod_wsgi*", Symbol: "wsgi_start_request", Rank: 2},
	{Server: "mod_php", Program: "apache2|httpd", File: "libphp*.so", Symbol: "php_execute_script", Rank: 2},
	{Server: "php", Program: "php-fpm*|php-cgi*", File: "php-fpm*|php-cgi*", Symbol: "php_execute_script", Rank: 1},
	// nginx has no application of its own to tell from the server.
	{Server: "nginx", Program: "nginx", File: "nginx", Symbol: "ngx_http_handler", Rank: 1, Costly: true},
}

// Mode says which markers are used.
type Mode string

// The modes.
const (
	Auto Mode = "auto" // those that are worth their cost
	On   Mode = "on"   // all
	Off  Mode = "off"
)

// ParseMode turns a flag's value into a mode.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(strings.ToLower(s)); m {
	case Auto, On, Off:
		return m, nil
	}
	return "", fmt.Errorf("unknown value %q for markers: use auto, on or off", s)
}

// Uses reports whether the marker is used in this mode.
func (m Mode) Uses(marker Marker) bool { return m == On || m != Off && !marker.Costly }

// markers lists the markers of the mode.
func (m Mode) markers() []Marker {
	return slices.DeleteFunc(slices.Clone(Table), func(marker Marker) bool { return !m.Uses(marker) })
}

// knows reports whether one of the markers is for this program.
func knows(markers []Marker, exe string) bool {
	return slices.ContainsFunc(markers, func(m Marker) bool { return glob(m.Program, path.Base(exe)) })
}

// in reports whether the file of a process of that program can hold the
// marker, by their names.
func (m Marker) in(program, file string) bool {
	return glob(m.Program, program) && glob(m.File, file)
}

// glob is path.Match for one of several patterns. Those of the table are
// valid.
func glob(patterns, name string) bool {
	for pattern := range strings.SplitSeq(patterns, "|") {
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}
