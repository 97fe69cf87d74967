package e2e

import (
	"lapwing/agent/e2e/peer"
)

// foreignCases are connections with another protocol, from the start or from
// some time on. Their bytes must not produce requests.
func foreignCases() []hardCase {
	hello := "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + string(make([]byte, 160))
	return []hardCase{
		tunnel("upgrade", get("/ws", "Connection: Upgrade", "Upgrade: websocket"),
			"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
			want{n: "1", path: "/ws", status: 101, flags: []string{"upgraded"}}),
		tunnel("connect", "CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n",
			"HTTP/1.1 200 Connection Established\r\n\r\n",
			want{n: "1", method: "CONNECT", path: "", status: 200, flags: []string{"upgraded"}}),
		foreign("tls", hello, "\x16\x03\x03\x00\x31\x02\x00\x00\x2d\x03\x03"+string(make([]byte, 40))),
		foreign("http/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
			"\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
		foreign("binary noise", "\x00\xff\x17\x80noise\x01\x02\x03", "\xfe\xed\xfa\xce"),
		foreign("text that is no request", "HELO example.test\r\n", "250 example.test\r\n"),
		foreign("bytes that only begin like a request", "GETTING HTTP DONE\r\n\r\n", "nothing\r\n"),
		serverSpeaksFirst(),
	}
}

// tunnel is a connection that carries opaque bytes after its first response,
// among them bytes that look like a request.
func tunnel(name, request, response string, w want) hardCase {
	inner := get("/inside-the-tunnel")
	return hardCase{
		name: "tunnel by " + name,
		server: peer.Script(peer.Accept().As("accept"), peer.ReadHead().As("read1"), peer.Sleep(ms(20)),
			peer.Write(response).As("write1"), peer.ReadFull(7), peer.Write("\x81\x02ok"),
			peer.ReadFull(len(inner)), peer.Write(reply("200 OK", "inside")), peer.Close()),
		clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
			peer.Write(request).As("send1"), peer.ReadFull(len(response)),
			peer.Write("\x81\x85\x00\x00\x00\x00a"), peer.ReadFull(4),
			peer.Write(inner), peer.ReadEOF(), peer.Close())},
		want: []want{w},
	}
}

// foreign is a connection of another protocol: request, response, request,
// response.
func foreign(name, ask, answer string) hardCase {
	return hardCase{
		name: "no request in " + name,
		server: peer.Script(peer.Accept(),
			peer.ReadFull(len(ask)), peer.Sleep(ms(5)), peer.Write(answer),
			peer.ReadFull(len(ask)), peer.Sleep(ms(5)), peer.Write(answer), peer.Close()),
		clients: []peer.Program{peer.Script(peer.Connect(),
			peer.Write(ask), peer.ReadFull(len(answer)),
			peer.Write(ask), peer.ReadFull(len(answer)), peer.ReadEOF(), peer.Close())},
	}
}

// serverSpeaksFirst greets its client, as mail and database servers do.
func serverSpeaksFirst() hardCase {
	greeting, answer := "220 example.test ready\r\n", "250 at your service\r\n"
	return hardCase{
		name: "no request where the server speaks first",
		server: peer.Script(peer.Accept(), peer.Write(greeting), peer.ReadFull(6),
			peer.Write(answer), peer.ReadFull(6), peer.Write(answer), peer.Close()),
		clients: []peer.Program{peer.Script(peer.Connect(), peer.ReadFull(len(greeting)),
			peer.Write("EHLO\r\n"), peer.ReadFull(len(answer)),
			peer.Write("QUIT\r\n"), peer.ReadEOF(), peer.Close())},
	}
}
