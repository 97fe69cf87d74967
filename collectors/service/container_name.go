package service

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// DockerRoot is where Docker keeps what it knows about its containers.
const DockerRoot = "/var/lib/docker"

// DockerNames returns a look-up of container names in Docker's own records
// below root: the Compose project and service where there are any, since all
// replicas share them, else the container's name. The look-up returns the
// empty string for a container that Docker does not know.
func DockerNames(root string) func(id string) string {
	return func(id string) string {
		if len(id) != 64 {
			return "" // named by something else than Docker
		}
		raw, err := os.ReadFile(filepath.Join(root, "containers", id, "config.v2.json"))
		if err != nil {
			return ""
		}
		var record struct {
			Name   string
			Config struct{ Labels map[string]string }
		}
		if json.Unmarshal(raw, &record) != nil {
			return ""
		}
		project := record.Config.Labels["com.docker.compose.project"]
		service := record.Config.Labels["com.docker.compose.service"]
		if project != "" && service != "" {
			return project + "-" + service
		}
		return strings.TrimPrefix(record.Name, "/")
	}
}
