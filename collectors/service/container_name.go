package service

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// DockerRoot is the directory in which Docker stores the records of its containers.
const DockerRoot = "/var/lib/docker"

// DockerNames returns a function that finds the name of a container in Docker's own
// records below root. The name consists of the Compose project and service, if
// there are any, because all replicas share them. Otherwise it is the container's
// name. The function returns the empty string for a container that Docker does not
// know.
func DockerNames(root string) func(id string) string {
	return func(id string) string {
		if len(id) != 64 {
			return "" // the id is not from Docker
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
