package interpolate

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Variable is the chosen value of a dashboard variable.
type Variable struct {
	Values []string
	Multi  bool   // several values can be chosen, or all
	All    string // the value that stands for all; chosen if Values is empty
}

// Choice holds everything that a query depends on.
type Choice struct {
	Variables map[string]Variable
	Range     time.Duration // of the dashboard
	Scrape    time.Duration // the data source's interval
	Width     int           // of the panel, in points
}

// variable matches $name, ${name} and ${name:format}.
var variable = regexp.MustCompile(`\$(?:\{(\w+(?:\.\w+)*)(?::(\w+))?\}|(\w+))`)

// Names lists the variables in a text, in order.
func Names(text string) (names []string) {
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1]+m[3])
	}
	return names
}

// PromQL replaces the variables of a query for Prometheus.
func (c Choice) PromQL(query string) (string, error) { return c.fill(query, promQL) }

// TraceQL replaces the variables of a query for Tempo.
func (c Choice) TraceQL(query string) (string, error) { return c.fill(query, pipe) }

func (c Choice) fill(query string, format func(Variable) string) (string, error) {
	var missing []string
	filled := variable.ReplaceAllStringFunc(query, func(match string) string {
		name := Names(match)[0]
		if value, ok := c.builtIn(name); ok {
			return value
		}
		v, ok := c.Variables[name]
		if !ok {
			missing = append(missing, name)
			return match
		}
		return format(v)
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("no variable %s in %s", strings.Join(missing, ", "), query)
	}
	return filled, nil
}

// Interval returns the time between two points of a graph.
func (c Choice) Interval() time.Duration {
	return max((c.Range / time.Duration(c.Width)).Round(time.Second), c.Scrape)
}

// builtIn returns the value of a variable that Grafana defines itself.
func (c Choice) builtIn(name string) (string, bool) {
	switch name {
	case "__interval":
		return promDuration(c.Interval()), true
	case "__rate_interval":
		return promDuration(max(c.Interval()+c.Scrape, 4*c.Scrape)), true
	case "__range":
		return promDuration(c.Range), true
	case "__range_s":
		return strconv.Itoa(int(c.Range.Seconds())), true
	}
	return "", false
}

func promDuration(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) + "s" }

// special matches the characters that Grafana escapes in values that become
// part of a regular expression. The first escape is for the expression, the
// second for the string that contains it.
var special = regexp.MustCompile(`[$^*{}\[\]'+?.()|]`)

func promQL(v Variable) string {
	if len(v.Values) == 0 {
		return v.All
	}
	if !v.Multi {
		return strings.NewReplacer(`\`, `\\`, `'`, `\\'`).Replace(v.Values[0])
	}
	escaped := make([]string, len(v.Values))
	for i, value := range v.Values {
		escaped[i] = special.ReplaceAllString(strings.ReplaceAll(value, `\`, `\\\\`), `\\$0`)
	}
	if len(escaped) == 1 {
		return escaped[0]
	}
	return "(" + strings.Join(escaped, "|") + ")"
}

func pipe(v Variable) string {
	if len(v.Values) == 0 {
		return v.All
	}
	return strings.Join(v.Values, "|")
}
