package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// erl is a command line of the Erlang virtual machine, as erl makes it.
func erl(rest string) string {
	return "/usr/lib/erlang/erts-13.1.5/bin/beam.smp -K true -- -root /usr/lib/erlang -bindir /usr/lib/erlang/erts-13.1.5/bin -progname erl -- -home /root -- " + rest
}

// TestProgramNames compares the names with what operators call these servers. The
// command lines are those of the servers' own start scripts.
func TestProgramNames(t *testing.T) {
	const beam, java, busybox = "/usr/lib/erlang/erts-13.1.5/bin/beam.smp", "/usr/lib/jvm/java-17/bin/java", "/usr/bin/busybox"
	tomcat := "/usr/bin/java -Djava.util.logging.config.file=/etc/l.properties --add-opens=java.base/java.lang=ALL-UNNAMED -classpath /usr/share/tomcat10/bin/bootstrap.jar -Dcatalina.base=/var/lib/tomcat10 -Dcatalina.home=/usr/share/tomcat10 "
	for _, tt := range []struct{ want, exe, args, cwd string }{
		{"yaws", beam, erl("-pa /usr/lib/yaws/ebin -yaws id default -noshell -noinput -s yaws"), "/"},
		{"ejabberd", beam, erl("-sname node1@web-1 -mnesia dir /var/lib/ejabberd -boot /usr/lib/erlang/bin/start_sasl -noshell -s ejabberd"), "/"},
		{"rabbitmq", beam, erl("-pa -noshell -noinput -s rabbit boot -boot start_sasl -sname rabbit@web-1"), "/"},
		{"couchdb", "/opt/couchdb/erts-12.3/bin/beam.smp", "/opt/couchdb/bin/../erts-12.3/bin/beam.smp -K true -- -root /opt/couchdb/bin/.. -progname couchdb -- -home /opt/couchdb -- -boot /opt/couchdb/releases/3.2.2/couchdb -name couchdb@127.0.0.1", "/opt/couchdb"},
		{"shop", beam, erl("-boot /srv/shop/releases/1.4.0/shop -mode embedded -name prod7@10.0.0.4"), "/srv/shop"},
		{"shop", beam, erl("-noshell -s elixir start_cli -mode embedded -setcookie x -sname shop -boot /app/releases/0.1.0/start -boot_var RELEASE_LIB /app/lib -- -extra --no-halt"), "/app"},
		{"storefront", beam, erl("-pa /usr/lib/elixir/lib/eex/ebin -noshell -s elixir start_cli -extra /usr/bin/mix phx.server"), "/srv/storefront"},
		{"feed", beam, erl("-noshell -s elixir start_cli -extra feed.exs"), "/srv/tools"},
		{"quotes", beam, erl("-boot no_dot_erlang -noshell -run escript start -extra ./quotes.escript 8080"), "/srv"},
		{"hello", beam, erl("-noshell -s inets -s hello"), "/srv"},
		{"erlang", beam, erl("-noshell -s inets -eval application:start(x)"), "/"},

		{"httpd", busybox, "busybox httpd -f -p 8080", "/"},
		{"httpd", busybox, "httpd -f -p 8080", "/"},
		{"httpd", "/bin/busybox.static", "/bin/busybox.static httpd", "/"},
		{"ftpd", "/usr/bin/toybox", "toybox ftpd", "/"},
		{"tickets", busybox, "/bin/sh /srv/tickets.sh", "/"},
		{"sh", busybox, "-sh", "/"},

		{"tomcat", java, tomcat + "org.apache.catalina.startup.Bootstrap start", "/var/lib/tomcat10"},
		{"tomcat", java, "java -cp tomcat-embed-core.jar:. org.apache.catalina.startup.Tomcat --port 8080", "/srv"},
		{"tomcat", "/usr/bin/jsvc", "jsvc.exec -java-home /usr/lib/jvm/java-17 -user tomcat -pidfile /run/tomcat.pid -cp /opt/tomcat/bin/bootstrap.jar org.apache.catalina.startup.Bootstrap", "/"},
		{"jetty", java, "java -Djetty.base=/var/lib/jetty9 -Djetty.home=/usr/share/jetty9 -jar /usr/share/jetty9/start.jar", "/"},
		{"jetty", java, "java -cp /opt/j/lib/* org.eclipse.jetty.ee10.Runner", "/"},
		{"wildfly", java, "java -D[Standalone] -Xmx512m -jar /opt/wildfly/jboss-modules.jar -mp /opt/wildfly/modules org.jboss.as.standalone", "/"},
		{"shop", java, "java -cp /srv/shop/lib/tomcat-embed-core.jar:classes Main", "/srv/shop"},
		{"ShopApplication", java, "java -cp /srv/shop/lib/* com.example.ShopApplication", "/srv/shop"},

		{"Shop.Web", "/usr/share/dotnet/dotnet", "dotnet /app/Shop.Web.dll --urls http://*:5000", "/app"},
		{"blog", "/usr/bin/deno", "deno run --allow-net -c deno.json server.ts", "/srv/blog"},
		{"api", "/usr/bin/bun", "bun run api.ts", "/srv/x"},
		{"poll", "/bin/bash", "bash -eu /usr/local/bin/poll.sh", "/"},
	} {
		args := strings.Fields(tt.args)
		p := process{exe: tt.exe, args: args, cwd: tt.cwd, comm: filepath.Base(args[0])}
		none := func(process) (process, bool) { return process{}, false }
		require.Equal(t, tt.want, programOf(p, none), tt.args)
	}
}

// TestScriptThatTookTheServersPlace has CGI without a pipe: the process that read
// the request executes the script.
func TestScriptThatTookTheServersPlace(t *testing.T) {
	for _, tt := range []struct{ server, script string }{
		{"perl", "perl"}, {"perl", "sh"}, {"sh", "perl"},
	} {
		t.Run(tt.server+" then "+tt.script, func(t *testing.T) {
			dir := t.TempDir()
			interpreter := map[string]string{"perl": "#!/usr/bin/perl\n", "sh": "#!/bin/sh\n"}
			write := func(name, text string) string {
				file := filepath.Join(dir, name)
				require.NoError(t, os.WriteFile(file, []byte(text), 0o755))
				return file
			}
			wait := map[string]string{"perl": "$| = 1; print \"$$\\n\"; sleep 60;\n", "sh": "echo $$; sleep 60\n"}[tt.script]
			script := write("hello.cgi", interpreter[tt.script]+wait)
			fork := map[string]string{
				"perl": "if (!fork) { exec '" + script + "'; } sleep 60;\n",
				"sh":   "( exec " + script + " ) & sleep 60\n",
			}[tt.server]
			server := write("frontd", interpreter[tt.server]+fork)
			pid := startPrinting(t, server)
			r, err := New(Options{Host: "here"})
			require.NoError(t, err)
			require.Equal(t, "frontd", r.Lookup(pid, "frontd").Kind, "it read the request before it was the script")
			r.Forget(pid)
			require.Equal(t, "hello", r.Lookup(pid, "hello.cgi").Kind, "a script that serves on its own")
		})
	}
}
