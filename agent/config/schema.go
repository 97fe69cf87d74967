package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// EnvPrefix is the prefix of the environment variables that set keys.
const EnvPrefix = "LAPWING_"

// Key describes one key of the configuration.
type Key struct {
	Path    string // probes.head_bytes; services[].name for a key of a list's entries
	Type    string // duration, size, list of port numbers, …
	Default string // as YAML; empty within the entries of a list
	Example string // as YAML; may be empty
	Doc     string
	Env     string // the variable that sets it; empty if none can
}

// schema is a Key and the keys below it.
type schema struct {
	Key
	name   string
	typ    reflect.Type // without pointers
	fields []*schema    // of a group
	entry  *schema      // of a list
}

func (s *schema) group() bool { return s.typ.Kind() == reflect.Struct }
func (s *schema) list() bool  { return s.typ.Kind() == reflect.Slice }
func (s *schema) dict() bool  { return s.typ.Kind() == reflect.Map }

// root is the schema of Config.
var root = newSchema("", "", reflect.ValueOf(Default()))

// Keys lists the keys in the order of the example file, without groups.
func Keys() []Key {
	var keys []Key
	root.walk(func(s *schema) {
		if !s.group() {
			keys = append(keys, s.Key)
		}
	})
	return keys
}

// walk visits everything below s, an element before its contents.
func (s *schema) walk(visit func(*schema)) {
	for _, f := range s.fields {
		visit(f)
		f.walk(visit)
	}
	if s.entry != nil {
		s.entry.walk(visit)
	}
}

// newSchema describes the key at path, whose default is v.
func newSchema(path, name string, v reflect.Value) *schema {
	t := v.Type()
	if t.Kind() == reflect.Pointer {
		t, v = t.Elem(), reflect.Value{}
	}
	s := &schema{Key: Key{Path: path, Type: typeName(t)}, name: name, typ: t}
	switch {
	case s.group():
		s.addFields(v)
	case s.list():
		s.entry = newSchema(path+"[]", "", reflect.Zero(t.Elem()))
	}
	if inEntry := strings.Contains(path, "[]"); !inEntry && v.IsValid() && !s.group() {
		s.Default = yamlText(v)
		if !s.dict() && (!s.list() || !s.entry.group()) {
			s.Env = EnvPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
		}
	}
	return s
}

func (s *schema) addFields(v reflect.Value) {
	for i := range s.typ.NumField() {
		field := s.typ.Field(i)
		name := field.Tag.Get("koanf")
		if name == "" {
			continue
		}
		f := newSchema(strings.TrimPrefix(s.Path+"."+name, "."), name, v.Field(i))
		f.Doc, f.Example = field.Tag.Get("doc"), field.Tag.Get("example")
		if note, ok := notes[f.Path]; ok {
			f.Doc, f.Example = note.doc, note.example
		}
		s.fields = append(s.fields, f)
	}
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	bytesType    = reflect.TypeFor[Bytes]()
)

// typeName describes in words what a key accepts.
func typeName(t reflect.Type) string {
	switch {
	case t == durationType:
		return "duration"
	case t == bytesType:
		return "size"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Uint16:
		return "port number"
	case reflect.Int, reflect.Uint32:
		return "whole number"
	case reflect.Float64:
		return "number"
	case reflect.String:
		return "text"
	case reflect.Slice:
		return "list of " + strings.Replace(typeName(t.Elem()), "number", "numbers", 1)
	case reflect.Map:
		return "group of " + typeName(t.Elem())
	case reflect.Struct:
		return "group"
	}
	panic(fmt.Sprintf("config: no key can be of type %v", t))
}

// yamlText returns a default as the example file shows it, on one line.
func yamlText(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.Slice && v.Len() == 0:
		return "[]"
	case v.Kind() == reflect.Map && v.Len() == 0:
		return "{}"
	case v.Type() == durationType:
		return shortDuration(time.Duration(v.Int()))
	case v.Type() == bytesType:
		return Bytes(v.Int()).String()
	}
	raw, err := yaml.Marshal(v.Interface())
	if err != nil {
		panic(fmt.Sprintf("config: default of type %v: %v", v.Type(), err))
	}
	return strings.TrimSpace(string(raw))
}

// shortDuration leaves out zero minutes and seconds: 5m, not 5m0s.
func shortDuration(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = strings.TrimSuffix(text, zero[1:])
		}
	}
	return text
}
