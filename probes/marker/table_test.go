package marker

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lapwing/probes/uprobe"
)

func TestTableIsSound(t *testing.T) {
	for _, m := range Table {
		for pattern := range strings.SplitSeq(m.Program+"|"+m.File, "|") {
			_, err := path.Match(pattern, "x")
			require.NoError(t, err, "%s: %s", m.Server, pattern)
		}
		require.NotEmpty(t, m.Symbol)
		require.NotZero(t, m.Rank)
	}
}

func TestFilesThatHoldMarkers(t *testing.T) {
	for _, tt := range []struct{ program, file, symbol string }{
		{"/usr/bin/uwsgi-core", "/usr/lib/uwsgi/plugins/python311_plugin.so", "python_call"},
		{"/opt/venv/bin/uwsgi", "/opt/venv/bin/uwsgi", "python_call"},
		{"/usr/sbin/apache2", "/usr/sbin/apache2", "ap_invoke_handler"},
		{"/usr/local/apache2/bin/httpd", "/usr/lib/apache2/modules/mod_wsgi.so-3.11", "wsgi_start_request"},
		{"/usr/sbin/apache2", "/usr/lib/apache2/modules/libphp8.2.so", "php_execute_script"},
		{"/usr/sbin/php-fpm8.2", "/usr/sbin/php-fpm8.2", "php_execute_script"},
		{"/usr/sbin/nginx", "/usr/sbin/nginx", "ngx_http_handler"},
	} {
		in := uprobe.Holding(On.functions(), tt.program, tt.file)
		require.Len(t, in, 1, tt.file)
		require.Equal(t, tt.symbol, in[0].Symbol)
	}
	require.Empty(t, uprobe.Holding(On.functions(), "/usr/bin/python3", "/usr/lib/uwsgi/plugins/python311_plugin.so"))
	require.Empty(t, uprobe.Holding(On.functions(), "/usr/sbin/nginx", "/lib/x86_64-linux-gnu/libc.so.6"))
}

func TestModes(t *testing.T) {
	require.Empty(t, Off.functions())
	require.Len(t, On.functions(), len(Table))
	for _, f := range On.functions() {
		require.True(t, f.Anywhere, f.Of)
	}
	for _, f := range Auto.functions() {
		require.False(t, f.Anywhere, f.Of)
	}
	for _, m := range Table {
		uses := slices.ContainsFunc(Auto.functions(), func(f uprobe.Function) bool { return f.Of == m.Server })
		require.Equal(t, !m.Costly, uses, m.Server)
	}
	for text, want := range map[string]Mode{"auto": Auto, "On": On, "OFF": Off} {
		got, err := ParseMode(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := ParseMode("")
	require.EqualError(t, err, `unknown value "" for markers: use auto, on or off`)
}
