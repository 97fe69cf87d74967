package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	yamlparser "github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v3"
)

// Flag is a key that a flag of the command line sets.
type Flag struct {
	Name  string // as typed: --head-bytes
	Key   string // probes.head_bytes
	Value any
}

// Source names the sources of a configuration.
type Source struct {
	File    string   // YAML file; empty reads none
	Environ []string // as os.Environ returns it
	Flags   []Flag   // only the flags that were given
}

// loader collects the layers of a configuration.
type loader struct {
	checker
	k *koanf.Koanf
}

// Load reads a configuration and checks it. If values are wrong, the error is
// of type Problems.
func Load(src Source) (Config, error) {
	l := loader{
		checker: checker{file: src.File, where: map[string]string{}},
		k:       koanf.New("."),
	}
	if src.File != "" {
		if err := l.loadFile(src.File); err != nil {
			return Config{}, err
		}
	}
	if err := l.loadVariables(src.Environ); err != nil {
		return Config{}, err
	}
	if err := l.loadFlags(src.Flags); err != nil {
		return Config{}, err
	}
	if err := l.problems.err(); err != nil {
		return Config{}, err
	}
	return l.finish()
}

func (l *loader) loadFile(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		// The error from package os names the file.
		return fmt.Errorf("read the configuration: %w ('lapwing config example' prints an example)", err)
	}
	if err := l.checkDocument(raw); err != nil || len(l.problems) > 0 {
		return err
	}
	if err := l.k.Load(rawbytes.Provider(raw), yamlparser.Parser()); err != nil {
		return fmt.Errorf("read the configuration %s: %w", file, err)
	}
	return nil
}

// checkDocument checks the single document that a file may contain.
func (l *loader) checkDocument(raw []byte) error {
	// First decode into plain values. That refuses what the tree would accept,
	// such as aliases that contain themselves.
	if err := yaml.Unmarshal(raw, new(any)); err != nil {
		return l.syntax(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil // only comments
	} else if err != nil {
		return l.syntax(err)
	}
	l.value(document.Content[0], root, "")
	var next yaml.Node
	if err := decoder.Decode(&next); err == nil {
		l.report(&next, "", "the file has a second YAML document: use only one")
	}
	return nil
}

// syntax turns an error of the YAML library into one line that names the file.
// It also names the line if the library does: the library omits the number of
// line 1.
func (l *loader) syntax(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.Join(strings.Fields(strings.TrimPrefix(text, "unmarshal errors:")), " ")
	if line, rest, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(line, "line ") {
		return Problems{{Where: l.file + ":" + strings.TrimPrefix(line, "line "), Text: "not valid YAML: " + rest}}
	}
	return Problems{{Where: l.file, Text: "not valid YAML: " + text}}
}

// loadVariables reads the LAPWING_* variables that name a key. An empty one
// counts as not set.
func (l *loader) loadVariables(environ []string) error {
	known := variables()
	provider := env.Provider(".", env.Opt{
		Prefix:      EnvPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			s := known[name]
			if s == nil || strings.TrimSpace(value) == "" {
				return "", nil
			}
			return s.Path, l.variable(name, value, s)
		},
	})
	if err := l.k.Load(provider, nil); err != nil {
		return fmt.Errorf("read the environment: %w", err)
	}
	return nil
}

// variable checks the value of a variable. The values of a list are separated
// by commas.
func (l *loader) variable(name, value string, s *schema) any {
	l.where[s.Path] = name
	texts, each := []string{value}, s
	if s.list() {
		texts, each = strings.Split(value, ","), s.entry
	}
	for i, text := range texts {
		texts[i] = strings.TrimSpace(text)
		n := &yaml.Node{Kind: yaml.ScalarNode, Value: texts[i]}
		if err := checkScalar(n, each); err != nil {
			l.problems = append(l.problems, Problem{Where: name, Key: s.Path, Text: err.Error()})
		}
	}
	if s.list() {
		return texts
	}
	return texts[0]
}

func (l *loader) loadFlags(flags []Flag) error {
	values := map[string]any{}
	for _, f := range flags {
		values[f.Key] = f.Value
		l.where[f.Key] = f.Name
	}
	if err := l.k.Load(confmap.Provider(values, "."), nil); err != nil {
		return fmt.Errorf("read the flags: %w", err)
	}
	return nil
}

// finish applies the layers to the defaults and checks the result.
func (l *loader) finish() (Config, error) {
	cfg := Default()
	err := l.k.UnmarshalWithConf("", &cfg, koanf.UnmarshalConf{
		DecoderConfig: &mapstructure.DecoderConfig{
			Result:           &cfg,
			TagName:          "koanf",
			WeaklyTypedInput: true,
			ErrorUnused:      true,
			DecodeHook: mapstructure.ComposeDecodeHookFunc(
				mapstructure.StringToTimeDurationHookFunc(),
				mapstructure.TextUnmarshallerHookFunc(),
			),
		},
	})
	if err != nil {
		// The earlier checks leave nothing that can fail here.
		return Config{}, fmt.Errorf("read the configuration: %s", strings.Join(strings.Fields(err.Error()), " "))
	}
	problems := Validate(cfg)
	for i := range problems {
		problems[i].Where = l.whereIs(problems[i].Key)
	}
	return cfg, problems.err()
}

// whereIs returns where a key was set, or the nearest group or list that
// contains it.
func (l *loader) whereIs(key string) string {
	for key != "" {
		if where, ok := l.where[key]; ok {
			return where
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return l.file
}
