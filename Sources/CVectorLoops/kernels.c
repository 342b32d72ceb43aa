#include "internal.h"

typedef struct {
  float *y;
  const float *x;
  long taps, inputs, outputs;
} flip;

static VL_CLONES void flip_part(const flip *f, long first, long last) {
  const long C = f->inputs, O = f->outputs;
  for (long i = first; i < last; i++) {
    const long k = i / O, o = i % O;
    float *restrict y = f->y + i * C;
    const float *x = f->x + (f->taps - 1 - k) * C * O + o;
    for (long c = 0; c < C; c++) y[c] = x[c * O];
  }
}

static void flip_body(const void *context, long part, long first, long last) {
  (void)part;
  flip_part(context, first, last);
}

void vl_flip_kernel(
    int threads, float *flipped, const float *kernel, long taps, long inputs, long outputs) {
  const long n = taps * inputs * outputs;
  VL_APART(1, VL_FLOATS(flipped, n), VL_FLOATS(kernel, n));
  flip f = {flipped, kernel, taps, inputs, outputs};
  vl_for(threads, taps * outputs, 1, flip_body, &f);
}
