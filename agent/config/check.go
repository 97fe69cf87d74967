package config

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v3"
)

// checker compares a YAML tree with the schema. It collects the problems and
// remembers the line of each key, for problems that are found later.
type checker struct {
	file     string
	problems Problems
	where    map[string]string
}

func (c *checker) report(n *yaml.Node, path, format string, args ...any) {
	c.problems = append(c.problems, Problem{
		Where: fmt.Sprintf("%s:%d", c.file, n.Line),
		Key:   path,
		Text:  fmt.Sprintf(format, args...),
	})
}

// value checks n against s. An empty value means the default.
func (c *checker) value(n *yaml.Node, s *schema, path string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	c.where[path] = fmt.Sprintf("%s:%d", c.file, n.Line)
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
	case s.group():
		c.fields(n, s, path)
	case s.list():
		c.entries(n, s, path)
	case s.dict():
		if n.Kind != yaml.MappingNode {
			c.report(n, path, "expected a mapping, for example %s", s.Example)
		}
	case n.Kind != yaml.ScalarNode:
		c.report(n, path, "expected a single value (%s)%s", s.Type, like(s.Example))
	default:
		if err := checkScalar(n, s); err != nil {
			c.report(n, path, "%v", err)
		}
	}
}

func (c *checker) entries(n *yaml.Node, s *schema, path string) {
	if n.Kind != yaml.SequenceNode {
		c.report(n, path, "expected a %s%s", s.Type, like(s.Example))
		return
	}
	for i, entry := range n.Content {
		c.value(entry, s.entry, fmt.Sprintf("%s[%d]", path, i))
	}
}

// fields checks the keys of a group, including those of YAML's merge key.
func (c *checker) fields(n *yaml.Node, s *schema, path string) {
	if n.Kind != yaml.MappingNode {
		c.report(n, path, "expected a mapping with the keys %s", strings.Join(names(s.fields), ", "))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		full := strings.TrimPrefix(path+"."+key.Value, ".")
		if key.Tag == "!!merge" {
			c.value(value, s, path)
			continue
		}
		at := slices.IndexFunc(s.fields, func(f *schema) bool { return f.name == key.Value })
		if at < 0 {
			c.report(key, full, "unknown key%s", suggest(s, key.Value))
			continue
		}
		c.value(value, s.fields[at], full)
	}
}

func names(fields []*schema) []string {
	var all []string
	for _, f := range fields {
		all = append(all, f.name)
	}
	return all
}

// suggest returns the key that was probably meant: one of the same group with a
// similar name, or one of the same name elsewhere.
func suggest(group *schema, name string) string {
	best, distance := "", 1+max(2, len(name)/3)
	for _, known := range names(group.fields) {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), known); d < distance {
			best, distance = known, d
		}
	}
	if best != "" {
		return fmt.Sprintf(": did you mean %s?", best)
	}
	var elsewhere []string
	root.walk(func(s *schema) {
		if s.name == name {
			elsewhere = append(elsewhere, s.Path)
		}
	})
	switch {
	case len(elsewhere) > 0:
		return fmt.Sprintf(": did you mean %s?", strings.Join(elsewhere, " or "))
	case len(group.fields) > 0:
		return fmt.Sprintf(": known here are %s", strings.Join(names(group.fields), ", "))
	}
	return ""
}

// checkScalar returns why a single value does not fit a key: the value, what is
// expected, and an example.
func checkScalar(n *yaml.Node, s *schema) error {
	var err error
	want := "a " + s.Type
	switch {
	case s.typ == durationType:
		_, err = time.ParseDuration(n.Value)
		want = "a duration (a number with a unit: ms, s, m, h)"
	case s.typ == bytesType:
		err = new(Bytes).UnmarshalText([]byte(n.Value))
	case s.typ.Kind() == reflect.String:
	case s.typ.Kind() == reflect.Uint16:
		err = checkRange(n, 1, math.MaxUint16)
		want = "a port number (1 to 65535)"
	case s.typ.Kind() == reflect.Uint32:
		err = checkRange(n, 1, math.MaxInt32)
		want = "a process ID"
	case s.typ.Kind() == reflect.Int:
		err = checkRange(n, math.MinInt32, math.MaxInt32)
	case s.typ.Kind() == reflect.Bool:
		err = n.Decode(new(bool))
		want = s.Type
	default:
		err = n.Decode(reflect.New(s.typ).Interface())
	}
	if err != nil {
		return fmt.Errorf("%q is not %s%s", n.Value, want, like(s.example()))
	}
	return nil
}

func checkRange(n *yaml.Node, low, high int64) error {
	v, err := strconv.ParseInt(n.Value, 10, 64)
	if err == nil && (v < low || v > high) {
		err = strconv.ErrRange
	}
	return err
}

// example returns a value of the key. For an entry of a list it is that of the
// list.
func (s *schema) example() string {
	if s.Example == "" {
		return s.Default
	}
	return s.Example
}

func like(example string) string {
	if example == "" {
		return ""
	}
	return ", for example " + example
}

// variables returns a map from each environment variable to the key that it
// sets.
func variables() map[string]*schema {
	all := map[string]*schema{}
	root.walk(func(s *schema) {
		if s.Env != "" {
			all[s.Env] = s
		}
	})
	return all
}

// IgnoredVariables lists the LAPWING_* variables that set nothing, sorted.
func IgnoredVariables(environ []string) []string {
	known := variables()
	ignored := map[string]bool{}
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, EnvPrefix) && known[name] == nil {
			ignored[name] = true
		}
	}
	return slices.Sorted(maps.Keys(ignored))
}

// NearVariable returns the variable that was probably meant by one that sets
// nothing. It is empty if no name is similar.
func NearVariable(name string) string {
	best, distance := "", 5
	for _, known := range slices.Sorted(maps.Keys(variables())) {
		if d := levenshtein.ComputeDistance(name, known); d < distance {
			best, distance = known, d
		}
	}
	return best
}
