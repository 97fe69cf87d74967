package daemon

import (
	"fmt"

	"lapwing/cmd/refserver/config"
	"lapwing/cmd/refserver/gateway"
	"lapwing/cmd/refserver/httpio"
	"lapwing/cmd/refserver/prefork"
)

// Run serves until SIGTERM or SIGINT.
func Run(cfg config.Config) error {
	newCodec, err := codec(cfg.Protocol)
	if err != nil {
		return err
	}
	return prefork.RunCodec(cfg, newCodec)
}

func codec(protocol string) (func() httpio.Codec, error) {
	switch protocol {
	case "http":
		return httpio.NewHTTP, nil
	case "fastcgi":
		return gateway.NewFastCGI, nil
	case "uwsgi":
		return gateway.NewUWSGI, nil
	case "scgi":
		return gateway.NewSCGI, nil
	}
	return nil, fmt.Errorf("unknown protocol %q: choose one of http, fastcgi, uwsgi, scgi with --protocol", protocol)
}
