#include "internal.h"

// Passes that map elements to elements.

typedef struct {
  float *y;
  const float *a, *b;
  float p;
} map;

#define VL_MAP(name, expression)                                                        \
  static VL_CLONES void name##_part(                                                    \
      float *restrict y, const float *a, const float *b, float p, long first, long last) { \
    (void)a, (void)b, (void)p;                                                          \
    for (long i = first; i < last; i++) y[i] = (expression);                            \
  }                                                                                     \
  static void name##_body(const void *context, long part, long first, long last) {      \
    const map *m = context;                                                             \
    (void)part;                                                                         \
    name##_part(m->y, m->a, m->b, m->p, first, last);                                   \
  }                                                                                     \
  static void name(int threads, map m, long count) {                                    \
    VL_APART(1, VL_FLOATS(m.y, count), VL_FLOATS(m.a, count), VL_FLOATS(m.b, count));    \
    vl_for(threads, count, 64, name##_body, &m);                                        \
  }

// NaN stays NaN, as in Keras: a loss that is NaN or infinite must show.
VL_MAP(relu, a[i] < 0.f ? 0.f : a[i])
VL_MAP(relu_gradient, a[i] > 0.f ? b[i] : 0.f)
VL_MAP(sigmoid, vl_sigmoid(a[i]))
VL_MAP(sigmoid_gradient, b[i] * a[i] * (1.f - a[i]))
VL_MAP(sum, a[i] + b[i])
VL_MAP(added, y[i] + a[i])

void vl_relu_forward(int threads, float *y, const float *x, long count) {
  relu(threads, (map){y, x, 0, 0}, count);
}

void vl_relu_backward(int threads, float *dx, const float *y, const float *dy, long count) {
  relu_gradient(threads, (map){dx, y, dy, 0}, count);
}

void vl_sigmoid_forward(int threads, float *y, const float *x, long count) {
  sigmoid(threads, (map){y, x, 0, 0}, count);
}

void vl_sigmoid_backward(int threads, float *dx, const float *y, const float *dy, long count) {
  sigmoid_gradient(threads, (map){dx, y, dy, 0}, count);
}

void vl_add(int threads, float *y, const float *a, const float *b, long count) {
  sum(threads, (map){y, a, b, 0}, count);
}

void vl_add_to(int threads, float *y, const float *x, long count) {
  added(threads, (map){y, x, 0, 0}, count);
}

// Rows of `width` floats copied between places of different strides.
typedef struct {
  float *y;
  const float *x;
  long y_stride, x_stride, width;
} strided;

static void copy_body(const void *context, long part, long first, long last) {
  const strided *s = context;
  (void)part;
  for (long r = first; r < last; r++) {
    memcpy(s->y + r * s->y_stride, s->x + r * s->x_stride, (size_t)s->width * sizeof(float));
  }
}

void vl_copy_rows(
    int threads, float *y, long y_stride, const float *x, long x_stride, long width, long rows) {
  strided s = {y, x, y_stride, x_stride, width};
  vl_for(threads, rows, 1, copy_body, &s);
}

static VL_CLONES void fill_rows_part(
    float *y, const float *x, long width, long first, long last) {
  for (long r = first; r < last; r++) {
    for (long c = 0; c < width; c++) y[r * width + c] = x[c];
  }
}

static void fill_body(const void *context, long part, long first, long last) {
  const strided *s = context;
  (void)part;
  fill_rows_part(s->y, s->x, s->width, first, last);
}

void vl_fill_rows(int threads, float *y, const float *row, long width, long rows) {
  strided s = {y, row, width, 0, width};
  vl_for(threads, rows, 1, fill_body, &s);
}

// Dropout and noise.

typedef struct {
  float *y;
  const float *x;
  float scale;
  uint32_t threshold;
  const vl_random *random;
} random_map;

static VL_CLONES void dropout_part(
    float *y, const float *x, float scale, uint32_t threshold, const vl_random *r, long first,
    long last) {
  uint16_t buffer[1024 + 256] __attribute__((aligned(64)));
  for (long start = first; start < last; start += 1024) {
    const long n = vl_min(1024, last - start);
    const uint16_t *lanes = vl_lanes(buffer, start, n, r);
    for (long i = 0; i < n; i++) {
      y[start + i] = (uint32_t)lanes[i] >= threshold ? x[start + i] * scale : 0.f;
    }
  }
}

static void dropout_body(const void *context, long part, long first, long last) {
  const random_map *m = context;
  (void)part;
  dropout_part(m->y, m->x, m->scale, m->threshold, m->random, first, last);
}

void vl_dropout(
    int threads, float *y, const float *x, float scale, uint32_t threshold,
    const vl_random *random, long count) {
  random_map m = {y, x, scale, threshold, random};
  vl_for(threads, count, 1024, dropout_body, &m);
}

// Standard normals of elements `first ..< first + count`, first a multiple of 4, into `normals`
// with room for count + 64. Box-Muller on pairs of words.
static VL_CLONES void normals_part(float *normals, long first, long count, const vl_random *r) {
  uint32_t words[64] __attribute__((aligned(64)));
  for (long start = 0; start < count; start += 64) {
    vl_philox16(
        words, (uint32_t)((first + start) / 4), r->stream, (uint32_t)r->step,
        (uint32_t)(r->step >> 32), r->key0, r->key1);
    float radius[32], turn[32];
    for (int i = 0; i < 32; i++) {
      const float u1 = (float)((words[2 * i] >> 8) + 1u) * 0x1p-24f;
      turn[i] = (float)(words[2 * i + 1] >> 8) * 0x1p-24f;
      radius[i] = __builtin_elementwise_sqrt(-2.f * vl_log(u1));
    }
    for (int i = 0; i < 32; i++) {
      float s, c;
      vl_sincos_turn(turn[i], &s, &c);
      normals[start + 2 * i] = radius[i] * c;
      normals[start + 2 * i + 1] = radius[i] * s;
    }
  }
}

void vl_normals(float *normals, long first, long count, const vl_random *random) {
  normals_part(normals, first, count, random);
}

static void noise_body(const void *context, long part, long first, long last) {
  const random_map *m = context;
  (void)part;
  float normals[1024 + 64];
  for (long start = first; start < last; start += 1024) {
    const long n = vl_min(1024, last - start);
    normals_part(normals, start, n, m->random);
    for (long i = 0; i < n; i++) m->y[start + i] = m->x[start + i] + m->scale * normals[i];
  }
}

void vl_gaussian_noise(
    int threads, float *y, const float *x, float deviation, const vl_random *random, long count) {
  random_map m = {y, x, deviation, 0, random};
  vl_for(threads, count, 1024, noise_body, &m);
}
