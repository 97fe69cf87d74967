package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The identifiers of the dashboards, which links use.
const (
	uidWhere   = "lapwing-where"
	uidService = "lapwing-service"
	uidWorkers = "lapwing-workers"
	uidRequest = "lapwing-request"
	uidAgent   = "lapwing-agent"
)

const tag = "lapwing"

// schemaVersion is that of Grafana 11.0. Newer versions migrate it.
const schemaVersion = 39

// All returns the dashboards in reading order.
func All() []*Dashboard {
	return []*Dashboard{whereTheTimeGoes(), service(), workerPools(), oneRequest(), agentHealth()}
}

func newDashboard(uid, title, description string, variables []Variable, blocks ...block) *Dashboard {
	d := &Dashboard{
		UID: uid, Title: title, Description: description, Tags: []string{tag},
		SchemaVersion: schemaVersion, Editable: true, GraphTooltip: 1, Timezone: "browser", Refresh: "30s",
		Links: []DashboardLink{{
			Type: "dashboards", Title: "Lapwing", Icon: "external link", Tooltip: "The other dashboards, for the same time range and services",
			Tags: []string{tag}, AsDropdown: true, IncludeVars: true, KeepTime: true,
		}},
		Panels: place(blocks),
	}
	d.Time.From, d.Time.To = "now-1h", "now"
	d.Templating.List = variables
	return d
}

// JSON returns the dashboard as JSON for import into Grafana.
func (d *Dashboard) JSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return nil, fmt.Errorf("dashboard %s: %w", d.UID, err)
	}
	return b.Bytes(), nil
}
