package http1

// HeadSizes is how many bytes of the request and of the response were their
// heads; 0 where the end of the head was not seen.
func (m *Message) HeadSizes() (request, response int) {
	return max(m.RequestHeadLen, 0), max(m.ResponseHeadLen, 0)
}
