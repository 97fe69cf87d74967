package prometheus

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// DefaultPort is the port that is allocated to OpenTelemetry in Prometheus's
// list of ports.
const DefaultPort = 9464

// Config sets where metrics are served, and who may read them.
type Config struct {
	Listen    string    `koanf:"listen" doc:"Address and port of the HTTP server, which serves metrics at /metrics; if empty, there is no server. A port without an address, such as :9464, listens on 127.0.0.1 only." example:"127.0.0.1:9464"`
	TLS       TLS       `koanf:"tls" doc:"Serve HTTPS. Requires both cert and key."`
	BasicAuth BasicAuth `koanf:"basic_auth" doc:"Require a user name and a password from scrapers. Requires both keys."`
}

// TLS names the certificate files of an https server.
type TLS struct {
	Cert     string `koanf:"cert" doc:"PEM file of the server's certificate, followed by intermediate certificates." example:"/etc/lapwing/metrics.pem"`
	Key      string `koanf:"key" doc:"PEM file of the private key of the certificate." example:"/etc/lapwing/metrics-key.pem"`
	ClientCA string `koanf:"client_ca" doc:"PEM file of the certificate authorities that client certificates must come from; if empty, no client certificate is required." example:"/etc/lapwing/scrapers.pem"`
}

// BasicAuth sets who may scrape.
type BasicAuth struct {
	Username     string `koanf:"username" doc:"The user name." example:"prometheus"`
	PasswordFile string `koanf:"password_file" doc:"File that contains the password, on one line." example:"/etc/lapwing/scrape-password"`
}

// Enabled reports whether metrics are served.
func (c Config) Enabled() bool { return c.Listen != "" }

// Validate reports the first key whose value cannot work. The error starts with
// the key. It reads no files and opens no ports.
func (c Config) Validate() error {
	if c.Listen != "" {
		if _, err := c.address(); err != nil {
			return err
		}
	}
	switch {
	case (c.TLS.Cert == "") != (c.TLS.Key == ""):
		return errors.New("tls needs both cert and key: set both or remove both")
	case c.TLS.ClientCA != "" && c.TLS.Cert == "":
		return errors.New("tls.client_ca needs tls.cert and tls.key: client certificates require HTTPS")
	case (c.BasicAuth.Username == "") != (c.BasicAuth.PasswordFile == ""):
		return errors.New("basic_auth needs both username and password_file: set both or remove both")
	}
	return nil
}

// local reports whether the server listens on loopback, where compression would
// cost the agent more time than it saves.
func (c Config) local() bool {
	address, _ := c.address() // valid, or there is no server
	at, err := netip.ParseAddrPort(address)
	return err == nil && at.Addr().IsLoopback()
}

// address returns the address to listen on. Without a host it is on loopback:
// the metrics are only opened to a network if that is configured.
func (c Config) address() (string, error) {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "", fmt.Errorf("listen %q is not an address with a port: use one like 127.0.0.1:%d", c.Listen, DefaultPort)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("listen %q has no port from 1 to 65535: use one like 127.0.0.1:%d", c.Listen, DefaultPort)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}
