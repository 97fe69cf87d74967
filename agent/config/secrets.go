package config

import (
	"fmt"
	"os"
)

// Warnings returns warnings about files with secrets that other users can read
// or change. file is the file of the configuration itself.
func (c Config) Warnings(file string) (warnings []string) {
	for _, f := range c.secretFiles(file) {
		info, err := os.Stat(f.name)
		if err != nil {
			continue // opening the file reports the error
		}
		switch mode := info.Mode().Perm(); {
		case mode&0o002 != 0:
			warnings = append(warnings, fmt.Sprintf("%s can be changed by every user of this host: run chmod o-w %s", f.name, f.name))
		case mode&0o004 != 0 && f.what != "":
			warnings = append(warnings, fmt.Sprintf("%s contains %s and can be read by every user of this host: run chmod o-r %s", f.name, f.what, f.name))
		}
	}
	return warnings
}

type secretFile struct{ name, what string }

// secretFiles lists the files to check and the secrets in them. A configuration
// without secrets may be readable by all users, but writable by none of them.
func (c Config) secretFiles(file string) (all []secretFile) {
	own := secretFile{name: file}
	if len(c.Export.OTLP.Headers) > 0 {
		own.what = "headers for receivers (export.otlp.headers), which are often API keys,"
	}
	for _, f := range []secretFile{
		own,
		{c.Export.OTLP.TLS.Key, "the private key of a certificate (export.otlp.tls.key)"},
		{c.Export.Prometheus.TLS.Key, "the private key of a certificate (export.prometheus.tls.key)"},
		{c.Export.Prometheus.BasicAuth.PasswordFile, "a password (export.prometheus.basic_auth.password_file)"},
	} {
		if f.name != "" {
			all = append(all, f)
		}
	}
	return all
}
