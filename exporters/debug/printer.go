package debug

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"lapwing/collectors/text"
	"lapwing/probes/socket/wire"
)

// Options select what is printed of the records, and in which form.
type Options struct {
	JSON  bool // objects, one per line
	Heads bool // the captured bytes of heads and bodies, which can contain secrets
}

// Printer is a socket.Handler that prints one line for each record or event:
// each field that is not zero, under the kernel's name for it. Stamps are
// nanoseconds of the monotonic clock. It is not safe for concurrent use.
type Printer struct {
	out     *bufio.Writer
	opts    Options
	err     error
	printed uint64
}

// New returns a Printer that writes to w.
func New(w io.Writer, opts Options) *Printer {
	return &Printer{out: bufio.NewWriterSize(w, 1<<16), opts: opts}
}

// Printed returns the number of lines so far.
func (p *Printer) Printed() uint64 { return p.printed }

// Err returns the first write error.
func (p *Printer) Err() error { return p.err }

// HandleRecord implements socket.Handler.
func (p *Printer) HandleRecord(kind wire.Kind, r wire.Record) {
	l := p.line(kind)
	f := r.Fields()
	l.fields(reflect.ValueOf(f), "")
	l.address("local", f.Family, f.Local, f.LocalPort)
	l.address("peer", f.Family, f.Peer, f.PeerPort)
	if name := r.Name(); len(name) > 0 {
		l.add("name", string(name))
	}
	if p.opts.Heads {
		l.bytes("request_head", r.RequestHead())
		l.bytes("trace_parent", r.TraceParent())
		l.bytes("response_head", r.ResponseHead())
	}
	p.print(l)
}

// HandleEvent implements socket.Handler.
func (p *Printer) HandleEvent(e wire.Event) {
	l := p.line(e.EventKind())
	l.fields(reflect.ValueOf(e.Fields()), "")
	if p.opts.Heads {
		l.bytes("data", e.Bytes())
	}
	p.print(l)
}

// Tick implements socket.Handler. It flushes what was printed so far.
func (p *Printer) Tick(time.Time) { p.keep(p.out.Flush()) }

func (p *Printer) keep(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *Printer) print(l *line) {
	p.printed++
	if !p.opts.JSON {
		_, err := p.out.WriteString(l.text.String() + "\n")
		p.keep(err)
		return
	}
	p.keep(json.NewEncoder(p.out).Encode(l.object))
}

// line is one printed line, for people or for programs.
type line struct {
	text   strings.Builder
	object map[string]any // nil: for people
}

func (p *Printer) line(kind wire.Kind) *line {
	l := &line{}
	if p.opts.JSON {
		l.object = map[string]any{"kind": kind.String()}
		return l
	}
	l.text.WriteString(kind.String())
	return l
}

func (l *line) add(name string, value any) {
	if l.object != nil {
		l.object[name] = value
		return
	}
	l.text.WriteString(" " + name + "=")
	switch v := value.(type) {
	case string:
		if strings.ContainsFunc(v, func(r rune) bool { return r == ' ' || r == '"' || !unicode.IsPrint(r) }) {
			v = string(text.AppendJSON(nil, v))
		}
		l.text.WriteString(v)
	case uint64:
		l.text.WriteString(strconv.FormatUint(v, 10))
	}
}

func (l *line) bytes(name string, b []byte) {
	if len(b) > 0 {
		l.add(name, string(b))
	}
}

func (l *line) address(name string, family uint16, a [16]uint8, port uint16) {
	switch family {
	case unix.AF_INET:
		l.add(name, netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[:4])), port).String())
	case unix.AF_INET6:
		l.add(name, netip.AddrPortFrom(netip.AddrFrom16(a), port).String())
	}
}

// apart are the fields that are printed in another form, or not at all.
var apart = map[string]bool{"Kind": true, "Local": true, "Peer": true, "LocalPort": true, "PeerPort": true, "Bytes": true, "Data": true, "Pad": true}

// fields adds the fields of a record that are not zero.
func (l *line) fields(of reflect.Value, prefix string) {
	for i := range of.NumField() {
		field, value := of.Type().Field(i), of.Field(i)
		if apart[field.Name] || !field.IsExported() || value.IsZero() {
			continue
		}
		name := prefix + snake(field.Name)
		switch value.Kind() {
		case reflect.Struct:
			l.fields(value, name+".")
		case reflect.Array:
			l.array(name, value)
		case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
			l.add(name, uint64(value.Int()))
		case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
			l.add(name, value.Uint())
		}
	}
}

func (l *line) array(name string, of reflect.Value) {
	if of.Type().Elem().Kind() == reflect.Int8 || of.Type().Elem().Kind() == reflect.Uint8 {
		b := make([]byte, of.Len())
		for i := range b {
			if e := of.Index(i); e.CanInt() {
				b[i] = byte(e.Int())
			} else {
				b[i] = byte(e.Uint())
			}
		}
		b, _, _ = bytes.Cut(b, []byte{0})
		l.bytes(name, b)
		return
	}
	for i := range of.Len() {
		if e := of.Index(i); e.Kind() == reflect.Struct && !e.IsZero() {
			l.fields(e, name+"["+strconv.Itoa(i)+"].")
		}
	}
}

// snake converts a Go name to the kernel's.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
