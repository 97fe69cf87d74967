package marker

import (
	"fmt"
	"strings"

	"lapwing/probes/uprobe"
)

// Marker is a function that a server enters once per request, when it calls the
// application. Globs are separated by |.
type Marker struct {
	Server  string // whose application is called
	Program string // globs over the name of the process's executable
	File    string // globs over the name of the file that holds the function
	Symbol  string
	// Rank orders the markers that one request passes. The marker of the highest rank
	// is nearest to the application.
	Rank uint8
	// Costly markers cost 2 µs or more per request, or their benefit is not worth
	// their cost. They are used only on request.
	Costly bool
}

// Table lists the known markers. docs/phases.md has their costs.
var Table = []Marker{
	{Server: "refserver", Program: "refserver*", File: "refserver*", Symbol: "lapwing/cmd/refserver/app.Serve", Rank: 1},
	{Server: "uWSGI", Program: "uwsgi*", File: "python*_plugin.so|uwsgi*", Symbol: "python_call", Rank: 1},
	{Server: "Apache", Program: "apache2|httpd", File: "apache2|httpd", Symbol: "ap_invoke_handler", Rank: 1},
	{Server: "mod_wsgi", Program: "apache2|httpd", File: "mod_wsgi*", Symbol: "wsgi_start_request", Rank: 2},
	{Server: "mod_php", Program: "apache2|httpd", File: "libphp*.so", Symbol: "php_execute_script", Rank: 2},
	{Server: "php", Program: "php-fpm*|php-cgi*", File: "php-fpm*|php-cgi*", Symbol: "php_execute_script", Rank: 1},
	// nginx has no application of its own to distinguish from the server.
	{Server: "nginx", Program: "nginx", File: "nginx", Symbol: "ngx_http_handler", Rank: 1, Costly: true},
}

// Mode selects which markers are used.
type Mode string

// The modes.
const (
	Auto Mode = "auto" // those that are worth their cost
	On   Mode = "on"   // all
	Off  Mode = "off"
)

// ParseMode parses the value of a flag.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(strings.ToLower(s)); m {
	case Auto, On, Off:
		return m, nil
	}
	return "", fmt.Errorf("unknown value %q for markers: use auto, on or off", s)
}

// Uses reports whether the marker is used in this mode.
func (m Mode) Uses(marker Marker) bool { return m == On || m != Off && !marker.Costly }

// functions lists the functions of the mode's markers.
func (m Mode) functions() []uprobe.Function {
	var all []uprobe.Function
	for _, marker := range Table {
		if m.Uses(marker) {
			all = append(all, marker.function(m))
		}
	}
	return all
}

// function returns the marker's function. Its cookie is the rank.
func (m Marker) function(mode Mode) uprobe.Function {
	return uprobe.Function{
		Of: m.Server, Program: m.Program, File: m.File, Symbol: m.Symbol,
		Cookie: uint64(m.Rank), Anywhere: mode == On,
	}
}
