package otlp

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	grpcencoding "google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// newTraceClient returns a client that makes one attempt per upload. This
// package does the retries, because the client libraries do not retry a refused
// connection over HTTP, and apply one timeout to all attempts over gRPC.
func newTraceClient(c Config, t target) otlptrace.Client {
	if t.protocol == ProtocolGRPC {
		return otlptracegrpc.NewClient(grpcOptions(c, t)...)
	}
	return otlptracehttp.NewClient(httpOptions(c, t)...)
}

func grpcOptions(c Config, t target) []otlptracegrpc.Option {
	opts := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(t.host),
		otlptracegrpc.WithTLSCredentials(t.credentials()),
		otlptracegrpc.WithTimeout(t.timeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: false}),
		otlptracegrpc.WithDialOption(dialOptions(c, t, limitMessage, recordReply)...),
	}
	if c.Headers != nil {
		opts = append(opts, otlptracegrpc.WithHeaders(c.Headers))
	}
	if c.Compression == CompressionGzip {
		opts = append(opts, otlptracegrpc.WithCompressor(CompressionGzip))
	}
	return opts
}

// dialOptions returns all dial options at once: the client libraries ignore
// those of an earlier WithDialOption.
func dialOptions(c Config, t target, interceptors ...grpc.UnaryClientInterceptor) []grpc.DialOption {
	opts := []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(interceptors...),
		grpc.WithConnectParams(connectParams(c.Retry, t.timeout)),
	}
	if c.Compression == CompressionNone {
		opts = append(opts, uncompressed)
	}
	return opts
}

// uncompressed overrides a compression that the environment asks for. The
// client library has no option for it.
var uncompressed = grpc.WithDefaultCallOptions(grpc.UseCompressor(grpcencoding.Identity))

func (t target) credentials() credentials.TransportCredentials {
	if t.secure {
		return credentials.NewTLS(t.tls)
	}
	return insecure.NewCredentials()
}

// connectParams keeps a connection from being retried less often than the
// uploads: gRPC's own pause grows to two minutes.
func connectParams(r RetryConfig, timeout time.Duration) grpc.ConnectParams {
	b := grpcbackoff.DefaultConfig
	b.BaseDelay = min(b.BaseDelay, r.InitialInterval)
	b.MaxDelay = r.MaxInterval
	return grpc.ConnectParams{Backoff: b, MinConnectTimeout: timeout}
}

func httpOptions(c Config, t target) []otlptracehttp.Option {
	opts := []otlptracehttp.Option{
		otlptracehttp.WithEndpointURL(t.String()),
		otlptracehttp.WithHTTPClient(&http.Client{Transport: bodyTransport{base: replyRecorder{newTransport(t)}, zip: c.zipped(tracesSignal)}}),
		otlptracehttp.WithTLSClientConfig(nil),                     // newTransport has it
		otlptracehttp.WithCompression(otlptracehttp.NoCompression), // bodyTransport compresses
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}),
		otlptracehttp.WithEncoding(encoding(t.protocol)),
	}
	if c.Headers != nil {
		opts = append(opts, otlptracehttp.WithHeaders(c.Headers))
	}
	return opts
}

func encoding(protocol string) otlptracehttp.Encoding {
	if protocol == ProtocolHTTPJSON {
		return otlptracehttp.EncodingJSON
	}
	return otlptracehttp.EncodingProtobuf
}

func newTransport(t target) http.RoundTripper {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = t.tls
	return transport
}

// reply is the receiver's response to one attempt. The client libraries turn it
// into an error text, but retries and counts need the facts.
type reply struct {
	delivered  bool
	httpStatus int           // 0 if there was no HTTP response
	retryAfter time.Duration // the pause that the receiver asked for; 0 for none
	rejected   int64         // spans of a delivered batch that the receiver did not accept
	complaint  string        // its message about these spans
}

type replyKey struct{}

// withReply returns a context in which an attempt records its response.
func withReply(ctx context.Context) (context.Context, *reply) {
	r := new(reply)
	return context.WithValue(ctx, replyKey{}, r), r
}

func (r *reply) partial(resp *coltracepb.ExportTraceServiceResponse) {
	r.rejected = resp.GetPartialSuccess().GetRejectedSpans()
	r.complaint = resp.GetPartialSuccess().GetErrorMessage()
}

// recordReply is a gRPC interceptor that fills the context's reply.
func recordReply(ctx context.Context, method string, req, resp any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, resp, cc, opts...)
	r, ok := ctx.Value(replyKey{}).(*reply)
	if ok && err == nil {
		r.delivered = true
		if answer, ok := resp.(*coltracepb.ExportTraceServiceResponse); ok {
			r.partial(answer)
		}
	}
	return err
}

// replyRecorder is an HTTP transport that fills the context's reply.
type replyRecorder struct{ base http.RoundTripper }

// RoundTrip sends the request and returns the response unchanged.
func (t replyRecorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	r, ok := req.Context().Value(replyKey{}).(*reply)
	if !ok || err != nil {
		return resp, err
	}
	r.httpStatus = resp.StatusCode
	r.retryAfter = retryAfter(resp.Header.Get("Retry-After"))
	if r.delivered = resp.StatusCode >= 200 && resp.StatusCode <= 299; r.delivered {
		r.readPartial(resp)
	}
	return resp, nil
}

// maxReply limits how much of a response body is read, in bytes.
const maxReply = 64 << 10

// readPartial looks for a partial success. A body that cannot be read or
// decoded says nothing about the spans, so the status decides.
func (r *reply) readPartial(resp *http.Response) {
	var body bytes.Buffer
	_, err := io.Copy(&body, io.LimitReader(resp.Body, maxReply))
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body.Bytes()), resp.Body), resp.Body}
	if err != nil {
		return
	}
	answer := new(coltracepb.ExportTraceServiceResponse)
	switch contentType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); contentType {
	case "application/x-protobuf":
		err = proto.Unmarshal(body.Bytes(), answer)
	case "application/json":
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body.Bytes(), answer)
	default:
		return
	}
	if err == nil {
		r.partial(answer)
	}
}

// retryAfter parses the header of that name: seconds or a date.
func retryAfter(header string) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
