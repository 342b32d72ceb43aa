#include "internal.h"

// Multi-head attention operation by operation, every intermediate tensor written: what the short
// form is compared with. The projections are matrix products of the caller.
// Legend: t query step, s key step, h head, k place within a head; Q, K, V, context [B, T, H, K],
// P [B, H, T, T].

VL_INLINE float dot(const float *a, const float *b, long n) {
#pragma clang fp reassociate(on)
  float s = 0;
  for (long i = 0; i < n; i++) s += a[i] * b[i];
  return s;
}

VL_INLINE void add_scaled(float *restrict y, const float *x, float a, long n) {
  for (long i = 0; i < n; i++) y[i] += a * x[i];
}

VL_INLINE void softmax_in_place(float *restrict p, long n) {
#pragma clang fp reassociate(on)
  float top = p[0], total = 0;
  for (long s = 1; s < n; s++) top = p[s] > top ? p[s] : top;
  for (long s = 0; s < n; s++) {
    p[s] = vl_exp(p[s] - top);
    total += p[s];
  }
  const float inverse = 1.f / total;
  for (long s = 0; s < n; s++) p[s] *= inverse;
}

// The factor of each weight of a row: 0, or 1 / (1 - rate).
VL_INLINE void dropout_row(const vl_attention *a, float *factors, uint16_t *buffer, long row) {
  const long T = a->time;
  if (a->threshold == 0) {
    for (long s = 0; s < T; s++) factors[s] = 1.f;
    return;
  }
  const uint16_t *lanes = vl_lanes(buffer, row * T, T, &a->random);
  for (long s = 0; s < T; s++) {
    factors[s] = (uint32_t)lanes[s] >= a->threshold ? a->keep_scale : 0.f;
  }
}

static VL_CLONES void forward_part(const vl_attention *a, long part, long first, long last) {
  const long T = a->time, H = a->heads, K = a->key_size, row = H * K;
  float *factors = a->rows + part * 2 * T;
  uint16_t *buffer = a->lanes + part * (T + 256);
  for (long i = first; i < last; i++) {
    const long b = i / H, h = i % H;
    const float *q = a->query + b * T * row + h * K;
    const float *k = a->key + b * T * row + h * K, *v = a->value + b * T * row + h * K;
    for (long t = 0; t < T; t++) {
      float *p = a->probabilities + (i * T + t) * T;
      for (long s = 0; s < T; s++) p[s] = dot(q + t * row, k + s * row, K) * a->scale;
      softmax_in_place(p, T);
      dropout_row(a, factors, buffer, i * T + t);
      float *context = a->context + (b * T + t) * row + h * K;
      memset(context, 0, (size_t)K * sizeof(float));
      for (long s = 0; s < T; s++) add_scaled(context, v + s * row, p[s] * factors[s], K);
    }
  }
}

static void forward_body(const void *context, long part, long first, long last) {
  forward_part(context, part, first, last);
}

void vl_attention_forward(int threads, const vl_attention *a, long live) {
  const long n = live * a->time * a->heads * a->key_size;
  VL_APART(
      2, VL_FLOATS(a->probabilities, live * a->heads * a->time * a->time),
      VL_FLOATS(a->context, n), VL_FLOATS(a->query, n), VL_FLOATS(a->key, n),
      VL_FLOATS(a->value, n));
  vl_for(threads, live * a->heads, 1, forward_body, a);
}

static VL_CLONES void backward_part(const vl_attention *a, long part, long first, long last) {
  const long T = a->time, H = a->heads, K = a->key_size, row = H * K;
  float *factors = a->rows + part * 2 * T, *ds = factors + T;
  uint16_t *buffer = a->lanes + part * (T + 256);
  for (long i = first; i < last; i++) {
    const long b = i / H, h = i % H, origin = b * T * row + h * K;
    for (long t = 0; t < T; t++) {
      memset(a->d_query + origin + t * row, 0, (size_t)K * sizeof(float));
      memset(a->d_key + origin + t * row, 0, (size_t)K * sizeof(float));
      memset(a->d_value + origin + t * row, 0, (size_t)K * sizeof(float));
    }
    for (long t = 0; t < T; t++) {
      const float *p = a->probabilities + (i * T + t) * T;
      const float *d_context = a->d_context + origin + t * row;
      const float *q = a->query + origin + t * row;
      dropout_row(a, factors, buffer, i * T + t);
      float inner = 0;
      for (long s = 0; s < T; s++) {
        add_scaled(a->d_value + origin + s * row, d_context, p[s] * factors[s], K);
        ds[s] = dot(d_context, a->value + origin + s * row, K) * factors[s];
        inner += p[s] * ds[s];
      }
      for (long s = 0; s < T; s++) {
        const float g = p[s] * (ds[s] - inner) * a->scale;
        add_scaled(a->d_query + origin + t * row, a->key + origin + s * row, g, K);
        add_scaled(a->d_key + origin + s * row, q, g, K);
      }
    }
  }
}

static void backward_body(const void *context, long part, long first, long last) {
  backward_part(context, part, first, last);
}

void vl_attention_backward(int threads, const vl_attention *a, long live) {
  const long n = live * a->time * a->heads * a->key_size;
  VL_APART(
      3, VL_FLOATS(a->d_query, n), VL_FLOATS(a->d_key, n), VL_FLOATS(a->d_value, n),
      VL_FLOATS(a->probabilities, live * a->heads * a->time * a->time),
      VL_FLOATS(a->d_context, n), VL_FLOATS(a->query, n), VL_FLOATS(a->key, n),
      VL_FLOATS(a->value, n));
  vl_for(threads, live * a->heads, 1, backward_body, a);
}
