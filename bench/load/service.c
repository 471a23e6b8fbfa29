// load service HOST TCP_PORT UDP_PORT
// The service behind every forward: answers each request on the TCP port and echoes each datagram on the UDP port.
#include "common.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS 512
#define BATCH 64
#define MAX_DATAGRAM 65536
#define MAX_FDS 1048576

static char response[RESPONSE_BYTES];
// Where in "\r\n\r\n" each connection is.
static unsigned char *ends_seen;

static void add(int poll, int fd) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};
  if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
}

static int bound(int type, const struct sockaddr_in *address) {
  int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, room = 4 << 20;
  if (fd < 0) die("socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  if (bind(fd, (const struct sockaddr *)address, sizeof *address) < 0) die("bind");
  return fd;
}

static void accept_all(int poll, int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    if (fd < 0) return;
    if (fd >= MAX_FDS) {
      close(fd);
      continue;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ends_seen[fd] = 0;
    add(poll, fd);
  }
}

// The answers are small and the visitors read them: a full send buffer means a visitor that broke the rules, so it is cut.
static void answer(int fd) {
  static char buffer[65536];
  static const char END[] = "\r\n\r\n";
  ssize_t got = recv(fd, buffer, sizeof buffer, 0);
  if (got < 0 && errno == EAGAIN) return;
  bool keep = got > 0;
  for (ssize_t i = 0; keep && i < got; i++) {
    if (buffer[i] == END[ends_seen[fd]]) ends_seen[fd]++;
    else ends_seen[fd] = buffer[i] == '\r';
    if (ends_seen[fd] < sizeof END - 1) continue;
    ends_seen[fd] = 0;
    keep = send(fd, response, sizeof response, MSG_NOSIGNAL) == (ssize_t)sizeof response;
  }
  if (!keep) close(fd);
}

static void echo(int fd) {
  static char buffers[BATCH][MAX_DATAGRAM];
  struct sockaddr_in from[BATCH];
  struct iovec vectors[BATCH];
  struct mmsghdr messages[BATCH];
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < BATCH; i++) {
    vectors[i] = (struct iovec){buffers[i], MAX_DATAGRAM};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &vectors[i], .msg_iovlen = 1};
  }
  int got = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
  for (int i = 0; i < got; i++) vectors[i].iov_len = messages[i].msg_len;
  for (int sent = 0; sent < got;) {
    int more = sendmmsg(fd, messages + sent, (unsigned)(got - sent), 0);
    if (more <= 0) return;
    sent += more;
  }
}

int service_main(int argc, char **argv) {
  if (argc != 4) usage("service HOST TCP_PORT UDP_PORT");
  struct sockaddr_in tcp = parse_address(argv[1], argv[2]), udp = parse_address(argv[1], argv[3]);
  memcpy(response, RESPONSE_HEAD, sizeof RESPONSE_HEAD - 1);
  memset(response + sizeof RESPONSE_HEAD - 1, 'h', BODY_BYTES);
  ends_seen = calloc(MAX_FDS, 1);
  int poll = epoll_create1(EPOLL_CLOEXEC), listener = bound(SOCK_STREAM, &tcp), datagrams = bound(SOCK_DGRAM, &udp);
  if (poll < 0 || !ends_seen) die("start");
  if (listen(listener, 4096) < 0) die("listen");
  add(poll, listener);
  add(poll, datagrams);
  printf("{\"event\":\"ready\"}\n");
  fflush(stdout);
  for (;;) {
    struct epoll_event events[MAX_EVENTS];
    int count = epoll_wait(poll, events, MAX_EVENTS, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) accept_all(poll, listener);
      else if (fd == datagrams) echo(datagrams);
      else answer(fd);
    }
  }
}
