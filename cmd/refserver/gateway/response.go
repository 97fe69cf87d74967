package gateway

import "errors"

// Output unwraps the output stream of a FastCGI response.
type Output struct{ ended bool }

// Ended reports whether the end of the request was seen.
func (o *Output) Ended() bool { return o.ended }

// Next takes one record from the start of p. It returns how many bytes it used,
// and the content of the output stream among them. It uses no bytes if it needs
// more of them.
func (o *Output) Next(p []byte) (used int, content []byte, err error) {
	r, n, err := CutRecord(p)
	if err != nil || n == 0 {
		return 0, nil, err
	}
	switch r.Type {
	case fcgiStdout:
		return n, r.Content, nil
	case fcgiStderr: // the log of the application
		return n, nil, nil
	case fcgiEnd:
		o.ended = true
		return n, nil, nil
	}
	return 0, nil, errors.New("a FastCGI record is none that a response has")
}
