// Runs every loop of CVectorLoops over awkward sizes. Built with sanitizers by
// Scripts/check_loops.py: an access out of bounds, undefined behaviour, a place that is not written
// or a result that depends on the threads ends it.

#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int threads;

static void **blocks;
static long block_count;
static uint32_t state;
// Results of the run on one thread, and how many of them have been met again.
static float *first_run;
static long first_count, met;

static void *keep(void *block) {
  blocks = realloc(blocks, (size_t)(block_count + 1) * sizeof *blocks);
  require(block && blocks, "memory");
  return blocks[block_count++] = block;
}

static float next(void) {
  state = state * 1664525u + 1013904223u;
  return (float)(state >> 8) * 0x1p-23f - 1.f;
}

float *unwritten(long count) {
  float *values = keep(malloc((size_t)count * sizeof(float)));
  for (long i = 0; i < count; i++) values[i] = NAN;
  return values;
}

float *given(long count) {
  float *values = unwritten(count);
  for (long i = 0; i < count; i++) values[i] = next();
  return values;
}

float *positive(long count) {
  float *values = unwritten(count);
  for (long i = 0; i < count; i++) values[i] = 1.f + 0.5f * next();
  return values;
}

double *doubles(long count) { return keep(malloc((size_t)count * sizeof(double))); }
uint8_t *bytes(long count) { return keep(malloc((size_t)count)); }
uint16_t *lanes(long count) { return keep(malloc((size_t)count * sizeof(uint16_t))); }

float *aligned(long count) {
  void *block = NULL;
  const size_t size = (size_t)count * sizeof(float);
  require(posix_memalign(&block, 64, size) == 0, "memory");
  memset(block, 0, size);
  return keep(block);
}

void require(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "error: %s (%d threads)\n", what, threads);
  exit(1);
}

void check(const char *what, const float *values, long count) {
  for (long i = 0; i < count; i++) {
    if (!isfinite(values[i])) {
      fprintf(stderr, "error: %s: %f at %ld of %ld (%d threads)\n", what, (double)values[i], i,
              count, threads);
      exit(1);
    }
  }
  if (threads == 1) {
    first_run = realloc(first_run, (size_t)(first_count + count) * sizeof(float));
    require(first_run != NULL, "memory");
    memcpy(first_run + first_count, values, (size_t)count * sizeof(float));
    first_count += count;
    return;
  }
  require(met + count <= first_count, "each run checks the same");
  for (long i = 0; i < count; i++) {
    const float expected = first_run[met + i];
    if (fabsf(values[i] - expected) <= 1e-4f * (1.f + fabsf(expected))) continue;
    fprintf(stderr, "error: %s: %g at %ld of %ld on %d threads, %g on one\n", what,
            (double)values[i], i, count, threads, (double)expected);
    exit(1);
  }
  met += count;
}

// What it means that the loops take what they write as `restrict`.
static void overlapping_memory_ends_the_program(void) {
  float *y = given(8);
  fflush(NULL);
  const pid_t child = fork();
  require(child >= 0, "fork");
  if (child == 0) {
    close(STDERR_FILENO);
    vl_add(1, y, y, y, 8);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  require(WIFSIGNALED(status), "a sum into one of its terms ends the program");
}

static void run(int parts) {
  threads = parts;
  state = 1;
  met = 0;
  check_elements();
  check_normalization();
  check_blocks();
  check_sequences();
  check_attention();
  check_batches();
  if (parts > 1) require(met == first_count, "each run checks the same");
  while (block_count > 0) free(blocks[--block_count]);
}

int main(void) {
  const int parts[] = {1, 2, 3};
  for (int i = 0; i < 3; i++) run(parts[i]);
  require(vl_team_size(1) == 1, "one thread is one");
  require(vl_has_team() || vl_team_size(3) == 1, "without libgomp there is one thread");
  overlapping_memory_ends_the_program();
  while (block_count > 0) free(blocks[--block_count]);
  free(blocks);
  free(first_run);
  printf("%ld values on 1, 2 and 3 threads\n", first_count);
  return 0;
}
