// client: a closed loop of HTTP requests, as small as possible.
//
//   client tcp:PORT|unix:PATH|udp: kept|each CONNECTIONS WARM_UP REQUESTS PID
//
// udp: no requests, but datagrams of 200 bytes from one socket of the client to
// another. They show what the agent costs other traffic.
//
// kept: every connection carries one request after the other. each: every
// request has a connection of its own, which the server closes.
//
// After WARM_UP requests and a pause it makes REQUESTS more and prints three
// times, in nanoseconds: how long they took; the CPU time that process PID used
// after them for the work they left; all CPU time that PID used for them. PID 0
// means no process. In a guest whose clock counts instructions and skips idle
// time, nanoseconds are instructions.
//
// It has one thread, and no allocation and no timer in the loop, so that its own
// cost is the same in every run. Anything unexpected ends it with status 1.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <glob.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { most_connections = 64 };

static const char kept_request[] = "GET /bench HTTP/1.1\r\nHost: guest\r\n\r\n";
static const char each_request[] = "GET /bench HTTP/1.1\r\nHost: guest\r\nConnection: close\r\n\r\n";

static union {
	struct sockaddr any;
	struct sockaddr_in tcp;
	struct sockaddr_un unix_socket;
} server;
static socklen_t server_size;

static const char *request;
static size_t request_size;
static int keep;
static int datagrams;
static int from, to; // the two sockets of datagrams
static ssize_t answer_size; // learned from the first answer: all are alike
static int poller;

static void fail(const char *what)
{
	fprintf(stderr, "client: %s: %s\n", what, errno ? strerror(errno) : "unexpected");
	exit(1);
}

static void address(const char *text)
{
	if (strcmp(text, "udp:") == 0) {
		datagrams = 1;
	} else if (strncmp(text, "tcp:", 4) == 0) {
		server.tcp.sin_family = AF_INET;
		server.tcp.sin_port = htons(atoi(text + 4));
		server.tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		server_size = sizeof(server.tcp);
	} else if (strncmp(text, "unix:", 5) == 0 && strlen(text + 5) < sizeof(server.unix_socket.sun_path)) {
		server.unix_socket.sun_family = AF_UNIX;
		strcpy(server.unix_socket.sun_path, text + 5);
		server_size = sizeof(server.unix_socket);
	} else {
		fail("the address must be tcp:PORT, unix:PATH or udp:");
	}
}

static long long now(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		fail("clock_gettime");
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void ask(int fd)
{
	if (send(fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size)
		fail("send");
}

static int dial(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fd = socket(server.any.sa_family, SOCK_STREAM, 0), one = 1;

	if (fd < 0)
		fail("socket");
	if (server.any.sa_family == AF_INET && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0)
		fail("TCP_NODELAY");
	if (connect(fd, &server.any, server_size) != 0)
		fail("connect");
	event.data.fd = fd;
	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0)
		fail("epoll_ctl");
	return fd;
}

// answered reads what has arrived and reports whether the request is complete.
static int answered(int fd)
{
	char answer[4096];
	ssize_t size = recv(fd, answer, sizeof(answer), 0);

	if (size < 0)
		fail("recv");
	errno = 0;
	if (size == 0) {
		if (keep)
			fail("the server closed a kept connection");
		return 1;
	}
	if (answer_size == 0)
		answer_size = size;
	if (size != answer_size || memcmp(answer, "HTTP/1.1 200 ", 13) != 0)
		fail("an answer that is not like the first one");
	return keep;
}

// pair creates the sockets for datagrams.
static void pair(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(any);

	from = socket(AF_INET, SOCK_DGRAM, 0);
	to = socket(AF_INET, SOCK_DGRAM, 0);
	if (from < 0 || to < 0 || bind(to, (struct sockaddr *)&any, size) != 0 ||
	    getsockname(to, (struct sockaddr *)&any, &size) != 0 || connect(from, (struct sockaddr *)&any, size) != 0)
		fail("a pair of sockets");
}

static void pass(long number)
{
	char datagram[200] = {0};

	for (; number > 0; number--)
		if (send(from, datagram, sizeof(datagram), 0) != sizeof(datagram) ||
		    recv(to, datagram, sizeof(datagram), 0) != sizeof(datagram))
			fail("a datagram");
}

// loop makes a number of requests, with one on each connection at any time.
static void loop(int *idle, long connections, long requests)
{
	struct epoll_event events[most_connections];
	long asked = 0, done = 0;

	if (datagrams) {
		pass(requests);
		return;
	}
	for (; asked < connections && asked < requests; asked++)
		ask(keep ? idle[asked] : dial());
	while (done < requests) {
		int ready = epoll_wait(poller, events, most_connections, 30000);

		if (ready <= 0)
			fail("no answer for 30 s");
		for (int i = 0; i < ready; i++) {
			int fd = events[i].data.fd;

			if (!answered(fd))
				continue;
			done++;
			if (!keep)
				close(fd);
			if (asked == requests)
				continue;
			asked++;
			ask(keep ? fd : dial());
		}
	}
}

// settle waits until all processes have finished their work.
static void settle(void)
{
	struct timespec t = {.tv_nsec = 400000000};

	if (nanosleep(&t, NULL) != 0)
		fail("nanosleep");
}

// used returns the CPU time of the threads of a process, in nanoseconds; 0 for process 0.
static long long used(long pid)
{
	long long sum = 0;
	char path[64];
	glob_t threads;

	if (pid == 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%ld/task/*/schedstat", pid);
	if (glob(path, 0, NULL, &threads) != 0)
		fail(path);
	for (size_t i = 0; i < threads.gl_pathc; i++) {
		FILE *file = fopen(threads.gl_pathv[i], "r");
		long long ran;

		if (!file || fscanf(file, "%lld", &ran) != 1)
			fail(threads.gl_pathv[i]);
		sum += ran;
		fclose(file);
	}
	globfree(&threads);
	return sum;
}

int main(int argc, char **argv)
{
	long connections, warm_up, requests, watched;
	long long begin, end, before, left, after;
	int idle[most_connections];

	if (argc != 7)
		fail("usage: client tcp:PORT|unix:PATH|udp: kept|each CONNECTIONS WARM_UP REQUESTS PID");
	address(argv[1]);
	keep = strcmp(argv[2], "kept") == 0;
	request = keep ? kept_request : each_request;
	request_size = strlen(request);
	connections = atol(argv[3]);
	warm_up = atol(argv[4]);
	requests = atol(argv[5]);
	watched = atol(argv[6]);
	if (connections < 1 || connections > most_connections || requests < 1)
		fail("CONNECTIONS or REQUESTS");
	poller = epoll_create1(0);
	if (poller < 0)
		fail("epoll_create1");
	if (datagrams)
		pair();
	for (long i = 0; keep && !datagrams && i < connections; i++)
		idle[i] = dial();
	loop(idle, connections, warm_up);
	settle();
	before = used(watched);
	begin = now();
	loop(idle, connections, requests);
	end = now();
	left = used(watched);
	settle();
	after = used(watched);
	printf("%lld %lld %lld\n", end - begin, after - left, after - before);
	return 0;
}
