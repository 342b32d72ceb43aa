#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>

#include "internal.h"

// oneDNN threads with libgomp, whose workers spin on between parallel regions. Running our loops on
// the same team costs one short fork each; a second pool would starve the first.

static void (*gomp_parallel)(void (*)(void *), void *, unsigned, unsigned);
static int (*thread_number)(void);
static int (*thread_count)(void);
static void (*set_thread_count)(int);
static pthread_once_t found = PTHREAD_ONCE_INIT;

static void find(void) {
  *(void **)&gomp_parallel = dlsym(RTLD_DEFAULT, "GOMP_parallel");
  *(void **)&thread_number = dlsym(RTLD_DEFAULT, "omp_get_thread_num");
  *(void **)&thread_count = dlsym(RTLD_DEFAULT, "omp_get_num_threads");
  *(void **)&set_thread_count = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
}

int vl_has_team(void) {
  pthread_once(&found, find);
  return gomp_parallel && thread_number && thread_count;
}

typedef struct {
  int asked, found;
} team;

static void note_size(void *context) {
  team *t = context;
  if (thread_number() == 0) t->found = thread_count();
}

static void *try_team(void *context) {
  team *t = context;
  gomp_parallel(note_size, t, (unsigned)t->asked, 0);
  return NULL;
}

int vl_team_size(int threads) {
  if (threads <= 1 || !vl_has_team()) return 1;
  team t = {threads, 1};
  pthread_t thread;
  if (pthread_create(&thread, NULL, try_team, &t) == 0) pthread_join(thread, NULL);
  return t.found;
}

void vl_set_threads(int threads) {
  pthread_once(&found, find);
  if (set_thread_count) set_thread_count(threads);
}

// Both bits of the processor's floating-point control: results that are too small become zero
// ("flush to zero"), and so do operands ("denormals are zero"). Where there are no such bits, nothing
// is changed.
#if defined(__x86_64__)
static uint64_t control(void) { return __builtin_ia32_stmxcsr(); }
static void set_control(uint64_t value) { __builtin_ia32_ldmxcsr((unsigned)value); }
static const uint64_t flushing = 0x8040;
#elif defined(__aarch64__)
static uint64_t control(void) {
  uint64_t value;
  __asm__ volatile("mrs %0, fpcr" : "=r"(value));
  return value;
}
static void set_control(uint64_t value) { __asm__ volatile("msr fpcr, %0" : : "r"(value)); }
static const uint64_t flushing = 1u << 24;
#else
static uint64_t control(void) { return 0; }
static void set_control(uint64_t value) { (void)value; }
static const uint64_t flushing = 0;
#endif

uint64_t vl_flush_tiny(void) {
  const uint64_t before = control();
  set_control(before | flushing);
  return before;
}

void vl_restore_tiny(uint64_t before) { set_control(before); }

static void flush_part(void *context) {
  (void)context;
  set_control(control() | flushing);
}

void vl_flush_tiny_on_team(int threads) {
  if (threads > 1 && vl_has_team()) gomp_parallel(flush_part, NULL, (unsigned)threads, 0);
}

typedef struct {
  vl_body body;
  const void *context;
  long count, grain, parts;
} job;

static void run_part(const job *j, long part) {
  const long blocks = (j->count + j->grain - 1) / j->grain;
  const long first = part * blocks / j->parts * j->grain;
  const long last = vl_min((part + 1) * blocks / j->parts * j->grain, j->count);
  j->body(j->context, part, first, last);
}

static void worker(void *context) {
  const job *j = context;
  // The team may be smaller than asked for; the parts stay the same.
  for (long part = thread_number(); part < j->parts; part += thread_count()) run_part(j, part);
}

void vl_for(int threads, long count, long grain, vl_body body, const void *context) {
  job j = {body, context, count, grain, threads};
  if (threads > 1 && vl_has_team()) {
    gomp_parallel(worker, &j, (unsigned)threads, 0);
    return;
  }
  for (long part = 0; part < j.parts; part++) run_part(&j, part);
}
