package metrics

import (
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"lapwing/collectors/request"
)

// key identifies a label set. Its strings live forever: they come from the
// configuration, constants and the names of services.
type key struct {
	service, method, route, errorType, protocol string
	status                                      int
	overflow                                    bool // stands for all requests of the service beyond the limit
}

func keyOf(r *request.Request) key {
	k := key{service: r.Service, method: r.Method, route: r.Route, errorType: r.Error, protocol: r.Protocol, status: r.Status}
	if !KnownMethod(k.method) {
		k.method = MethodOther
	}
	if k.status < 100 || k.status > 599 {
		k.status = 0
	}
	return k
}

// wire splits "http/1.1" or "fastcgi" as the conventions do. HTTP's own name is
// implied. The scheme is only known for HTTP.
func (k *key) wire() (scheme, name, version string) {
	name, version, _ = strings.Cut(k.protocol, "/")
	if name == "http" {
		return "http", "", version
	}
	return "", name, version
}

// series holds the counts of one label set.
type series struct {
	key   key
	attrs attribute.Set
	start time.Time     // the start of the counts
	last  request.Stamp // the end of the last request

	duration                  histogram
	phases                    [request.NumPhases]histogram
	phaseAttrs                [request.NumPhases]attribute.Set
	requestBody, responseBody histogram
	parts                     *parts
}

func newSeries(k key, p *parts) *series {
	attrs := k.attributes()
	s := &series{key: k, attrs: attribute.NewSet(with(attrs)...), start: time.Now(), parts: p}
	for i := range s.phaseAttrs {
		s.phaseAttrs[i] = attribute.NewSet(with(attrs, KeyPhase.String(request.Phase(i).String()))...)
	}
	return s
}

// parts holds the histograms of the parts of one service. There are many parts,
// so they are not divided further.
type parts struct {
	start      time.Time
	users      int // series that refer to these parts
	histograms [request.NumParts]histogram
}

// partAttrs identify each part and the phase that it belongs to.
var partAttrs = func() (sets [request.NumParts]attribute.Set) {
	for i := range sets {
		part := request.Part(i)
		attrs := []attribute.KeyValue{KeyPart.String(part.String())}
		if phase := part.Phase(); phase < request.NumPhases {
			attrs = append(attrs, KeyPhase.String(phase.String()))
		}
		sets[i] = attribute.NewSet(attrs...)
	}
	return sets
}()
