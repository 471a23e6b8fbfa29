// What the load programs share. They are written in C so that on a small machine the load takes little of the
// processor that the measured programs need.
#ifndef HATCHWAY_BENCH_COMMON_H
#define HATCHWAY_BENCH_COMMON_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_SEC 1000000000ull
#define NS_PER_MS 1000000ull

// One request and its answer: both fixed, so that a reader only counts bytes.
#define REQUEST "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
#define REQUEST_BYTES (sizeof(REQUEST) - 1)
#define BODY_BYTES 64
#define RESPONSE_HEAD "HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n"
#define RESPONSE_BYTES (sizeof(RESPONSE_HEAD) - 1 + BODY_BYTES)

// Every datagram starts with this; the rest is padding.
struct stamp {
  uint64_t sent_ns;
  uint32_t sequence;
  uint32_t flow;
};

// Samples in nanoseconds, all kept: a run is bounded in time, so it is bounded in samples.
struct samples {
  uint64_t *values;
  size_t count, capacity;
};

_Noreturn void die(const char *what);
_Noreturn void usage(const char *line);
uint64_t now_ns(void);
double epoch_ms(void);
void raise_file_limit(void);
struct sockaddr_in parse_address(const char *host, const char *port);
long parse_number(const char *text, long least, long most);

void add_sample(struct samples *samples, uint64_t ns);
void sort_samples(struct samples *samples);
// In milliseconds; 0 when there is no sample. Call sort_samples first.
double percentile_ms(const struct samples *samples, double percent);

// A non-blocking, non-delaying TCP socket on its way to `to`; -1 with errno when it fails at once.
int start_connect(const struct sockaddr_in *to);
// 0 when the connect that start_connect began has succeeded, else its errno.
int connect_error(int fd);

int service_main(int argc, char **argv);
int visitors_main(int argc, char **argv);
int requests_main(int argc, char **argv);
int crowd_main(int argc, char **argv);
int probe_main(int argc, char **argv);
int datagrams_main(int argc, char **argv);

#endif
