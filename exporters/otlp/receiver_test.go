package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// answer is the reaction of a receiver to one upload.
type answer struct {
	status     int // HTTP's; 0 is 200
	retryAfter int // seconds
	rejected   int64
	body       []byte          // instead of a response message, HTTP only
	after      <-chan struct{} // answer only after this is closed, or the client went away
}

// receiver is a scripted OTLP receiver.
type receiver struct {
	url    string
	script func(attempt int) answer // from 1

	mu      sync.Mutex
	count   int
	taken   []*coltracepb.ExportTraceServiceRequest // delivered ones
	headers []http.Header
	peers   []*tls.ConnectionState
}

var protocols = []string{ProtocolGRPC, ProtocolHTTPProtobuf}

// forBoth runs a test against a gRPC and an HTTP receiver that follow script.
func forBoth(t *testing.T, script func(attempt int) answer, test func(*testing.T, *receiver, Config)) {
	t.Helper()
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			clearEnv(t)
			r := startReceiver(t, protocol, "127.0.0.1:0", nil, script)
			test(t, r, r.config(protocol))
		})
	}
}

func accept(int) answer { return answer{} }

// startReceiver listens until the test ends.
func startReceiver(t *testing.T, protocol, address string, conf *tls.Config, script func(int) answer) *receiver {
	t.Helper()
	r := &receiver{script: script}
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	scheme := "http://"
	if conf != nil {
		scheme = "https://"
	}
	r.url = scheme + listener.Addr().String()
	if protocol == ProtocolGRPC {
		r.serveGRPC(t, listener, conf)
		return r
	}
	r.serveHTTP(t, listener, conf)
	return r
}

// config returns a Config for the receiver, with pauses that suit a test.
func (r *receiver) config(protocol string) Config {
	c := DefaultConfig()
	c.Endpoint, c.Protocol, c.BatchDelay = r.url, protocol, 5*time.Millisecond
	c.Retry = RetryConfig{InitialInterval: 2 * time.Millisecond, MaxInterval: 10 * time.Millisecond, MaxElapsed: time.Minute}
	return c
}

func (r *receiver) attempts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// spans counts the delivered spans.
func (r *receiver) spans() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, req := range r.taken {
		n += countSpans(req)
	}
	return n
}

func countSpans(req *coltracepb.ExportTraceServiceRequest) (n int) {
	for _, rs := range req.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			n += len(ss.Spans)
		}
	}
	return n
}

func (r *receiver) header(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.headers) == 0 {
		return ""
	}
	return r.headers[len(r.headers)-1].Get(name)
}

// next records an upload and returns the script's answer to it. It returns an
// error if no client waits for an answer any more. The deadline of a gRPC call
// also applies at the server, where it may pass a moment earlier than at the
// client. The client would still accept an answer then.
func (r *receiver) next(ctx context.Context, header http.Header, state *tls.ConnectionState) (answer, error) {
	r.mu.Lock()
	r.count++
	a := r.script(r.count)
	r.headers = append(r.headers, header)
	r.peers = append(r.peers, state)
	r.mu.Unlock()
	if a.after != nil {
		select {
		case <-a.after:
		case <-ctx.Done():
			return a, ctx.Err()
		}
	}
	return a, nil
}

func (r *receiver) take(req *coltracepb.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken = append(r.taken, req)
}

func response(a answer) *coltracepb.ExportTraceServiceResponse {
	if a.rejected == 0 {
		return &coltracepb.ExportTraceServiceResponse{}
	}
	return &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{
		RejectedSpans: a.rejected, ErrorMessage: "too old",
	}}
}

func (r *receiver) serveHTTP(t *testing.T, listener net.Listener, conf *tls.Config) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body := readBody(t, req)
		a, err := r.next(req.Context(), req.Header, req.TLS)
		if err != nil {
			return // the client went away
		}
		message := new(coltracepb.ExportTraceServiceRequest)
		assert.NoError(t, proto.Unmarshal(body, message), "the upload does not parse")
		assert.Equal(t, "/v1/traces", req.URL.Path)
		if a.retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(a.retryAfter))
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		if a.status != 0 && a.status != http.StatusOK {
			w.WriteHeader(a.status)
			return
		}
		r.take(message)
		if a.body == nil {
			a.body, _ = proto.Marshal(response(a))
		}
		_, _ = w.Write(a.body)
	}))
	_ = server.Listener.Close()
	server.Listener, server.TLS = listener, conf
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // some tests fail handshakes on purpose
	if conf != nil {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
}

func readBody(t *testing.T, req *http.Request) []byte {
	body, err := io.ReadAll(req.Body)
	assert.NoError(t, err, "reading the upload")
	if req.Header.Get("Content-Encoding") != "gzip" {
		return body
	}
	unzip, err := gzip.NewReader(bytes.NewReader(body))
	if !assert.NoError(t, err, "the upload is not gzip") {
		return nil
	}
	body, err = io.ReadAll(unzip)
	assert.NoError(t, err, "the upload is not gzip")
	return body
}

// grpcService is the gRPC side of a receiver.
type grpcService struct {
	coltracepb.UnimplementedTraceServiceServer
	*receiver
}

func (s grpcService) Export(ctx context.Context, req *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	header := make(http.Header)
	md, _ := metadata.FromIncomingContext(ctx)
	for name, values := range md {
		for _, v := range values {
			header.Add(name, v)
		}
	}
	if encoding, ok := ctx.Value(encodingKey{}).(*string); ok {
		header.Set("Content-Encoding", *encoding)
	}
	var state *tls.ConnectionState
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			state = &info.State
		}
	}
	a, err := s.next(ctx, header, state)
	if err != nil {
		return nil, status.FromContextError(err).Err()
	}
	code, failed := map[int]codes.Code{
		http.StatusServiceUnavailable: codes.Unavailable,
		http.StatusTooManyRequests:    codes.ResourceExhausted,
		http.StatusBadRequest:         codes.InvalidArgument,
	}[a.status]
	if !failed {
		s.take(req)
		return response(a), nil
	}
	st := status.New(code, "scripted")
	if a.retryAfter > 0 {
		st, _ = st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Duration(a.retryAfter) * time.Second)})
	}
	return nil, st.Err()
}

// encodings records how each upload was compressed. A gRPC server removes this
// from the headers.
type encodings struct{}

type encodingKey struct{}

func (encodings) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, encodingKey{}, new(string))
}

func (encodings) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if in, ok := s.(*stats.InHeader); ok {
		*ctx.Value(encodingKey{}).(*string) = in.Compression
	}
}

func (encodings) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (encodings) HandleConn(context.Context, stats.ConnStats) {}

func (r *receiver) serveGRPC(t *testing.T, listener net.Listener, conf *tls.Config) {
	opts := []grpc.ServerOption{grpc.StatsHandler(encodings{})}
	if conf != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(conf)))
	}
	server := grpc.NewServer(opts...)
	coltracepb.RegisterTraceServiceServer(server, grpcService{receiver: r})
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(server.Stop)
}

// freeAddress returns a loopback address on which no process listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
