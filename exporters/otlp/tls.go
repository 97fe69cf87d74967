package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// file is a path and the key or variable that named it.
type file struct{ path, key string }

// tlsConfig reads the certificates that the configuration names, or those that
// the environment names if the configuration has none.
func (c Config) tlsConfig(s signal) (*tls.Config, error) {
	ca, cert, key := file{c.TLS.CA, "tls.ca"}, file{c.TLS.Cert, "tls.cert"}, file{c.TLS.Key, "tls.key"}
	if ca.path == "" && cert.path == "" && key.path == "" {
		ca.path, ca.key = s.lookup("CERTIFICATE")
		cert.path, cert.key = s.lookup("CLIENT_CERTIFICATE")
		key.path, key.key = s.lookup("CLIENT_KEY")
	}
	conf := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         c.TLS.ServerName,
		InsecureSkipVerify: c.TLS.InsecureSkipVerify, //nolint:gosec // only when the operator asks for it
	}
	if err := addAuthority(conf, ca); err != nil {
		return nil, err
	}
	if err := addCertificate(conf, cert, key); err != nil {
		return nil, err
	}
	return conf, nil
}

func addAuthority(conf *tls.Config, ca file) error {
	if ca.path == "" {
		return nil
	}
	pem, err := os.ReadFile(ca.path)
	if err != nil {
		return fmt.Errorf("%s: reading the certificate authority: %w", ca.key, err)
	}
	conf.RootCAs = x509.NewCertPool()
	if !conf.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s: %s holds no PEM certificate", ca.key, ca.path)
	}
	return nil
}

func addCertificate(conf *tls.Config, cert, key file) error {
	if cert.path == "" && key.path == "" {
		return nil
	}
	if cert.path == "" || key.path == "" {
		return fmt.Errorf("%s%s: a client certificate needs both a certificate and a key", cert.key, key.key)
	}
	pair, err := tls.LoadX509KeyPair(cert.path, key.path)
	if err != nil {
		return fmt.Errorf("%s, %s: reading the client certificate: %w", cert.key, key.key, err)
	}
	conf.Certificates = []tls.Certificate{pair}
	return nil
}
