package dashboards

// Refresh and sort order of variables, as Grafana's numbers.
const (
	onTimeRange  = 2
	alphabetical = 1
)

func sourceVariable(name, label, kind string) Variable {
	return Variable{Name: name, Label: label, Type: "datasource", Query: kind}
}

var (
	prometheusVariable = sourceVariable("DS_PROMETHEUS", "Metrics", Prometheus.Type)
	tempoVariable      = sourceVariable("DS_TEMPO", "Traces", Tempo.Type)
	pyroscopeVariable  = sourceVariable("DS_PYROSCOPE", "Profiles", Pyroscope.Type)
)

// labelVariable offers the values of a label.
func labelVariable(name, label, key, of string) Variable {
	query := "label_values(" + of + ", " + key + ")"
	return Variable{
		Name: name, Label: label, Type: "query", Source: &Prometheus,
		Query: object{"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"}, Refresh: onTimeRange, Sort: alphabetical,
	}
}

// any allows several values to be chosen, or all.
func (v Variable) any() Variable {
	v.Multi, v.IncludeAll, v.AllValue = true, true, ".*"
	v.Current = object{"text": []string{"All"}, "value": []string{"$__all"}}
	return v
}

var (
	hostVariable     = labelVariable("host", "Host", "instance", agentRequests).any()
	serviceVariable  = labelVariable("service", "Service", "service_name", requestCount+hosts)
	servicesVariable = serviceVariable.any()
)

// textVariable is a text to type in.
func textVariable(name, label, description, value string) Variable {
	return Variable{Name: name, Label: label, Description: description, Type: "textbox", Query: value, Current: object{"text": value, "value": value}}
}
