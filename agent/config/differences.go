package config

import "reflect"

// Differences lists the keys whose values differ, in the order of the example
// file. A list counts as one key.
func Differences(a, b Config) []string {
	return differences(root, reflect.ValueOf(a), reflect.ValueOf(b))
}

func differences(s *schema, a, b reflect.Value) (keys []string) {
	if !s.group() || a.Kind() == reflect.Pointer {
		if !reflect.DeepEqual(a.Interface(), b.Interface()) {
			keys = append(keys, s.Path)
		}
		return keys
	}
	at := 0 // fields without a key have no schema
	for i := range s.typ.NumField() {
		if s.typ.Field(i).Tag.Get("koanf") == "" {
			continue
		}
		keys = append(keys, differences(s.fields[at], a.Field(i), b.Field(i))...)
		at++
	}
	return keys
}
