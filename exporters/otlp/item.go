package otlp

import (
	"lapwing/collectors/request"
	"lapwing/exporters/otlp/sampling"
)

// HTTPDetail is implemented by the Detail of an HTTP request that knows more
// than the fields of Request. The results only need to be valid as long as the
// request is.
type HTTPDetail interface {
	// QueryString returns the target after the '?', nil if there is none.
	QueryString() []byte
	// UserAgentOriginal returns the User-Agent header, nil if there is none.
	UserAgentOriginal() []byte
	// MethodOriginal returns the method as sent, nil if it equals
	// Request.Method.
	MethodOriginal() []byte
}

// item is a request on its way to a span: a copy that owns its memory. It is
// reused for later requests.
type item struct {
	req       request.Request // without Detail
	query     []byte
	userAgent []byte
	method    []byte // as sent, if the field of the request differs
	verdict   sampling.Verdict
	text      []byte // the memory of the byte slices above
}

// maxText is the most text that an idle item keeps, in bytes. More only comes
// from heads that are longer than the default limit of the agent.
const maxText = 2 << 10

// fill makes i a copy of r.
func (i *item) fill(r *request.Request, v sampling.Verdict) {
	i.req, i.verdict = *r, v
	i.req.Detail = nil
	i.query, i.userAgent, i.method = nil, nil, nil
	if d, ok := r.Detail.(HTTPDetail); ok {
		i.query, i.userAgent, i.method = d.QueryString(), d.UserAgentOriginal(), d.MethodOriginal()
	}
	i.text = i.text[:0]
	for _, field := range i.fields() {
		*field = i.own(*field)
	}
}

func (i *item) fields() [8]*[]byte {
	return [...]*[]byte{
		&i.req.Path, &i.req.Host, &i.req.TraceState, &i.req.Local.Unix, &i.req.Peer.Unix,
		&i.query, &i.userAgent, &i.method,
	}
}

// own appends a copy of b to text. When text has to grow, earlier copies stay
// where they are.
func (i *item) own(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	from := len(i.text)
	i.text = append(i.text, b...)
	return i.text[from:len(i.text):len(i.text)]
}

// clear releases what the request referred to.
func (i *item) clear() {
	text := i.text[:0]
	if cap(text) > maxText {
		text = nil
	}
	*i = item{text: text}
}
