// load requests HOST PORT CONNECTIONS LOOP PER_SEC SECONDS
// Keep-alive requests over CONNECTIONS connections. LOOP is
//   closed  the next request follows the answer at once; PER_SEC is not used
//   open    each request has a due time; a late one is sent as soon as its connection is free, and its latency counts
//           from the due time, so that a stall shows in full
//   paced   at most PER_SEC requests a second; the latency counts from the sending, so that each is one round trip
// Each connection is used once before the clock starts: what a new visitor waits is measured by `visitors`.
#include "common.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define MAX_EVENTS 256
#define CONNECT_MS 5000
#define FIRST_ANSWER_MS 5000
#define TICK_NS 200000

enum loop { CLOSED, OPEN, PACED };

struct link {
  int fd;
  bool waiting;
  size_t answer_bytes;
  uint64_t due_ns;
};

static struct samples taken;
static long failed, overdue;

static void ask(struct link *link) {
  link->waiting = true;
  link->answer_bytes = 0;
  if (send(link->fd, REQUEST, REQUEST_BYTES, MSG_NOSIGNAL) == (ssize_t)REQUEST_BYTES) return;
  failed++;
  close(link->fd);
  link->fd = -1;
}

// True when the answer is complete.
static bool hear(struct link *link) {
  char buffer[4096];
  ssize_t got = recv(link->fd, buffer, sizeof buffer, 0);
  if (got < 0 && errno == EAGAIN) return false;
  if (got <= 0) {
    failed++;
    close(link->fd);
    link->fd = -1;
    return false;
  }
  link->answer_bytes += (size_t)got;
  if (link->answer_bytes < RESPONSE_BYTES) return false;
  add_sample(&taken, now_ns() - link->due_ns);
  link->waiting = false;
  return true;
}

static void open_links(struct link *links, long count, const struct sockaddr_in *target, int poll_fd) {
  for (long i = 0; i < count; i++) {
    links[i].fd = start_connect(target);
    if (links[i].fd < 0) die("connect");
    struct pollfd ready = {.fd = links[i].fd, .events = POLLOUT};
    if (poll(&ready, 1, CONNECT_MS) != 1 || connect_error(links[i].fd) != 0) {
      fprintf(stderr, "connection %ld was not accepted\n", i);
      exit(1);
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &links[i]};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, links[i].fd, &event) < 0) die("epoll_ctl");
  }
}

static void use_once(struct link *links, long count, int poll_fd) {
  long answers = 0;
  uint64_t limit = now_ns() + FIRST_ANSWER_MS * NS_PER_MS;
  for (long i = 0; i < count; i++) ask(&links[i]);
  while (answers + failed < count) {
    if (now_ns() > limit) {
      fprintf(stderr, "%ld of %ld connections got no first answer\n", count - answers, count);
      exit(1);
    }
    struct epoll_event events[MAX_EVENTS];
    int ready = epoll_wait(poll_fd, events, MAX_EVENTS, 100);
    for (int i = 0; i < ready; i++) answers += hear(events[i].data.ptr);
  }
  taken.count = 0;
}

static enum loop parse_loop(const char *text) {
  static const char *const NAMES[] = {"closed", "open", "paced"};
  for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
    if (strcmp(text, NAMES[i]) == 0) return (enum loop)i;
  }
  usage("requests … closed|open|paced …");
}

int requests_main(int argc, char **argv) {
  if (argc != 7) usage("requests HOST PORT CONNECTIONS LOOP PER_SEC SECONDS");
  struct sockaddr_in target = parse_address(argv[1], argv[2]);
  enum loop loop = parse_loop(argv[4]);
  long count = parse_number(argv[3], 1, 10000), per_sec = parse_number(argv[5], 1, 1000000), seconds = parse_number(argv[6], 1, 600);
  struct link *links = calloc((size_t)count, sizeof *links);
  int poll_fd = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (!links || poll_fd < 0 || timer < 0) die("start");
  open_links(links, count, &target, poll_fd);
  use_once(links, count, poll_fd);
  uint64_t gap = NS_PER_SEC * (uint64_t)count / (uint64_t)per_sec;
  uint64_t begin = now_ns(), end = begin + (uint64_t)seconds * NS_PER_SEC;
  for (long i = 0; i < count; i++) {
    links[i].due_ns = begin + (loop == CLOSED ? 0 : gap * (uint64_t)i / (uint64_t)count);
    if (loop == CLOSED) ask(&links[i]);
  }
  if (loop != CLOSED) {
    struct itimerspec tick = {{0, TICK_NS}, {0, TICK_NS}};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (timerfd_settime(timer, 0, &tick, NULL) < 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, timer, &event) < 0) die("timer");
  }
  while (now_ns() < end) {
    struct epoll_event events[MAX_EVENTS];
    int ready = epoll_wait(poll_fd, events, MAX_EVENTS, 100);
    for (int i = 0; i < ready; i++) {
      struct link *link = events[i].data.ptr;
      if (link == NULL) {
        uint64_t ticks;
        if (read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN) die("read");
        continue;
      }
      if (link->fd < 0 || !hear(link)) continue;
      uint64_t answered = now_ns();
      if (loop == CLOSED) {
        link->due_ns = answered;
        ask(link);
        continue;
      }
      link->due_ns += gap;
      if (loop == PACED && link->due_ns < answered) link->due_ns = answered;
    }
    if (loop == CLOSED) continue;
    uint64_t now = now_ns();
    for (long i = 0; i < count; i++) {
      if (links[i].fd >= 0 && !links[i].waiting && links[i].due_ns <= now) ask(&links[i]);
    }
  }
  // A request that is still waiting at the end waited at least this long: leaving it out would hide a stall.
  uint64_t stop = now_ns();
  for (long i = 0; i < count; i++) {
    if (links[i].fd < 0 || !links[i].waiting || stop - links[i].due_ns < 50 * NS_PER_MS) continue;
    add_sample(&taken, stop - links[i].due_ns);
    overdue++;
  }
  double took = (double)(stop - begin) / (double)NS_PER_SEC;
  sort_samples(&taken);
  printf("{\"perSec\":%.1f,\"served\":%zu,\"failed\":%ld,\"overdue\":%ld,\"p50Ms\":%.3f,\"p99Ms\":%.3f}\n",
         (double)(taken.count - (size_t)overdue) / took, taken.count - (size_t)overdue, failed, overdue, percentile_ms(&taken, 50),
         percentile_ms(&taken, 99));
  return 0;
}
