package otlp

import (
	"strconv"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"lapwing/collectors/request"
	"lapwing/exporters/metrics"
)

// spanName returns the method and the route template. Without a template it
// returns the method, never the path.
func spanName(i *item) string {
	method := i.req.Method
	if !metrics.KnownMethod(method) {
		method = "HTTP"
	}
	if i.req.Route != "" {
		return method + " " + validText(i.req.Route)
	}
	return method
}

// http adds the attributes that the HTTP conventions define for a server span.
func (a *attrs) http(i *item, withQuery bool) {
	r := &i.req
	a.method(r.Method, i.method)
	a.bytes(semconv.URLPathKey, r.Path)
	if withQuery {
		a.bytes(semconv.URLQueryKey, i.query)
	}
	a.text(semconv.HTTPRouteKey, i.req.Route)
	if r.Status != 0 {
		a.number(semconv.HTTPResponseStatusCodeKey, int64(r.Status))
	}
	a.text(semconv.ErrorTypeKey, errorType(r))
	a.bytes(semconv.UserAgentOriginalKey, i.userAgent)
	a.protocol(r.Protocol)
	a.number(semconv.HTTPRequestSizeKey, int64(r.RequestBytes))
	if r.WriteFirst.Seen() {
		a.number(semconv.HTTPResponseSizeKey, int64(r.ResponseBytes))
	}
}

// method adds the method, and the original one if it differs.
func (a *attrs) method(method string, sent []byte) {
	if metrics.KnownMethod(method) {
		a.text(semconv.HTTPRequestMethodKey, method)
		a.bytes(semconv.HTTPRequestMethodOriginalKey, sent)
		return
	}
	a.text(semconv.HTTPRequestMethodKey, metrics.MethodOther)
	switch {
	case len(sent) > 0:
		a.bytes(semconv.HTTPRequestMethodOriginalKey, sent)
	case method != metrics.MethodOther:
		a.text(semconv.HTTPRequestMethodOriginalKey, method)
	}
}

// errorType returns the error of the request, or else the status that makes it
// a failure.
func errorType(r *request.Request) string {
	if r.Error == "" && r.Status >= 500 {
		return strconv.Itoa(r.Status)
	}
	return r.Error
}

// protocol adds the attributes of a protocol such as "http/1.1" or "fastcgi".
func (a *attrs) protocol(protocol string) {
	name, version, _ := strings.Cut(protocol, "/")
	if name == "http" {
		a.text(semconv.URLSchemeKey, "http")
	}
	a.text(semconv.NetworkProtocolNameKey, name)
	a.text(semconv.NetworkProtocolVersionKey, version)
}

// network adds both ends of the connection. The name of the server is the one
// in the Host header, or without one the address of the socket.
func (a *attrs) network(r *request.Request) {
	name, port := splitHost(r.Host)
	a.client(r)
	if r.Local.IsUn {
		a.text(semconv.NetworkTransportUnix.Key, semconv.NetworkTransportUnix.Value.AsString())
		if len(name) == 0 {
			name, port = r.Local.Unix, 0
		}
		a.server(name, port)
		a.bytes(semconv.NetworkLocalAddressKey, r.Local.Unix)
		a.bytes(semconv.NetworkPeerAddressKey, r.Peer.Unix)
		return
	}
	if local := r.Local.Addr; local.IsValid() {
		a.text(semconv.NetworkTransportTCP.Key, semconv.NetworkTransportTCP.Value.AsString())
		address := local.Addr().Unmap().String()
		if len(name) == 0 {
			name = []byte(address)
		}
		if port == 0 {
			port = int64(local.Port())
		}
		a.text(semconv.NetworkLocalAddressKey, address)
		a.number(semconv.NetworkLocalPortKey, int64(local.Port()))
	}
	a.server(name, port)
	if peer := r.Peer.Addr; peer.IsValid() {
		address := peer.Addr().Unmap().String()
		a.text(semconv.NetworkPeerAddressKey, address)
		a.number(semconv.NetworkPeerPortKey, int64(peer.Port()))
	}
}

// client adds the client: the one that a load balancer in front forwards for,
// or else the peer.
func (a *attrs) client(r *request.Request) {
	client := r.Client
	if client.IsValid() {
		a.number(semconv.ClientPortKey, int64(client.Port()))
	} else {
		client = r.Peer.Addr
	}
	if client.IsValid() {
		a.text(semconv.ClientAddressKey, client.Addr().Unmap().String())
	}
}

func (a *attrs) server(name []byte, port int64) {
	a.bytes(semconv.ServerAddressKey, name)
	if port != 0 {
		a.number(semconv.ServerPortKey, port)
	}
}
