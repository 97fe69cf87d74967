// Package socket loads and attaches the probes that stamp connections and requests on
// server-side sockets, and hands out one record per finished request. Package bpf has
// what it loads, survey what the kernel supports, wire and snapshot what comes out.
package socket
