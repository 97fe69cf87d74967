package otlp

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"

	"lapwing/exporters/internal/slab"
)

// attr is one attribute with room for each kind of value, so that it can be
// reused without an allocation.
type attr struct {
	pair   commonpb.KeyValue
	value  commonpb.AnyValue
	text   commonpb.AnyValue_StringValue
	number commonpb.AnyValue_IntValue
	double commonpb.AnyValue_DoubleValue
}

// attrs collects the attributes of one span or resource.
type attrs struct {
	slab *slab.Slab[attr]
	list []*commonpb.KeyValue
}

func (a *attrs) add(key attribute.Key) *attr {
	v := a.slab.Next()
	v.pair.Key = string(key)
	v.pair.Value = &v.value
	a.list = append(a.list, &v.pair)
	return v
}

// text adds a string, unless it is empty.
func (a *attrs) text(key attribute.Key, s string) {
	if s == "" {
		return
	}
	v := a.add(key)
	v.text.StringValue = validText(s)
	v.value.Value = &v.text
}

func (a *attrs) bytes(key attribute.Key, b []byte) {
	if len(b) > 0 {
		a.text(key, string(b))
	}
}

func (a *attrs) number(key attribute.Key, n int64) {
	v := a.add(key)
	v.number.IntValue = n
	v.value.Value = &v.number
}

func (a *attrs) double(key attribute.Key, f float64) {
	v := a.add(key)
	v.double.DoubleValue = f
	v.value.Value = &v.double
}

func (a *attrs) texts(key attribute.Key, values []string) {
	array := new(commonpb.ArrayValue)
	for _, s := range values {
		array.Values = append(array.Values, &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}})
	}
	a.add(key).value.Value = &commonpb.AnyValue_ArrayValue{ArrayValue: array}
}

// validText returns s as valid UTF-8. Bytes from the network need not be valid,
// and one bad byte would make the receiver refuse the whole batch.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// splitHost splits a Host header into name and port; port is 0 if there is
// none. Brackets around an IPv6 address are not part of the name.
func splitHost(host []byte) (name []byte, port int64) {
	name, digits := host, []byte(nil)
	if end := bytes.IndexByte(host, ']'); end > 0 && host[0] == '[' {
		name, digits = host[1:end], bytes.TrimPrefix(host[end+1:], []byte(":"))
	} else if before, after, ok := bytes.Cut(host, []byte(":")); ok {
		name, digits = before, after
	}
	n, err := strconv.ParseUint(string(digits), 10, 16)
	if err != nil && len(digits) > 0 {
		return host, 0 // not a port: show what was sent
	}
	return name, int64(n)
}
