// load probe HOST PORT GIVE_UP_SEC
// Asks again and again until one whole answer comes, and prints when that was (milliseconds since the epoch).
// Exit code 1 when none came in time.
#include "common.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ATTEMPT_MS 500
#define PAUSE_NS 2000000

static bool attempt(const struct sockaddr_in *target) {
  uint64_t end = now_ns() + ATTEMPT_MS * NS_PER_MS;
  int fd = start_connect(target);
  if (fd < 0) return false;
  size_t got = 0;
  bool asked = false;
  for (uint64_t now = now_ns(); now < end && got < RESPONSE_BYTES; now = now_ns()) {
    struct pollfd ready = {.fd = fd, .events = asked ? POLLIN : POLLOUT};
    if (poll(&ready, 1, (int)((end - now) / NS_PER_MS) + 1) != 1) break;
    if (!asked) {
      asked = true;
      if (connect_error(fd) != 0 || send(fd, REQUEST, REQUEST_BYTES, MSG_NOSIGNAL) != (ssize_t)REQUEST_BYTES) break;
      continue;
    }
    char buffer[4096];
    ssize_t bytes = recv(fd, buffer, sizeof buffer, 0);
    if (bytes <= 0) break;
    got += (size_t)bytes;
  }
  close(fd);
  return got == RESPONSE_BYTES;
}

int probe_main(int argc, char **argv) {
  if (argc != 4) usage("probe HOST PORT GIVE_UP_SEC");
  struct sockaddr_in target = parse_address(argv[1], argv[2]);
  uint64_t end = now_ns() + (uint64_t)parse_number(argv[3], 1, 600) * NS_PER_SEC;
  for (long attempts = 1; now_ns() < end; attempts++) {
    if (attempt(&target)) {
      printf("{\"servedAtMs\":%.3f,\"attempts\":%ld}\n", epoch_ms(), attempts);
      return 0;
    }
    struct timespec pause = {0, PAUSE_NS};
    nanosleep(&pause, NULL);
  }
  fprintf(stderr, "nothing was served in time\n");
  return 1;
}
