package packaging

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"lapwing/agent/config"
)

// manifest is the part of the objects that the tests check.
type manifest struct {
	Kind string
	Data map[string]string
	Spec struct {
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
	}
}

type pod struct {
	HostPID      bool  `yaml:"hostPID"`
	HostNetwork  bool  `yaml:"hostNetwork"`
	Token        *bool `yaml:"automountServiceAccountToken"`
	Containers   []container
	Volumes      []volume
	GraceSeconds int `yaml:"terminationGracePeriodSeconds"`
}

type container struct {
	Args            []string
	SecurityContext struct {
		Privileged   *bool
		Escalation   *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnly     *bool `yaml:"readOnlyRootFilesystem"`
		Capabilities struct{ Add, Drop []string }
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		Name, MountPath string
		ReadOnly        bool `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type volume struct {
	Name      string
	ConfigMap *struct{ Name string }       `yaml:"configMap"`
	HostPath  *struct{ Path, Type string } `yaml:"hostPath"`
}

func objects(t *testing.T) map[string]manifest {
	t.Helper()
	raw, err := os.ReadFile("kubernetes/lapwing.yaml")
	require.NoError(t, err)
	all := map[string]manifest{}
	for d := yaml.NewDecoder(bytes.NewReader(raw)); ; {
		var m manifest
		err := d.Decode(&m)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all[m.Kind] = m
	}
}

// TestDaemonSet checks that the DaemonSet matches the systemd unit: it has the
// same capabilities, and no more access to the host than the probes and the
// names of workers need.
func TestDaemonSet(t *testing.T) {
	set := objects(t)["DaemonSet"].Spec
	assert.Equal(t, set.Selector.MatchLabels, set.Template.Metadata.Labels)
	pod := set.Template.Spec
	assert.True(t, pod.HostPID && pod.HostNetwork)
	assert.False(t, *pod.Token)
	assert.GreaterOrEqual(t, pod.GraceSeconds, 10, "the agent drains within 5 seconds")
	require.Len(t, pod.Containers, 1)
	c := pod.Containers[0]
	assert.False(t, *c.SecurityContext.Privileged || *c.SecurityContext.Escalation)
	assert.True(t, *c.SecurityContext.ReadOnly)
	assert.Equal(t, []string{"ALL"}, c.SecurityContext.Capabilities.Drop)
	// Without NoNewPrivileges=, emptying the bounding set needs one more
	// capability.
	assert.ElementsMatch(t, append(unitCapabilities(t), "SETPCAP"), c.SecurityContext.Capabilities.Add)

	for _, m := range c.VolumeMounts {
		assert.True(t, m.ReadOnly, m.Name)
		assert.True(t, slices.ContainsFunc(pod.Volumes, func(v volume) bool { return v.Name == m.Name }), m.Name)
	}
	var paths []string
	for _, v := range pod.Volumes {
		if v.HostPath != nil {
			paths = append(paths, v.HostPath.Path)
		}
	}
	assert.Equal(t, []string{"/sys/kernel/btf", "/sys/kernel/tracing"}, paths)
}

func unitCapabilities(t *testing.T) (names []string) {
	t.Helper()
	raw, err := os.ReadFile("lapwing.service")
	require.NoError(t, err)
	line := regexp.MustCompile(`(?m)^CapabilityBoundingSet=(.*)$`).FindSubmatch(raw)
	require.NotNil(t, line)
	for _, name := range strings.Fields(string(line[1])) {
		names = append(names, strings.TrimPrefix(name, "CAP_"))
	}
	return names
}

// TestConfigurationOfDaemonSet loads the configuration in the manifest as the
// agent does.
func TestConfigurationOfDaemonSet(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lapwing.yaml")
	require.NoError(t, os.WriteFile(file, []byte(objects(t)["ConfigMap"].Data["lapwing.yaml"]), 0o600))
	c, err := config.Load(config.Source{File: file})
	require.NoError(t, err)
	assert.Equal(t, "http://lapwing-collector.lapwing.svc:4317", c.Export.OTLP.Endpoint)
}
