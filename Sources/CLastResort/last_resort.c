#define _GNU_SOURCE
#include "CLastResort.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static const int numbers[] = {SIGABRT, SIGILL, SIGTRAP, SIGSEGV, SIGBUS};
enum { count = sizeof(numbers) / sizeof(numbers[0]) };
static struct sigaction before[count];
static int exit_status;
static char stack[32768];

static int can_map(size_t bytes) {
  void *place = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (place == MAP_FAILED) return 0;
  munmap(place, bytes);
  return 1;
}

static void say(const char *text) {
  const ssize_t written = write(STDERR_FILENO, text, strlen(text));
  (void)written;
}

static void end(void) {
  say("error: memory ran out before the program could say for what: raise its limit (ulimit -v, "
      "ulimit -d, a container's), or take a smaller --batch-size or fewer --threads\n");
  _exit(exit_status);
}

// Only what POSIX allows in a signal handler is called here.
static void handle(int number, siginfo_t *information, void *context) {
  (void)information;
  (void)context;
  // Of the last call of this thread that failed: a refused allocation, where the crash comes from
  // one. An old value proves nothing by itself, so it is tried again.
  const int error = errno;
  if (!can_map((size_t)32 << 20) || (error == ENOMEM && !can_map((size_t)1 << 30))) end();
  for (int i = 0; i < count; i++)
    if (numbers[i] == number) sigaction(number, &before[i], NULL);
  // A fault comes again when its instruction does; a signal that was sent does not.
  if (number == SIGABRT || number == SIGTRAP) raise(number);
}

// OpenMP's runtime exits with 1 where it is refused memory or a thread. The program has no such
// status of its own.
static void leave(int status, void *context) {
  (void)context;
  if (status == EXIT_FAILURE) end();
}

void last_resort_install(int status) {
  exit_status = status;
  stack_t place = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&place, NULL);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < count; i++) sigaction(numbers[i], &action, &before[i]);
  on_exit(leave, NULL);
  // A heap for each thread reserves 64 MB of address space, which a limit may not leave.
  struct rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, 1);
#endif
  }
}
