// load visitors HOST PORT AT_ONCE SECONDS
// New visitors, AT_ONCE at a time: each connects, sends one request, reads its answer and closes. A visitor that takes
// longer than STALL_MS counts as failed and is replaced. The latency is from the connect to the last byte.
#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS 256
#define STALL_MS 3000

struct visitor {
  int fd;
  bool asked;
  size_t answer_bytes;
  uint64_t started_ns;
};

static struct sockaddr_in target;
static int poll_fd;
static long failed;
static struct samples taken;

static void start(struct visitor *visitor) {
  visitor->asked = false;
  visitor->answer_bytes = 0;
  visitor->started_ns = now_ns();
  visitor->fd = start_connect(&target);
  if (visitor->fd < 0) {
    failed++;
    return;
  }
  struct epoll_event event = {.events = EPOLLOUT | EPOLLIN, .data.ptr = visitor};
  if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, visitor->fd, &event) < 0) die("epoll_ctl");
}

static void finish(struct visitor *visitor, bool served) {
  if (served) add_sample(&taken, now_ns() - visitor->started_ns);
  else failed++;
  close(visitor->fd);
  start(visitor);
}

static void ask(struct visitor *visitor) {
  if (connect_error(visitor->fd) != 0) return finish(visitor, false);
  if (send(visitor->fd, REQUEST, REQUEST_BYTES, MSG_NOSIGNAL) != (ssize_t)REQUEST_BYTES) return finish(visitor, false);
  visitor->asked = true;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = visitor};
  if (epoll_ctl(poll_fd, EPOLL_CTL_MOD, visitor->fd, &event) < 0) die("epoll_ctl");
}

static void hear(struct visitor *visitor) {
  char buffer[4096];
  ssize_t got = recv(visitor->fd, buffer, sizeof buffer, 0);
  if (got <= 0) return finish(visitor, false);
  visitor->answer_bytes += (size_t)got;
  if (visitor->answer_bytes >= RESPONSE_BYTES) finish(visitor, visitor->answer_bytes == RESPONSE_BYTES);
}

int visitors_main(int argc, char **argv) {
  if (argc != 5) usage("visitors HOST PORT AT_ONCE SECONDS");
  target = parse_address(argv[1], argv[2]);
  long at_once = parse_number(argv[3], 1, 10000), seconds = parse_number(argv[4], 1, 600);
  struct visitor *visitors = calloc((size_t)at_once, sizeof *visitors);
  poll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (!visitors || poll_fd < 0) die("start");
  uint64_t begin = now_ns(), end = begin + (uint64_t)seconds * NS_PER_SEC, sweep = begin;
  for (long i = 0; i < at_once; i++) start(&visitors[i]);
  while (now_ns() < end) {
    struct epoll_event events[MAX_EVENTS];
    int count = epoll_wait(poll_fd, events, MAX_EVENTS, 100);
    for (int i = 0; i < count; i++) {
      struct visitor *visitor = events[i].data.ptr;
      if (!visitor->asked) ask(visitor);
      else hear(visitor);
    }
    uint64_t now = now_ns();
    if (now - sweep < 250 * NS_PER_MS) continue;
    sweep = now;
    for (long i = 0; i < at_once; i++) {
      if (visitors[i].fd < 0) start(&visitors[i]);
      else if (now - visitors[i].started_ns > STALL_MS * NS_PER_MS) finish(&visitors[i], false);
    }
  }
  double took = (double)(now_ns() - begin) / (double)NS_PER_SEC;
  sort_samples(&taken);
  printf("{\"perSec\":%.1f,\"served\":%zu,\"failed\":%ld,\"p50Ms\":%.3f,\"p99Ms\":%.3f}\n", (double)taken.count / took, taken.count,
         failed, percentile_ms(&taken, 50), percentile_ms(&taken, 99));
  return 0;
}
