package route

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func table(t testing.TB, templates ...string) *Table {
	t.Helper()
	var rules []Rule
	for _, template := range templates {
		rules = append(rules, Rule{Template: template})
	}
	r, err := New(rules)
	require.NoError(t, err)
	return r
}

func TestMatch(t *testing.T) {
	r := table(t, "/", "/orders/{id}", "/orders/new", "/orders/{id}/items/{item}", "/static/{path...}", "/docs/",
		"/users/{name}/{tab}", "/users/me/{tab}/full")
	for path, want := range map[string]string{
		"/":                         "/",
		"/orders/17":                "/orders/{id}",
		"/orders/new":               "/orders/new",
		"/orders/17/items/b":        "/orders/{id}/items/{item}",
		"/orders/":                  "", // a variable does not match an empty segment
		"/orders/17/items":          "",
		"/orders":                   "",
		"/static/css/a.css":         "/static/{path...}",
		"/static/":                  "/static/{path...}",
		"/static":                   "",
		"/docs/":                    "/docs/",
		"/docs":                     "",
		"/users/me/posts":           "/users/{name}/{tab}", // the plain branch leads nowhere
		"/users/me/posts/full":      "/users/me/{tab}/full",
		"/nowhere":                  "",
		"":                          "",
		"*":                         "",
		"//orders/17":               "",
		"/orders/17\xff/items/\x00": "/orders/{id}/items/{item}",
	} {
		assert.Equal(t, want, r.Match("any", []byte(path)), path)
	}
}

func TestRoutesOfAService(t *testing.T) {
	r, err := New([]Rule{{Template: "/{page}", Service: "shop*"}, {Template: "/{any}"}})
	require.NoError(t, err)
	assert.Equal(t, "/{page}", r.Match("shop-1", []byte("/x")))
	assert.Equal(t, "/{any}", r.Match("search", []byte("/x")))
}

func TestValidate(t *testing.T) {
	for template, want := range map[string]string{
		"": "missing", "orders": "slash", "/{id": "must be plain text", "/a{id}": "must be plain text", "/{}": "must be plain text", "/{...}": "must be plain text",
		"/{p...}/x": "at the end", "/x?y": "must be plain text", "/{a}{b}": "must be plain text",
	} {
		err := Rule{Template: template}.Validate()
		if assert.Error(t, err, template) {
			assert.True(t, strings.HasPrefix(err.Error(), "template: "), err)
			assert.ErrorContains(t, err, want, template)
		}
	}
	assert.ErrorContains(t, Rule{Template: "/", Service: "["}.Validate(), "service: ")
	_, err := New([]Rule{{Template: "/"}, {Template: "x"}})
	assert.ErrorContains(t, err, "routes[1].template")
}

func TestMatchDoesNotAllocate(t *testing.T) {
	r, path := table(t, "/orders/{id}/items/{item}", "/{all...}"), []byte("/orders/17/items/4711")
	assert.Zero(t, testing.AllocsPerRun(100, func() { r.Match("shop", path) }))
}

// TestHostilePaths has a tree with two branches at every segment.
func TestHostilePaths(t *testing.T) {
	var templates []string
	for i := range 12 {
		templates = append(templates, strings.Repeat("/a", i)+strings.Repeat("/{x}", 12-i)+"/end")
	}
	r := table(t, templates...)
	assert.Empty(t, r.Match("any", []byte(strings.Repeat("/a", 100_000))))
}
