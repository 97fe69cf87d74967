package load

import "time"

// Script is what one client does, from connect to close.
type Script struct {
	// ReceiveBuffer is the size of the socket's receive buffer in bytes; 0
	// means the kernel's default.
	ReceiveBuffer int
	Play          func(*Conn) error
}

// Once requests the target and closes.
func Once(target string) Script {
	return Script{Play: func(c *Conn) error {
		return ask(c, Request{Target: target, Close: true})
	}}
}

// KeepAlive sends several requests on one connection, with a pause between
// them.
func KeepAlive(target string, times int, think time.Duration) Script {
	return Script{Play: func(c *Conn) error {
		for i := range times {
			if i > 0 {
				time.Sleep(think)
			}
			if err := ask(c, Request{Target: target, Close: i == times-1}); err != nil {
				return err
			}
		}
		return nil
	}}
}

// Pipelined sends several requests in one write, before it reads a response.
func Pipelined(target string, times int) Script {
	requests := make([]Request, times)
	for i := range requests {
		requests[i] = Request{Target: target, Close: i == times-1}
	}
	return Script{Play: func(c *Conn) error { return ask(c, requests...) }}
}

// SlowUpload sends a body in pieces, with a pause between them.
func SlowUpload(target string, body, pieces int, pause time.Duration) Script {
	return Script{Play: func(c *Conn) error {
		r := Request{Method: "POST", Target: target, Body: body, Close: true}
		if err := c.SendSlowly(r, pieces, pause); err != nil {
			return err
		}
		return c.Receive()
	}}
}

// SlowReader reads the response in chunks, with a pause before each.
func SlowReader(target string, buffer, chunk int, pause time.Duration) Script {
	return Script{ReceiveBuffer: buffer, Play: func(c *Conn) error {
		c.ReadSlowly(chunk, pause)
		return ask(c, Request{Target: target, Close: true})
	}}
}

func ask(c *Conn, requests ...Request) error {
	if err := c.Send(requests...); err != nil {
		return err
	}
	return c.Receive()
}
