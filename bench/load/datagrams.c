// load datagrams HOST PORT BYTES FLOWS WINDOW PER_SEC SECONDS
// UDP there and back. PER_SEC = 0: each flow keeps WINDOW datagrams on their way and sends a new one for every echo.
// PER_SEC > 0: datagrams are sent at that rate over all flows, whatever comes back; the latency counts from the due time.
// A datagram that is not back LOST_MS after the end, or (closed loop) after it was sent, is lost. One that comes back
// with another length or another flow's stamp is corrupt. Each flow carries one datagram before the clock starts, so
// that no figure is about how flows begin.
#include "common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_BYTES 65507
#define MAX_EVENTS 256
#define LOST_MS 500
#define BURST 64

struct flow {
  int fd;
  uint32_t next_sequence;
  long in_flight;
  uint64_t last_echo_ns;
};

static struct samples taken;
static long sent, refused, corrupt, lost, length;
static char out[MAX_BYTES];

static void send_one(struct flow *flow, uint32_t index, uint64_t stamp_ns) {
  struct stamp stamp = {stamp_ns, flow->next_sequence++, index};
  memcpy(out, &stamp, sizeof stamp);
  sent++;
  // The kernel's own refusal (a full buffer, a port not open yet) is a loss before the tunnel: it is counted apart.
  if (send(flow->fd, out, (size_t)length, MSG_DONTWAIT) != length) refused++;
  else flow->in_flight++;
}

static int hear(struct flow *flow, uint32_t index) {
  char in[MAX_BYTES];
  int echoes = 0;
  for (; echoes < BURST; echoes++) {
    ssize_t got = recv(flow->fd, in, sizeof in, MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0) break;
    struct stamp stamp;
    memcpy(&stamp, in, sizeof stamp);
    if (got != length || stamp.flow != index) {
      corrupt++;
      continue;
    }
    if (flow->in_flight > 0) flow->in_flight--;
    flow->last_echo_ns = now_ns();
    add_sample(&taken, flow->last_echo_ns - stamp.sent_ns);
  }
  return echoes;
}

static void refill(struct flow *flow, uint32_t index, long window) {
  uint64_t now = now_ns();
  if (flow->in_flight > 0 && now - flow->last_echo_ns > LOST_MS * NS_PER_MS) {
    lost += flow->in_flight;
    flow->in_flight = 0;
    flow->last_echo_ns = now;
  }
  for (long tries = 0; flow->in_flight < window && tries < window; tries++) send_one(flow, index, now_ns());
}

// A program that answers none of them is told by what follows.
static void use_once(struct flow *flows, long flow_count, int poll_fd) {
  uint64_t limit = now_ns() + LOST_MS * NS_PER_MS;
  for (long i = 0; i < flow_count; i++) send_one(&flows[i], (uint32_t)i, now_ns());
  for (long echoes = 0; echoes < flow_count && now_ns() < limit;) {
    struct epoll_event events[MAX_EVENTS];
    int ready = epoll_wait(poll_fd, events, MAX_EVENTS, 20);
    for (int i = 0; i < ready; i++) echoes += hear(&flows[events[i].data.u32], events[i].data.u32);
  }
  for (long i = 0; i < flow_count; i++) flows[i].in_flight = 0;
  taken.count = 0;
  sent = refused = corrupt = 0;
}

int datagrams_main(int argc, char **argv) {
  if (argc != 8) usage("datagrams HOST PORT BYTES FLOWS WINDOW PER_SEC SECONDS");
  struct sockaddr_in target = parse_address(argv[1], argv[2]);
  length = parse_number(argv[3], (long)sizeof(struct stamp), MAX_BYTES);
  long flow_count = parse_number(argv[4], 1, 10000), window = parse_number(argv[5], 1, 10000);
  long per_sec = parse_number(argv[6], 0, 10000000), seconds = parse_number(argv[7], 1, 600);
  struct flow *flows = calloc((size_t)flow_count, sizeof *flows);
  int poll_fd = epoll_create1(EPOLL_CLOEXEC), room = 4 << 20;
  if (!flows || poll_fd < 0) die("start");
  for (long i = 0; i < flow_count; i++) {
    flows[i].fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (flows[i].fd < 0 || connect(flows[i].fd, (struct sockaddr *)&target, sizeof target) < 0) die("socket");
    setsockopt(flows[i].fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, flows[i].fd, &event) < 0) die("epoll_ctl");
  }
  use_once(flows, flow_count, poll_fd);
  uint64_t begin = now_ns(), end = begin + (uint64_t)seconds * NS_PER_SEC, due = begin;
  for (long i = 0; i < flow_count; i++) flows[i].last_echo_ns = begin;
  for (long turn = 0;;) {
    uint64_t now = now_ns();
    bool sending = now < end;
    if (!sending && (per_sec == 0 || now > end + LOST_MS * NS_PER_MS)) break;
    if (per_sec == 0) {
      for (long i = 0; i < flow_count; i++) refill(&flows[i], (uint32_t)i, window);
    } else if (sending) {
      for (int burst = 0; due <= now && burst < BURST; burst++, due += NS_PER_SEC / (uint64_t)per_sec, turn++) {
        uint32_t index = (uint32_t)(turn % flow_count);
        send_one(&flows[index], index, due);
      }
    }
    struct epoll_event events[MAX_EVENTS];
    struct timespec tick = {0, per_sec > 0 ? 200000 : 20000000};
    int ready = epoll_pwait2(poll_fd, events, MAX_EVENTS, &tick, NULL);
    for (int i = 0; i < ready; i++) hear(&flows[events[i].data.u32], events[i].data.u32);
  }
  if (per_sec > 0) {
    for (long i = 0; i < flow_count; i++) lost += flows[i].in_flight;
  }
  sort_samples(&taken);
  printf("{\"perSec\":%.1f,\"sent\":%ld,\"delivered\":%zu,\"lost\":%ld,\"refused\":%ld,\"corrupt\":%ld,\"p50Ms\":%.3f,\"p99Ms\":%.3f}\n",
         (double)taken.count / (double)seconds, sent, taken.count, lost, refused, corrupt, percentile_ms(&taken, 50), percentile_ms(&taken, 99));
  return 0;
}
