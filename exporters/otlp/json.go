package otlp

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	colmetricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const (
	contentJSON     = "application/json"
	contentProtobuf = "application/x-protobuf"
)

// metricsJSON converts an encoded upload of metrics to JSON. The client library
// only supports protobuf.
func metricsJSON(body []byte) ([]byte, string, error) {
	var m colmetricspb.ExportMetricsServiceRequest
	if err := proto.Unmarshal(body, &m); err != nil {
		return nil, "", fmt.Errorf("reading the metrics to send: %w", err)
	}
	out, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(&m)
	if err != nil {
		return nil, "", fmt.Errorf("writing metrics as JSON: %w", err)
	}
	return hexIDs(out), contentJSON, nil
}

// identifier matches a member of a JSON object that holds an identifier. Within
// a string, quotes are preceded by backslashes.
var identifier = regexp.MustCompile(`"(traceId|spanId)":( ?)"([A-Za-z0-9+/]+={0,2})"`)

// hexIDs writes the identifiers of exemplars as OTLP requires, in hex. The JSON
// encoding of protobuf uses base64.
func hexIDs(text []byte) []byte {
	return identifier.ReplaceAllFunc(text, func(member []byte) []byte {
		m := identifier.FindSubmatch(member)
		id, err := base64.StdEncoding.DecodeString(string(m[3]))
		if err != nil {
			return member
		}
		return fmt.Appendf(nil, `"%s":%s"%s"`, m[1], m[2], hex.EncodeToString(id))
	})
}

// jsonAnswers converts a receiver's responses about metrics to protobuf, for
// the same library.
type jsonAnswers struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper. A response that cannot be decoded
// adds nothing to its status.
func (t jsonAnswers) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err != nil || !strings.HasPrefix(resp.Header.Get("Content-Type"), contentJSON) || resp.StatusCode > 299 {
		return resp, err
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	_ = resp.Body.Close()
	var m colmetricspb.ExportMetricsServiceResponse
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, &m); err != nil {
		m.Reset()
	}
	encoded, _ := proto.Marshal(&m) // cannot fail: the message was just decoded
	resp.Header.Set("Content-Type", contentProtobuf)
	resp.Body = io.NopCloser(bytes.NewReader(encoded))
	return resp, nil
}
