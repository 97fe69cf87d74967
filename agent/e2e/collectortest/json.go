package collectortest

// The OTLP/JSON encoding, as far as the tests need it. protojson cannot read
// it, because OTLP writes identifiers in hex.

type tracesData struct {
	ResourceSpans []struct {
		Resource   resource `json:"resource"`
		ScopeSpans []struct {
			Scope scope      `json:"scope"`
			Spans []jsonSpan `json:"spans"`
		} `json:"scopeSpans"`
	} `json:"resourceSpans"`
}

type metricsData struct {
	ResourceMetrics []struct {
		Resource     resource `json:"resource"`
		ScopeMetrics []struct {
			Metrics []jsonMetric `json:"metrics"`
		} `json:"scopeMetrics"`
	} `json:"resourceMetrics"`
}

type resource struct {
	Attributes attributes `json:"attributes"`
}

type scope struct {
	Name string `json:"name"`
}

type jsonSpan struct {
	TraceID      string     `json:"traceId"`
	SpanID       string     `json:"spanId"`
	ParentSpanID string     `json:"parentSpanId"`
	TraceState   string     `json:"traceState"`
	Flags        uint32     `json:"flags"`
	Name         string     `json:"name"`
	Kind         int        `json:"kind"`
	Start        uint64     `json:"startTimeUnixNano,string"`
	End          uint64     `json:"endTimeUnixNano,string"`
	Attributes   attributes `json:"attributes"`
	Status       struct {
		Code int `json:"code"`
	} `json:"status"`
}

type jsonMetric struct {
	Name        string          `json:"name"`
	Unit        string          `json:"unit"`
	Sum         dataPoints      `json:"sum"`
	Gauge       dataPoints      `json:"gauge"`
	Histogram   histogramPoints `json:"histogram"`
	Exponential histogramPoints `json:"exponentialHistogram"`
}

type histogramPoints struct {
	DataPoints []struct {
		Attributes attributes `json:"attributes"`
		Count      uint64     `json:"count,string"`
		Sum        float64    `json:"sum"`
		Buckets    []string   `json:"bucketCounts"`
		Positive   struct {
			Buckets []string `json:"bucketCounts"`
		} `json:"positive"`
		Exemplars []struct {
			TraceID string `json:"traceId"`
		} `json:"exemplars"`
	} `json:"dataPoints"`
}

type dataPoints struct {
	DataPoints []struct {
		Attributes attributes `json:"attributes"`
		AsInt      int64      `json:"asInt,string"`
		AsDouble   float64    `json:"asDouble"`
	} `json:"dataPoints"`
}

type attributes []struct {
	Key   string `json:"key"`
	Value value  `json:"value"`
}

type value struct {
	String *string  `json:"stringValue"`
	Int    *int64   `json:"intValue,string"`
	Double *float64 `json:"doubleValue"`
	Bool   *bool    `json:"boolValue"`
	Array  *struct {
		Values []value `json:"values"`
	} `json:"arrayValue"`
}

func (a attributes) toMap() map[string]any {
	m := make(map[string]any, len(a))
	for _, kv := range a {
		m[kv.Key] = kv.Value.plain()
	}
	return m
}

func (v value) plain() any {
	switch {
	case v.String != nil:
		return *v.String
	case v.Int != nil:
		return *v.Int
	case v.Double != nil:
		return *v.Double
	case v.Bool != nil:
		return *v.Bool
	case v.Array != nil:
		list := make([]any, 0, len(v.Array.Values))
		for _, element := range v.Array.Values {
			list = append(list, element.plain())
		}
		return list
	}
	return nil
}

func (d tracesData) spans() (spans []Span) {
	for _, rs := range d.ResourceSpans {
		res := rs.Resource.Attributes.toMap()
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				spans = append(spans, Span{
					Resource: res, Scope: ss.Scope.Name,
					TraceID: s.TraceID, SpanID: s.SpanID, ParentSpanID: s.ParentSpanID,
					TraceState: s.TraceState, Flags: s.Flags,
					Name: s.Name, Kind: s.Kind, Start: s.Start, End: s.End,
					Attributes: s.Attributes.toMap(), Status: s.Status.Code,
				})
			}
		}
	}
	return spans
}

func (d metricsData) appendTo(points []Point) []Point {
	for _, rm := range d.ResourceMetrics {
		res := rm.Resource.Attributes.toMap()
		for _, sm := range rm.ScopeMetrics {
			for _, m := range sm.Metrics {
				for _, p := range append(m.Sum.DataPoints, m.Gauge.DataPoints...) {
					points = append(points, Point{
						Resource: res, Metric: m.Name, Unit: m.Unit,
						Attributes: p.Attributes.toMap(), Value: float64(p.AsInt) + p.AsDouble,
					})
				}
				points = m.distributions(points, res)
			}
		}
	}
	return points
}

// distributions appends the points of a histogram of either kind.
func (m jsonMetric) distributions(points []Point, res map[string]any) []Point {
	for _, p := range append(m.Histogram.DataPoints, m.Exponential.DataPoints...) {
		point := Point{
			Resource: res, Metric: m.Name, Unit: m.Unit, Attributes: p.Attributes.toMap(),
			Value: p.Sum, Count: p.Count, Buckets: len(p.Buckets) + len(p.Positive.Buckets),
		}
		for _, e := range p.Exemplars {
			point.TraceIDs = append(point.TraceIDs, e.TraceID)
		}
		points = append(points, point)
	}
	return points
}
