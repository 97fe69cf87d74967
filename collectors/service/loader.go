package service

import (
	"path"
	"slices"
	"strings"
)

// loaders are scripts of application servers that load the application from their
// working directory. Passenger starts one for each application.
var loaders = []string{
	"wsgi-loader.py", "rack-loader.rb", "rack-preloader.rb", "node-loader.js", "meteor-loader.rb",
}

func isLoader(script string) bool { return slices.Contains(loaders, path.Base(script)) }

// titleApplication returns the name of the application whose directory is in a
// process title, after the kind of process ("Passenger RubyApp: /srv/shop
// (production)"). It is empty if there is none.
func titleApplication(title string) string {
	_, app, _ := strings.Cut(title, ": ")
	if app, _, _ = strings.Cut(app, " ("); !path.IsAbs(app) {
		return ""
	}
	return scriptName(app)
}
