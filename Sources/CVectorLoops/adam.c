#include <math.h>

#include "internal.h"

// The optimizer's pass over the flat arena, and the penalty of the decayed kernels.

typedef struct {
  float *w, *m, *v;
  const float *g;
  float rate, one_minus_beta1, one_minus_beta2, epsilon, decay;
} adam;

static VL_CLONES void adam_part(const adam *a, long first, long last) {
  float *restrict w = a->w, *restrict m = a->m, *restrict v = a->v;
  const float *restrict g = a->g;
  const float rate = a->rate, b1 = a->one_minus_beta1, b2 = a->one_minus_beta2;
  const float epsilon = a->epsilon, decay = a->decay;
  for (long i = first; i < last; i++) {
    const float d = g[i] + decay * w[i];
    m[i] += (d - m[i]) * b1;
    v[i] += (d * d - v[i]) * b2;
    w[i] -= rate * m[i] / (__builtin_elementwise_sqrt(v[i]) + epsilon);
  }
}

static void adam_body(const void *context, long part, long first, long last) {
  (void)part;
  adam_part(context, first, last);
}

void vl_adam(
    int threads, float *w, float *m, float *v, const float *g, float rate, float one_minus_beta1,
    float one_minus_beta2, float epsilon, float decay, long count) {
  VL_APART(
      3, VL_FLOATS(w, count), VL_FLOATS(m, count), VL_FLOATS(v, count), VL_FLOATS(g, count));
  adam a = {w, m, v, g, rate, one_minus_beta1, one_minus_beta2, epsilon, decay};
  vl_for(threads, count, 64, adam_body, &a);
}

typedef struct {
  const float *x;
  double *partial;
} squares;

static VL_CLONES double squares_part(const float *x, long first, long last) {
  double total = 0;
  for (long start = first; start < last; start += 1024) {
    const long n = vl_min(1024, last - start);
    float s[16] = {0};
    long i = 0;
    for (; i + 16 <= n; i += 16) {
      for (int k = 0; k < 16; k++) s[k] += x[start + i + k] * x[start + i + k];
    }
    for (; i < n; i++) s[0] += x[start + i] * x[start + i];
    for (int k = 0; k < 16; k++) total += (double)s[k];
  }
  return total;
}

static void squares_body(const void *context, long part, long first, long last) {
  const squares *s = context;
  s->partial[part] = squares_part(s->x, first, last);
}

double vl_sum_of_squares(int threads, const float *x, long count, double *scratch) {
  squares s = {x, scratch};
  vl_for(threads, count, 1024, squares_body, &s);
  double total = 0;
  for (int part = 0; part < threads; part++) total += scratch[part];
  return total;
}
