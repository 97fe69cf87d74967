package service

import (
	"path"
	"strings"
)

// javaServers are application servers, by the start of the class or the end of the
// path of the archive that starts them.
var javaServers = []struct{ class, archive, name string }{
	{"org.apache.catalina.", "/bin/bootstrap.jar", "tomcat"},
	{"org.apache.tomee.", "", "tomee"},
	{"org.eclipse.jetty.", "", "jetty"},
	{"org.jboss.modules.", "/jboss-modules.jar", "wildfly"},
	{"com.sun.enterprise.glassfish.", "/glassfish.jar", "glassfish"},
	{"com.ibm.ws.", "/ws-server.jar", "liberty"},
	{"io.undertow.", "", "undertow"},
}

// javaServer returns the name of an application server, whatever class starts it.
// It is empty for other programs.
func javaServer(p process, target string) string {
	for _, known := range javaServers {
		if strings.HasPrefix(target, known.class) || known.archive != "" && strings.HasSuffix("/"+target, known.archive) {
			return known.name
		}
	}
	// Jetty's starter is called start.jar. Its settings show that it is Jetty.
	if path.Base(target) == "start.jar" && (javaProperty(p.args, "jetty.home")+javaProperty(p.args, "jetty.base") != "" || strings.Contains(target, "jetty")) {
		return "jetty"
	}
	return ""
}

// javaProperty returns the value of -Dname=value, or the empty string.
func javaProperty(args []string, name string) string {
	for _, arg := range args {
		if value, ok := strings.CutPrefix(arg, "-D"+name+"="); ok {
			return value
		}
	}
	return ""
}
