package http1

// HeadSizes returns the lengths of the request head and the response head in bytes.
// A length is 0 if the end of the head was not seen.
func (m *Message) HeadSizes() (request, response int) {
	return max(m.RequestHeadLen, 0), max(m.ResponseHeadLen, 0)
}
