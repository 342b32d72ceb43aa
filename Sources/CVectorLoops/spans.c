#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

static int meet(const vl_span *a, const vl_span *b) {
  const uintptr_t p = (uintptr_t)a->start, q = (uintptr_t)b->start;
  if (!p || !q || a->bytes <= 0 || b->bytes <= 0) return 0;
  return p < q + (uintptr_t)b->bytes && q < p + (uintptr_t)a->bytes;
}

void vl_apart(const char *function, int written, int count, const vl_span *spans) {
  for (int i = 0; i < written; i++) {
    for (int j = i + 1; j < count; j++) {
      if (!meet(&spans[i], &spans[j])) continue;
      fprintf(
          stderr,
          "error: %s was told to write where it reads, or to write twice in one place (memory %d "
          "and %d): a defect of semg-train, please report it\n",
          function, i + 1, j + 1);
      abort();
    }
  }
}
