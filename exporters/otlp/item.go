package otlp

import "lapwing/collectors/request"

// HTTPDetail is what an HTTP request's Detail may know beyond the fields of
// Request. The results need to be valid only as long as the request is.
type HTTPDetail interface {
	// QueryString is the target after the '?', nil when there is none.
	QueryString() []byte
	// UserAgentOriginal is the User-Agent header, nil when there is none.
	UserAgentOriginal() []byte
	// MethodOriginal is the method as sent, nil when Request.Method is it.
	MethodOriginal() []byte
}

// item is a request on its way to a span: a copy that owns its memory and is
// used again for a later request.
type item struct {
	req       request.Request // without Detail
	query     []byte
	userAgent []byte
	method    []byte // as sent, where the request's own field differs
	verdict   verdict
	text      []byte // what the byte slices above point into
}

// maxText is how much text an idle item may hold on to. More comes only from
// heads that are longer than the agent's default limit.
const maxText = 2 << 10

// fill makes i a copy of r.
func (i *item) fill(r *request.Request, v verdict) {
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

// own copies b behind what text holds. When text has to grow, what was copied
// before stays where it was.
func (i *item) own(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	from := len(i.text)
	i.text = append(i.text, b...)
	return i.text[from:len(i.text):len(i.text)]
}

// clear lets go of what the request referred to.
func (i *item) clear() {
	text := i.text[:0]
	if cap(text) > maxText {
		text = nil
	}
	*i = item{text: text}
}
