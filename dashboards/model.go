package dashboards

// Dashboard is one dashboard in Grafana's JSON model.
type Dashboard struct {
	UID           string   `json:"uid"`
	Title         string   `json:"title"`
	Description   string   `json:"description"`
	Tags          []string `json:"tags"`
	SchemaVersion int      `json:"schemaVersion"`
	Editable      bool     `json:"editable"`
	GraphTooltip  int      `json:"graphTooltip"`
	Timezone      string   `json:"timezone"`
	Refresh       string   `json:"refresh"`
	Time          struct {
		From string `json:"from"`
		To   string `json:"to"`
	} `json:"time"`
	Templating struct {
		List []Variable `json:"list"`
	} `json:"templating"`
	Links  []DashboardLink `json:"links"`
	Panels []*Panel        `json:"panels"`
}

// Source names a data source: its type and the variable that selects it.
type Source struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// The data sources, each selected by a variable of the dashboard.
var (
	Prometheus = Source{"prometheus", "${DS_PROMETHEUS}"}
	Tempo      = Source{"tempo", "${DS_TEMPO}"}
	Pyroscope  = Source{"grafana-pyroscope-datasource", "${DS_PYROSCOPE}"}
)

// Panel is a panel of a dashboard, with a question as its title, or the heading of a
// row of panels.
type Panel struct {
	ID              int              `json:"id"`
	Type            string           `json:"type"`
	Title           string           `json:"title"`
	Description     string           `json:"description,omitempty"`
	Source          *Source          `json:"datasource,omitempty"`
	Grid            Grid             `json:"gridPos"`
	Collapsed       *bool            `json:"collapsed,omitempty"` // of rows
	Panels          []*Panel         `json:"panels,omitzero"`     // of rows; always empty
	Targets         []Target         `json:"targets,omitempty"`
	FieldConfig     *FieldConfig     `json:"fieldConfig,omitempty"`
	Options         object           `json:"options,omitzero"`
	Links           []Link           `json:"links,omitempty"`
	Transformations []Transformation `json:"transformations,omitempty"`
}

// Grid is a position on the 24 columns of a dashboard.
type Grid struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

// Target is one query. The fields that are set depend on its source.
type Target struct {
	RefID  string `json:"refId"`
	Source Source `json:"datasource"`

	Expr         string `json:"expr,omitempty"` // PromQL
	LegendFormat string `json:"legendFormat,omitempty"`
	Format       string `json:"format,omitempty"`
	Instant      bool   `json:"instant,omitempty"`
	Range        bool   `json:"range,omitempty"`
	Exemplar     bool   `json:"exemplar,omitempty"`

	QueryType string   `json:"queryType,omitempty"` // Tempo and Pyroscope
	Query     string   `json:"query,omitempty"`     // TraceQL, or a trace identifier
	TableType string   `json:"tableType,omitempty"`
	Limit     int      `json:"limit,omitempty"`
	Filters   []object `json:"filters,omitzero"`

	LabelSelector string   `json:"labelSelector,omitempty"` // Pyroscope
	ProfileTypeID string   `json:"profileTypeId,omitempty"`
	GroupBy       []string `json:"groupBy,omitzero"`
}

// FieldConfig defines how values are shown.
type FieldConfig struct {
	Defaults  Defaults   `json:"defaults"`
	Overrides []Override `json:"overrides"`
}

// Defaults apply to all fields of a panel.
type Defaults struct {
	Unit       string   `json:"unit"`
	Min        *float64 `json:"min,omitempty"`
	Max        *float64 `json:"max,omitempty"`
	Color      object   `json:"color,omitempty"`
	Custom     object   `json:"custom,omitempty"`
	Mappings   []object `json:"mappings,omitempty"`
	Thresholds object   `json:"thresholds,omitempty"`
	Links      []Link   `json:"links,omitempty"`
}

// Override changes how some fields are shown.
type Override struct {
	Matcher    object     `json:"matcher"`
	Properties []Property `json:"properties"`
}

// Property is one change.
type Property struct {
	ID    string `json:"id"`
	Value any    `json:"value"`
}

// Link leads from a panel or a value to another page.
type Link struct {
	Title       string `json:"title"`
	URL         string `json:"url"`
	TargetBlank bool   `json:"targetBlank,omitempty"`
}

// DashboardLink is a link in the header of a dashboard.
type DashboardLink struct {
	Type        string   `json:"type"`
	Title       string   `json:"title"`
	URL         string   `json:"url,omitempty"`
	Icon        string   `json:"icon"`
	Tooltip     string   `json:"tooltip"`
	Tags        []string `json:"tags"`
	AsDropdown  bool     `json:"asDropdown"`
	IncludeVars bool     `json:"includeVars"`
	KeepTime    bool     `json:"keepTime"`
	TargetBlank bool     `json:"targetBlank"`
}

// Transformation changes the results of a panel before they are shown.
type Transformation struct {
	ID      string `json:"id"`
	Options object `json:"options"`
}

// Variable is a choice in the header of a dashboard.
type Variable struct {
	Name        string  `json:"name"`
	Label       string  `json:"label"`
	Description string  `json:"description,omitempty"`
	Type        string  `json:"type"`
	Source      *Source `json:"datasource,omitempty"`
	Query       any     `json:"query"`
	Refresh     int     `json:"refresh,omitempty"`
	Sort        int     `json:"sort,omitempty"`
	Multi       bool    `json:"multi,omitempty"`
	IncludeAll  bool    `json:"includeAll,omitempty"`
	AllValue    string  `json:"allValue,omitempty"`
	Current     object  `json:"current,omitempty"`
}

// object is a part of Grafana's model that is the same everywhere, or that
// depends on the type of the panel. The schema checks it.
type object = map[string]any
