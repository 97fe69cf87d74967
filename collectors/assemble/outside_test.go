package assemble

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/collectors/protocol/http1"
	"lapwing/collectors/text"
	"lapwing/probes/socket/wire"
)

// TestStringsFromOutside has a client that sends as much as a head may contain.
func TestStringsFromOutside(t *testing.T) {
	long := strings.Repeat("日", 2000)
	head := "GET /a;id=secret/" + long + ";v=1?" + long + " HTTP/1.1\r\nHost: " + long +
		"\r\nTraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" +
		"\r\nTracestate: a=1,b=" + strings.Repeat("2", 400) + ",c=" + strings.Repeat("3", 400) +
		"\r\nUser-Agent: " + long + "\r\n\r\n"
	var got sink
	a := newAssembler(t, got.take)
	a.HandleRecord(wire.Final, record(fields(), head, plainOK))
	require.Len(t, got, 1)
	r := got[0]
	assert.True(t, strings.HasPrefix(string(r.Path), "/a/日"))
	assert.NotContains(t, string(r.Path), "secret")
	assert.Equal(t, "a=1,b="+strings.Repeat("2", 400), string(r.TraceState), "whole members only")
	m := r.Detail.(*http1.Message)
	for most, field := range map[int][]byte{text.MaxPath: r.Path, text.MaxHost: r.Host, text.MaxQuery + 1: m.Query, text.MaxUserAgent: m.UserAgent} {
		assert.LessOrEqual(t, len(field), most)
		assert.Greater(t, len(field), most-5)
		assert.True(t, strings.HasSuffix(string(field), "日"+text.Mark), "%q", field)
	}
}

func TestTraceStateOfOneLongMember(t *testing.T) {
	assert.Empty(t, wholeMembers([]byte("a="+strings.Repeat("1", 600)+",b=2")))
	assert.Equal(t, "a="+strings.Repeat("1", 510), string(wholeMembers([]byte("a="+strings.Repeat("1", 510)+",b=2"))))
}

func TestUnixNamesAreBounded(t *testing.T) {
	f := fields()
	f.Family = unix.AF_UNIX
	local, _ := endpoints(wire.Compose(f, []byte(strings.Repeat("\x01", 400)), nil, nil), []byte(strings.Repeat("\x01", 400)))
	assert.LessOrEqual(t, len(local.Unix), text.MaxSocket)
}
