#include "internal.h"

// Products of small matrices on one thread: a tile of the result stays in registers while the
// depth is run through. Wide registers hold 12 x 32 results, narrower ones less.

typedef float v16 __attribute__((vector_size(64), aligned(4)));

// c[rows x 16*vectors] from a's element (i, k) at i*a_row + k*a_step and b's row k at k*ldb.
VL_INLINE void tile(
    const int rows, const int vectors, const vl_product *p, const float *a, const float *b,
    float *c, const float *bias) {
  v16 sum[12][2];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) {
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) {
      if (p->accumulates) {
        sum[i][j] = *(const v16 *)(c + i * p->ldc + 16 * j);
      } else if (bias) {
        sum[i][j] = *(const v16 *)(bias + 16 * j);
      } else {
        sum[i][j] = (v16){0};
      }
    }
  }
  for (long k = 0; k < p->depth; k++) {
    v16 row[2];
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) row[j] = *(const v16 *)(b + k * p->ldb + 16 * j);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      const float x = a[i * p->a_row + k * p->a_step];
#pragma clang loop unroll(full)
      for (int j = 0; j < vectors; j++) sum[i][j] += row[j] * x;
    }
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) {
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) *(v16 *)(c + i * p->ldc + 16 * j) = sum[i][j];
  }
}

VL_INLINE void column(const int rows, const int vectors, const vl_product *p, long j) {
  const float *b = p->b + j;
  const float *bias = p->bias ? p->bias + j : 0;
  long i = 0;
#define VL_ROWS(n)                                                                        \
  for (; i + n <= p->m; i += n) {                                                         \
    tile(n, vectors, p, p->a + i * p->a_row, b, p->c + i * p->ldc + j, bias);             \
  }
  if (rows == 12) {
    VL_ROWS(12)
    VL_ROWS(4)
  } else if (rows == 6) {
    VL_ROWS(6)
  }
  VL_ROWS(2)
  VL_ROWS(1)
#undef VL_ROWS
}

VL_INLINE void multiply(const int rows, const int vectors, const vl_product *p) {
  long j = 0;
  for (; j + 16 * vectors <= p->n; j += 16 * vectors) column(rows, vectors, p, j);
  for (; j < p->n; j += 16) column(rows, 1, p, j);
}

#if defined(__x86_64__)
__attribute__((target("arch=x86-64-v4"), min_vector_width(512))) static void multiply_v4(
    const vl_product *p) {
  multiply(12, 2, p);
}

__attribute__((target("arch=x86-64-v3"))) static void multiply_v3(const vl_product *p) {
  multiply(6, 1, p);
}
#endif

static void multiply_baseline(const vl_product *p) { multiply(2, 1, p); }

void vl_multiply(const vl_product *p) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v4")) {
    multiply_v4(p);
    return;
  }
  if (__builtin_cpu_supports("x86-64-v3")) {
    multiply_v3(p);
    return;
  }
#endif
  multiply_baseline(p);
}
