package metrics

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/processconv"
)

// conventions are the instruments of the OpenTelemetry conventions that this
// agent supports.
var conventions = []described{
	httpconv.ServerRequestDuration{}, httpconv.ServerRequestBodySize{}, httpconv.ServerResponseBodySize{},
	httpconv.ServerActiveRequests{}, processconv.CPUTime{}, processconv.MemoryUsage{},
	processconv.ThreadCount{}, processconv.UnixFileDescriptorCount{},
}

func TestNamesAreStandardOrOurOwn(t *testing.T) {
	units := map[string]string{}
	for _, i := range conventions {
		units[i.Name()] = i.Unit()
	}
	seen := map[string]bool{}
	for _, f := range Families() {
		assert.False(t, seen[f.Name], "%s is there twice", f.Name)
		seen[f.Name] = true
		unit, standard := units[f.Name]
		assert.True(t, standard || strings.HasPrefix(f.Name, "lapwing."), "%s is nobody's name", f.Name)
		if standard {
			assert.Equal(t, unit, f.Unit, f.Name)
		}
		assert.Regexp(t, regexp.MustCompile(`^(s|By|\{[a-z_]+\})$`), f.Unit, f.Name)
		assert.NotEmpty(t, f.Description, f.Name)
		assert.Equal(t, f.Kind == KindHistogram, len(f.Bounds) > 0, f.Name)
	}
	for name := range units {
		assert.True(t, seen[name], "%s is missing", name)
	}
}

func TestMethodsAreTheConventions(t *testing.T) {
	for _, m := range []httpconv.RequestMethodAttr{
		httpconv.RequestMethodConnect, httpconv.RequestMethodDelete, httpconv.RequestMethodGet, httpconv.RequestMethodHead,
		httpconv.RequestMethodOptions, httpconv.RequestMethodPatch, httpconv.RequestMethodPost, httpconv.RequestMethodPut,
		httpconv.RequestMethodTrace, httpconv.RequestMethodQuery,
	} {
		assert.True(t, KnownMethod(string(m)), m)
	}
	assert.EqualValues(t, httpconv.RequestMethodOther, MethodOther)
	assert.False(t, KnownMethod(MethodOther))
}
