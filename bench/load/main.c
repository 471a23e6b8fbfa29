#include "common.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

struct command {
  const char *name;
  int (*run)(int argc, char **argv);
};

static const struct command COMMANDS[] = {
    {"service", service_main}, {"visitors", visitors_main}, {"requests", requests_main},
    {"crowd", crowd_main},     {"probe", probe_main},       {"datagrams", datagrams_main},
};

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  for (size_t i = 0; argc > 1 && i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
    if (strcmp(argv[1], COMMANDS[i].name) == 0) {
      raise_file_limit();
      return COMMANDS[i].run(argc - 1, argv + 1);
    }
  }
  usage("service|visitors|requests|crowd|probe|datagrams …");
}
