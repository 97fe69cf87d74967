// Package socket loads and attaches the probes that stamp connections and requests on
// server-side sockets, and hands out one record per finished request. What it loads is
// in package bpf, what the kernel can carry in survey, what comes out in wire and
// snapshot.
package socket
