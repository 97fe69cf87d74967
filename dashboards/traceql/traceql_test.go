package traceql

import (
	"encoding/json"
	"os"
	"path"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPackages checks that the files in npm have the versions that
// dashboards/schema names.
func TestPackages(t *testing.T) {
	var lock struct {
		Packages map[string]struct{ Version string }
	}
	raw, err := os.ReadFile("../schema/package-lock.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &lock))
	for name := range entries {
		raw, err := packages.ReadFile(path.Join("npm", name, "package.json"))
		require.NoError(t, err)
		var p struct{ Name, Version string }
		require.NoError(t, json.Unmarshal(raw, &p))
		assert.Equal(t, name, p.Name)
		assert.Equal(t, lock.Packages["node_modules/"+name].Version, p.Version, "%s: run make dashboard-schema", name)
	}
}

func TestGrammarRefuses(t *testing.T) {
	for _, query := range []string{
		`{ kind = sever }`,
		`{ status = errror }`,
		`{ duration > 1xs }`,
		`{ name = "a" `,
		`{ name == "a" }`,
		`{ service = "a" }`,
		`{ name = "a" } | selct(name)`,
		`{ name = "a" } | select(span.)`,
		`name = "a"`,
		`{ name = $other }}`,
		``,
	} {
		_, err := Parse(query)
		assert.Error(t, err, query)
	}
}

func TestAttributes(t *testing.T) {
	q, err := Parse(`{ resource.service.name = "a" && span.http.route = "/x" } | select(span.url.path, resource.host.name)`)
	require.NoError(t, err)
	assert.Equal(t, []Attribute{{"resource", "service.name"}, {"span", "http.route"}, {"span", "url.path"}, {"resource", "host.name"}}, q.Attributes())
	assert.Equal(t, []Attribute{{"span", "url.path"}, {"resource", "host.name"}}, q.Selected())
}

// sample returns two traces: one through front and back, one of front alone.
func sample() []*Span {
	front, back := map[string]any{"service.name": "front"}, map[string]any{"service.name": "back"}
	return []*Span{
		{Trace: "00a1", Name: "GET", Kind: "server", Status: "unset", Duration: 80 * time.Millisecond, Resource: front, Attributes: map[string]any{"http.response.status_code": int64(200), "http.route": "/x"}},
		{Trace: "00a1", Name: "app", Kind: "internal", Status: "unset", Duration: 70 * time.Millisecond, Resource: front},
		{Trace: "00a1", Name: "GET", Kind: "server", Status: "unset", Duration: 60 * time.Millisecond, Resource: back, Attributes: map[string]any{"share": 0.5}},
		{Trace: "00b2", Name: "GET /y", Kind: "server", Status: "error", Duration: time.Millisecond, Resource: front, Attributes: map[string]any{"http.response.status_code": int64(503)}},
	}
}

func TestRun(t *testing.T) {
	spans := sample()
	first, inner, second, failed := spans[0], spans[1], spans[2], spans[3]
	for query, want := range map[string][]*Span{
		`{ kind = server }`:                           {first, second, failed},
		`{ kind != server }`:                          {inner},
		`{ true }`:                                    spans,
		`{ false }`:                                   nil,
		`{ status = error }`:                          {failed},
		`{ name = "app" }`:                            {inner},
		`{ name =~ "GET" }`:                           {first, second},
		`{ name =~ "app|GET.*" }`:                     spans,
		`{ name !~ "GET.*" }`:                         {inner},
		`{ duration > 60ms }`:                         {first, inner},
		`{ duration >= 60ms && kind = server }`:       {first, second},
		`{ duration < 2ms || name = "app" }`:          {inner, failed},
		`{ trace:id = "b2" }`:                         {failed},
		`{ trace:id = "00b2" }`:                       nil,
		`{ resource.service.name = "back" }`:          {second},
		`{ span.http.response.status_code >= 500 }`:   {failed},
		`{ span.http.response.status_code != 503 }`:   {first},
		`{ span.share < 0.6 }`:                        {second},
		`{ span.nowhere = "x" }`:                      nil,
		`{ span.http.route = 1 }`:                     nil,
		`{ kind = server } | select(span.http.route)`: {first, second, failed},
		`{ name = "app" } && { span.share > 0.1 }`:    {inner, second},
		`{ kind = server } && { name = "app" }`:       {first, second, inner},
		`{ resource.service.name="front"&&kind=server } && { resource.service.name="back" }`: {first, second},
		`{ status = error } && { name = "app" }`:                                             nil,
	} {
		q, err := Parse(query)
		require.NoError(t, err, query)
		found, err := q.Run(spans)
		require.NoError(t, err, query)
		var got []*Span
		for _, m := range found {
			for _, s := range m.Spans {
				assert.Equal(t, m.Trace, s.Trace)
			}
			got = append(got, m.Spans...)
		}
		assert.Equal(t, want, got, query)
	}
}

// TestNoNotion checks that an unsupported query is an error, not an empty
// result.
func TestNoNotion(t *testing.T) {
	for _, query := range []string{
		`{ .http.route = "/x" }`,
		`{ rootName = "GET" }`,
		`{ name = "GET" } >> { name = "app" }`,
		`{ name = "GET" } | count() > 1`,
		`{ duration + 1ms > 2ms }`,
		`{ event.name = "x" }`,
		`{ name }`,
		`{ $condition }`,
	} {
		q, err := Parse(query)
		require.NoError(t, err, query)
		_, err = q.Run(sample())
		assert.Error(t, err, query)
	}
}
