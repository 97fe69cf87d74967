package prometheus

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// load reads the certificates. The result is nil for plain HTTP.
func (c TLS) load() (*tls.Config, error) {
	if c.Cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("tls.cert, tls.key: reading the server's certificate: %w", err)
	}
	conf := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{pair},
		NextProtos:   []string{"http/1.1"},
	}
	if c.ClientCA == "" {
		return conf, nil
	}
	pem, err := os.ReadFile(c.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("tls.client_ca: reading the certificate authorities: %w", err)
	}
	conf.ClientCAs, conf.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !conf.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls.client_ca: %s holds no PEM certificate", c.ClientCA)
	}
	return conf, nil
}

// guard passes requests on to next only if they have the password. Without a
// configured password it passes all of them.
func (c BasicAuth) guard(next http.Handler) (http.Handler, error) {
	if c == (BasicAuth{}) {
		return next, nil
	}
	raw, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("basic_auth.password_file: reading the password: %w", err)
	}
	password := strings.TrimRight(string(raw), "\r\n")
	if password == "" {
		return nil, fmt.Errorf("basic_auth.password_file: %s is empty", c.PasswordFile)
	}
	// Hashes are compared, so that the time does not reveal the length.
	want := sha256.Sum256([]byte(c.Username + "\x00" + password))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, given, _ := r.BasicAuth()
		got := sha256.Sum256([]byte(name + "\x00" + given))
		if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="lapwing"`)
			http.Error(w, "a user name and a password are required", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}
