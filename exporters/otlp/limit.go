package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// maxUpload is the highest number of bytes of one upload before compression. By
// default, receivers accept 4 MiB over gRPC.
const maxUpload = 1 << 20

// errTooLarge means that an upload was not sent because of its size. The caller
// divides it.
var errTooLarge = errors.New("the upload is larger than 1 MiB")

// limitMessage is a gRPC interceptor that refuses to send a message that is too
// large.
func limitMessage(ctx context.Context, method string, req, resp any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if m, ok := req.(proto.Message); ok && proto.Size(m) > maxUpload {
		return errTooLarge
	}
	return invoke(ctx, method, req, resp, cc, opts...)
}

// bodyTransport gets each upload as it was encoded. It refuses an upload that
// is too large. It also compresses, because compression by the library would
// hide the size.
type bodyTransport struct {
	base   http.RoundTripper
	recode func([]byte) ([]byte, string, error) // to another content type; nil for none
	zip    bool
}

// RoundTrip implements http.RoundTripper.
func (t bodyTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err = errors.Join(err, req.Body.Close()); err != nil {
		return nil, err
	}
	out := req.Clone(req.Context())
	if t.recode != nil {
		contentType := ""
		if body, contentType, err = t.recode(body); err != nil {
			return nil, err
		}
		out.Header.Set("Content-Type", contentType)
	}
	if len(body) > maxUpload {
		return nil, errTooLarge
	}
	if t.zip {
		body = compress(body)
		out.Header.Set("Content-Encoding", CompressionGzip)
	}
	out.ContentLength = int64(len(body))
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	out.Body, _ = out.GetBody()
	return t.base.RoundTrip(out)
}

var zippers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

func compress(body []byte) []byte {
	var out bytes.Buffer
	w := zippers.Get().(*gzip.Writer)
	defer zippers.Put(w)
	w.Reset(&out)
	_, _ = w.Write(body) // a bytes.Buffer never fails
	_ = w.Close()
	return out.Bytes()
}

// zipped reports whether uploads over HTTP are compressed.
func (c Config) zipped(s signal) bool {
	value := c.Compression
	if value == "" {
		value, _ = s.lookup("COMPRESSION")
	}
	return value == CompressionGzip
}
