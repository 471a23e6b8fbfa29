// load crowd HOST PORT VISITORS
// Opens VISITORS connections, AT_ONCE at a time; each asks once, reads the answer, and then stays without a word until
// standard input ends. Prints one line when all are in, and one with how many were still open at the end.
#include "common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define AT_ONCE 128
#define MAX_EVENTS 256
#define GIVE_UP_NS (60 * NS_PER_SEC)

struct guest {
  int fd;
  bool asked;
  size_t answer_bytes;
};

static int poll_fd;
static long pending, settled, open_now;

static void leave(struct guest *guest) {
  close(guest->fd);
  guest->fd = -1;
}

static void fail(struct guest *guest) {
  pending--;
  leave(guest);
}

static void ask(struct guest *guest) {
  guest->asked = true;
  if (connect_error(guest->fd) != 0 || send(guest->fd, REQUEST, REQUEST_BYTES, MSG_NOSIGNAL) != (ssize_t)REQUEST_BYTES) return fail(guest);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = guest};
  if (epoll_ctl(poll_fd, EPOLL_CTL_MOD, guest->fd, &event) < 0) die("epoll_ctl");
}

static void hear(struct guest *guest) {
  char buffer[4096];
  bool in = guest->answer_bytes >= RESPONSE_BYTES;
  ssize_t got = recv(guest->fd, buffer, sizeof buffer, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    if (!in) return fail(guest);
    open_now--;
    return leave(guest);
  }
  guest->answer_bytes += (size_t)got;
  if (in || guest->answer_bytes < RESPONSE_BYTES) return;
  pending--;
  settled++;
  open_now++;
}

int crowd_main(int argc, char **argv) {
  if (argc != 4) usage("crowd HOST PORT VISITORS");
  struct sockaddr_in target = parse_address(argv[1], argv[2]);
  long wanted = parse_number(argv[3], 1, 100000), started = 0;
  struct guest *guests = calloc((size_t)wanted, sizeof *guests), stdin_guest = {.fd = STDIN_FILENO};
  poll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (!guests || poll_fd < 0) die("start");
  struct epoll_event on_stdin = {.events = EPOLLIN, .data.ptr = &stdin_guest};
  if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &on_stdin) < 0) die("stdin must be a pipe");
  uint64_t begin = now_ns();
  for (bool announced = false;;) {
    while (started < wanted && pending < AT_ONCE) {
      struct guest *guest = &guests[started++];
      guest->fd = start_connect(&target);
      if (guest->fd < 0) continue;
      pending++;
      struct epoll_event event = {.events = EPOLLOUT | EPOLLIN, .data.ptr = guest};
      if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, guest->fd, &event) < 0) die("epoll_ctl");
    }
    bool late = now_ns() - begin > GIVE_UP_NS;
    if (!announced && ((started == wanted && pending == 0) || late)) {
      announced = true;
      printf("{\"wanted\":%ld,\"served\":%ld,\"tookMs\":%.1f}\n", wanted, settled, (double)(now_ns() - begin) / (double)NS_PER_MS);
      fflush(stdout);
    }
    struct epoll_event events[MAX_EVENTS];
    int ready = epoll_wait(poll_fd, events, MAX_EVENTS, 200);
    for (int i = 0; i < ready; i++) {
      struct guest *guest = events[i].data.ptr;
      if (guest == &stdin_guest) {
        char drop[64];
        if (read(STDIN_FILENO, drop, sizeof drop) > 0) continue;
        printf("{\"open\":%ld}\n", open_now);
        return 0;
      }
      if (guest->fd < 0) continue;
      if (!guest->asked) ask(guest);
      else hear(guest);
    }
  }
}
