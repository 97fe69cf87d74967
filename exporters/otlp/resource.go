package otlp

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"

	"lapwing/exporters/internal/slab"
)

// scopeName is the instrumentation scope of all telemetry of the agent.
const scopeName = "lapwing"

// unknownService stands for a server that could not be identified.
const unknownService = "unknown_service"

// resources creates the resource of each service on this host.
type resources struct {
	common  []attribute.KeyValue // host.name and OTEL_RESOURCE_ATTRIBUTES
	host    string               // identifies this host
	version string               // of the agent
}

// Option is an option of New and NewMetrics.
type Option func(*resources)

// WithVersion sets the version of the agent in the telemetry. Without it, the
// version is that of the main module as recorded by the build.
func WithVersion(version string) Option {
	return func(r *resources) { r.version = version }
}

// newResources looks up what all services share. A host without a machine
// identifier is identified by its name.
func newResources(ctx context.Context, opts ...Option) (*resources, error) {
	found, err := resource.New(ctx, resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describing the host (check OTEL_RESOURCE_ATTRIBUTES): %w", err)
	}
	r := &resources{version: buildVersion()}
	for _, opt := range opts {
		opt(r)
	}
	for _, kv := range found.Attributes() {
		switch kv.Key {
		case semconv.HostNameKey:
			r.host = kv.Value.AsString()
		case semconv.ServiceNameKey, semconv.ServiceInstanceIDKey:
			continue // in the environment they name the agent, not the servers
		}
		r.common = append(r.common, kv)
	}
	id, err := resource.New(ctx, resource.WithHostID())
	if v, ok := id.Set().Value(semconv.HostIDKey); ok && err == nil {
		r.host = v.AsString()
	}
	return r, nil
}

// attributes returns the attributes of a service. The instance identifier stays
// the same after a restart of the server or of the agent.
func (r *resources) attributes(service string) []attribute.KeyValue {
	if service == "" {
		service = unknownService
	}
	return append([]attribute.KeyValue{
		semconv.ServiceName(validText(service)),
		semconv.ServiceInstanceID(instanceID(r.host, service)),
		semconv.TelemetrySDKName(scopeName),
		semconv.TelemetrySDKLanguageGo,
		semconv.TelemetrySDKVersion(r.version),
	}, r.common...)
}

// instanceNamespace is the UUID namespace that the OpenTelemetry semantic
// conventions prescribe when service.instance.id is derived from other
// identifiers, here those of the host and the service.
var instanceNamespace = uuid.MustParse("4d63009a-8d0f-11ee-aad7-4c796ed8e320")

func instanceID(host, service string) string {
	return uuid.NewSHA1(instanceNamespace, []byte(host+"/"+service)).String()
}

// of returns the resource of a service in protobuf.
func (r *resources) of(service string) *resourcepb.Resource {
	a := attrs{slab: new(slab.Slab[attr])}
	for _, kv := range r.attributes(service) {
		a.text(kv.Key, kv.Value.String())
	}
	return &resourcepb.Resource{Attributes: a.list}
}

// buildVersion returns the version of the main module as recorded by the build.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
