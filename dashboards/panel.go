package dashboards

// newPanel returns a question with the properties of all panels.
func newPanel(kind, question, reading, unit string, targets []Target) *Panel {
	for i := range targets {
		targets[i].RefID = string(rune('A' + i))
	}
	source := targets[0].Source
	return &Panel{
		Type: kind, Title: question, Description: reading, Source: &source, Targets: targets, Options: object{},
		FieldConfig: &FieldConfig{Defaults: Defaults{Unit: unit}, Overrides: []Override{}},
	}
}

var legend = object{"showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": []string{}}

// lines shows values over time.
func lines(question, reading, unit string, targets ...Target) *Panel {
	p := newPanel("timeseries", question, reading, unit, targets)
	p.Options = object{"legend": legend, "tooltip": object{"mode": "multi", "sort": "desc"}}
	p.FieldConfig.Defaults.Custom = object{"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false}
	p.FieldConfig.Defaults.Color = object{"mode": "palette-classic-by-name"}
	return p.from(0)
}

// stacked shows values over time that add up.
func stacked(question, reading, unit string, targets ...Target) *Panel {
	p := lines(question, reading, unit, targets...)
	p.FieldConfig.Defaults.Custom["stacking"] = object{"mode": "normal", "group": "A"}
	p.FieldConfig.Defaults.Custom["fillOpacity"] = 60
	return p
}

// number shows one value, with its history in the background.
func number(question, reading, unit string, targets ...Target) *Panel {
	p := newPanel("stat", question, reading, unit, targets)
	p.Options = object{
		"colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
		"wideLayout": true, "showPercentChange": false, "reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
	}
	return p.steps(nil)
}

// heatMap shows how a distribution changes over time.
func heatMap(question, reading, unit string, target Target) *Panel {
	p := newPanel("heatmap", question, reading, unit, []Target{target})
	p.Options = object{
		"calculate": false, "cellGap": 1, "showValue": "never",
		"color":      object{"mode": "scheme", "scheme": "Oranges", "fill": "dark-orange", "exponent": 0.5, "steps": 64, "reverse": false},
		"exemplars":  object{"color": "rgba(80,120,255,0.9)"},
		"legend":     object{"show": true},
		"tooltip":    object{"mode": "single", "yHistogram": true},
		"yAxis":      object{"axisPlacement": "left", "unit": unit},
		"rowsFrame":  object{"layout": "auto"},
		"cellValues": object{"unit": "short"},
	}
	return p
}

// timeline shows the states of many things over time.
func timeline(question, reading, unit string, target Target) *Panel {
	p := newPanel("state-timeline", question, reading, unit, []Target{target})
	p.Options = object{
		"showValue": "never", "rowHeight": 0.85, "mergeValues": true, "alignValue": "left",
		"legend": legend, "tooltip": object{"mode": "single", "sort": "none"},
	}
	p.FieldConfig.Defaults.Custom = object{"fillOpacity": 80, "lineWidth": 0}
	return p
}

// table shows rows of values.
func table(question, reading, unit string, targets ...Target) *Panel {
	p := newPanel("table", question, reading, unit, targets)
	p.Options = object{"frameIndex": 0, "showHeader": true, "cellHeight": "sm"}
	p.FieldConfig.Defaults.Custom = object{"align": "auto", "cellOptions": object{"type": "auto"}, "inspect": false}
	return p
}

// from sets the lower limit of the axis.
func (p *Panel) from(minimum float64) *Panel {
	p.FieldConfig.Defaults.Min = &minimum
	return p
}

// to sets the upper limit of the axis.
func (p *Panel) to(maximum float64) *Panel {
	p.FieldConfig.Defaults.Max = &maximum
	return p
}

// steps colours values: green, and at each bound the next colour.
func (p *Panel) steps(bounds []float64) *Panel {
	colors := []string{"green", "orange", "red"}
	all := []object{{"color": colors[0], "value": nil}}
	for i, bound := range bounds {
		all = append(all, object{"color": colors[i+1], "value": bound})
	}
	p.FieldConfig.Defaults.Thresholds = object{"mode": "absolute", "steps": all}
	p.FieldConfig.Defaults.Color = object{"mode": "thresholds"}
	return p
}

// onward adds a link to the header of the panel.
func (p *Panel) onward(links ...Link) *Panel {
	p.Links = append(p.Links, links...)
	return p
}

// follow adds a link to each value.
func (p *Panel) follow(links ...Link) *Panel {
	p.FieldConfig.Defaults.Links = append(p.FieldConfig.Defaults.Links, links...)
	return p
}

// field changes one field, selected by its name.
func (p *Panel) field(name string, properties ...Property) *Panel {
	p.FieldConfig.Overrides = append(p.FieldConfig.Overrides,
		Override{Matcher: object{"id": "byName", "options": name}, Properties: properties})
	return p
}

// rightAxis moves the series of one query to an axis of its own.
func (p *Panel) rightAxis(refID, unit string) *Panel {
	p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, Override{
		Matcher: object{"id": "byFrameRefID", "options": refID},
		Properties: []Property{{"unit", unit}, {"custom.axisPlacement", "right"}, {"custom.fillOpacity", 0},
			{"custom.lineStyle", object{"fill": "dash", "dash": []int{8, 6}}}},
	})
	return p
}

// columns joins the queries of a table into one row per set of labels. It names
// the columns in the order of the queries.
func (p *Panel) columns(labels, values []string) *Panel {
	rename, order := object{}, object{}
	for i, label := range labels {
		order[label] = i
	}
	for i, name := range values {
		column := "Value #" + p.Targets[i].RefID
		if len(p.Targets) == 1 {
			column = "Value"
		}
		rename[column], order[column] = name, len(labels)+i
	}
	p.Transformations = append(p.Transformations,
		Transformation{"merge", object{}},
		Transformation{"organize", object{"excludeByName": object{"Time": true}, "indexByName": order, "renameByName": rename}})
	return p
}
