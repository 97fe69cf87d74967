package truth

import (
	"encoding/json"
	"net/netip"
)

// MaxID is the longest request id that is recorded, in bytes. Longer ones are
// cut.
const MaxID = 64

// Record is the truth about one request, as its server saw it. All stamps are
// CLOCK_MONOTONIC nanoseconds. An event that never happened is zero.
type Record struct {
	id    [MaxID]byte
	idLen uint8

	Worker      int
	TID         int // thread that ran the application
	AcceptorTID int // thread that accepted the connection
	Peer        netip.AddrPort
	Seq         int    // number of the request on its connection, from 1
	Method      string // a constant of the parser
	Route       string // a constant of the application
	Status      int
	Error       string // why the response is not complete, a constant

	RequestBytes  int64 // head and body as received over the socket
	ResponseBytes int64 // head and body as sent

	Accept     int64 // accept returned the connection
	Handover   int64 // a worker took the connection or the request from a queue
	ReadFirst  int64 // the read with the request's first byte returned
	Read       int64 // the read with the request's last byte returned
	AppEnter   int64 // the application was called
	AppLeave   int64 // the application returned
	WriteEnter int64 // the first write of the response was entered
	WriteLeave int64 // the last write of the response returned

	UpstreamWrite int64 // a front end entered its first write to its upstream server
}

// SetID sets the id of the request that the client chose.
func (r *Record) SetID(id []byte) { r.idLen = uint8(copy(r.id[:], id)) }

// ID returns the id of the request that the client chose.
func (r *Record) ID() string { return string(r.id[:r.idLen]) }

// Line is one line of the truth file. docs/refserver.md explains the fields.
type Line struct {
	ID            string `json:"id,omitempty"`
	Arch          string `json:"arch"`
	Worker        int    `json:"worker"`
	PID           int    `json:"pid"`
	TID           int    `json:"tid"`
	AcceptorTID   int    `json:"acceptor_tid,omitempty"`
	Peer          string `json:"peer,omitempty"`
	Seq           int    `json:"seq"`
	Method        string `json:"method,omitempty"`
	Route         string `json:"route,omitempty"`
	Status        int    `json:"status,omitempty"`
	Error         string `json:"error,omitempty"`
	RequestBytes  int64  `json:"request_bytes"`
	ResponseBytes int64  `json:"response_bytes"`
	AcceptNS      int64  `json:"accept_ns,omitempty"`
	HandoverNS    int64  `json:"handover_ns,omitempty"`
	ReadFirstNS   int64  `json:"read_first_ns,omitempty"`
	ReadNS        int64  `json:"read_ns,omitempty"`
	AppEnterNS    int64  `json:"app_enter_ns,omitempty"`
	AppLeaveNS    int64  `json:"app_leave_ns,omitempty"`
	WriteEnterNS  int64  `json:"write_enter_ns,omitempty"`
	WriteLeaveNS  int64  `json:"write_leave_ns,omitempty"`

	UpstreamWriteNS int64 `json:"upstream_write_ns,omitempty"`
}

func (r *Record) line(arch string, pid int) Line {
	l := Line{
		ID: r.ID(), Arch: arch, Worker: r.Worker, PID: pid, TID: r.TID, AcceptorTID: r.AcceptorTID,
		Seq: r.Seq, Method: r.Method, Route: r.Route, Status: r.Status, Error: r.Error,
		RequestBytes: r.RequestBytes, ResponseBytes: r.ResponseBytes,
		AcceptNS: r.Accept, HandoverNS: r.Handover, ReadFirstNS: r.ReadFirst, ReadNS: r.Read,
		AppEnterNS: r.AppEnter, AppLeaveNS: r.AppLeave, WriteEnterNS: r.WriteEnter, WriteLeaveNS: r.WriteLeave,
		UpstreamWriteNS: r.UpstreamWrite,
	}
	if r.Peer.IsValid() {
		l.Peer = r.Peer.String()
	}
	return l
}

func (r *Record) appendJSON(b []byte, arch string, pid int) []byte {
	// A Line holds only strings and integers: it cannot fail to marshal.
	line, _ := json.Marshal(r.line(arch, pid))
	return append(append(b, line...), '\n')
}
