package metrics

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// AgentService is the service name of the agent itself.
const AgentService = "lapwing"

// OtherService stands for the services beyond the limit.
const OtherService = "_OTHER"

// MethodOther stands for a method that the conventions do not define.
const MethodOther = "_OTHER"

// The attributes that have no standard name.
const (
	KeyPhase    = attribute.Key("phase")    // queue, parse, app, write_back
	KeyPart     = attribute.Key("part")     // backlog, dispatch, …
	KeyState    = attribute.Key("state")    // of a worker
	KeyAddress  = attribute.Key("address")  // of a listening socket
	KeyCause    = attribute.Key("cause")    // of a loss
	KeyReason   = attribute.Key("reason")   // for which a connection is unknown
	KeyListener = attribute.Key("listener") // that abandoned connections came to
	KeyExporter = attribute.Key("exporter") // that dropped requests
	// KeyOverflow marks a series that stands for everything beyond the limit,
	// as in the OpenTelemetry SDKs.
	KeyOverflow = attribute.Key("otel.metric.overflow")
)

// KnownMethod reports whether the conventions define the method. A client can
// choose any other to fill a backend with names.
func KnownMethod(method string) bool {
	switch method {
	case "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE":
		return true
	}
	return false
}

// attributes returns the attributes of a request's series, without the service.
func (k *key) attributes() []attribute.KeyValue {
	if k.overflow {
		return []attribute.KeyValue{KeyOverflow.Bool(true)}
	}
	attrs := []attribute.KeyValue{semconv.HTTPRequestMethodKey.String(k.method)}
	if k.status != 0 {
		attrs = append(attrs, semconv.HTTPResponseStatusCode(k.status))
	}
	scheme, protocol, version := k.wire()
	for _, kv := range []attribute.KeyValue{
		semconv.HTTPRoute(k.route), semconv.ErrorTypeKey.String(k.errorType), semconv.URLScheme(scheme),
		semconv.NetworkProtocolName(protocol), semconv.NetworkProtocolVersion(version),
	} {
		if kv.Value.AsString() != "" {
			attrs = append(attrs, kv)
		}
	}
	return attrs
}

// with returns a copy of attrs, followed by more. A copy is needed because
// making a set of a slice sorts it.
func with(attrs []attribute.KeyValue, more ...attribute.KeyValue) []attribute.KeyValue {
	return slices.Concat(attrs, more)
}
