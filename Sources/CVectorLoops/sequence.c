#include "internal.h"

// Passes over [B, T, C] that look along the time axis: pooling, means, channel scales.

typedef struct {
  float *y;
  uint8_t *argmax;
  const float *x, *scale;
  float *d_scale;
  const float *dy;
  const uint8_t *place;
  long time, channels, size;
} sequence;

static VL_CLONES void max_pool_part(const sequence *s, long first, long last) {
  const long n = s->channels, out = s->time / s->size;
  for (long r = first; r < last; r++) {
    const float *x = s->x + (r / out * s->time + r % out * s->size) * n;
    float *restrict y = s->y + r * n;
    uint8_t *restrict place = s->argmax + r * n;
    for (long c = 0; c < n; c++) {
      y[c] = x[c];
      place[c] = 0;
    }
    for (long k = 1; k < s->size; k++) {
      for (long c = 0; c < n; c++) {
        const float v = x[k * n + c];
        const int above = v > y[c];
        place[c] = above ? (uint8_t)k : place[c];
        y[c] = above ? v : y[c];
      }
    }
  }
}

static void max_pool_body(const void *context, long part, long first, long last) {
  (void)part;
  max_pool_part(context, first, last);
}

void vl_max_pool_forward(
    int threads, float *y, uint8_t *argmax, const float *x, long batch, long time, long channels,
    long size) {
  const long n = batch * (time / size) * channels;
  VL_APART(2, VL_FLOATS(y, n), VL_BYTES(argmax, n), VL_FLOATS(x, batch * time * channels));
  sequence s = {.y = y, .argmax = argmax, .x = x, .time = time, .channels = channels,
                .size = size};
  vl_for(threads, batch * (time / size), 1, max_pool_body, &s);
}

static VL_CLONES void max_pool_gradient_part(const sequence *s, long first, long last) {
  const long n = s->channels, out = s->time / s->size;
  for (long b = first; b < last; b++) {
    for (long t = 0; t < s->time; t++) {
      float *restrict dx = s->y + (b * s->time + t) * n;
      const long window = t / s->size;
      if (window >= out) {
        memset(dx, 0, (size_t)n * sizeof(float));
        continue;
      }
      const float *dy = s->dy + (b * out + window) * n;
      const uint8_t *place = s->place + (b * out + window) * n;
      const uint8_t k = (uint8_t)(t % s->size);
      for (long c = 0; c < n; c++) dx[c] = place[c] == k ? dy[c] : 0.f;
    }
  }
}

static void max_pool_gradient_body(const void *context, long part, long first, long last) {
  (void)part;
  max_pool_gradient_part(context, first, last);
}

void vl_max_pool_backward(
    int threads, float *dx, const uint8_t *argmax, const float *dy, long batch, long time,
    long channels, long size) {
  const long n = batch * (time / size) * channels;
  VL_APART(1, VL_FLOATS(dx, batch * time * channels), VL_BYTES(argmax, n), VL_FLOATS(dy, n));
  sequence s = {.y = dx, .place = argmax, .dy = dy, .time = time, .channels = channels,
                .size = size};
  vl_for(threads, batch, 1, max_pool_gradient_body, &s);
}

VL_INLINE void clear(float *restrict y, long n) {
  for (long c = 0; c < n; c++) y[c] = 0;
}

static VL_CLONES void average_pool_part(const sequence *s, long first, long last) {
  const long n = s->channels, out = s->time / s->size;
  const float share = 1.f / (float)s->size;
  for (long r = first; r < last; r++) {
    const float *x = s->x + (r / out * s->time + r % out * s->size) * n;
    float *restrict y = s->y + r * n;
    clear(y, n);
    for (long k = 0; k < s->size; k++) {
      for (long c = 0; c < n; c++) y[c] += x[k * n + c];
    }
    for (long c = 0; c < n; c++) y[c] *= share;
  }
}

static void average_pool_body(const void *context, long part, long first, long last) {
  (void)part;
  average_pool_part(context, first, last);
}

void vl_average_pool_forward(
    int threads, float *y, const float *x, long batch, long time, long channels, long size) {
  VL_APART(
      1, VL_FLOATS(y, batch * (time / size) * channels), VL_FLOATS(x, batch * time * channels));
  sequence s = {.y = y, .x = x, .time = time, .channels = channels, .size = size};
  vl_for(threads, batch * (time / size), 1, average_pool_body, &s);
}

static VL_CLONES void average_pool_gradient_part(const sequence *s, long first, long last) {
  const long n = s->channels, out = s->time / s->size;
  const float share = 1.f / (float)s->size;
  for (long b = first; b < last; b++) {
    for (long t = 0; t < s->time; t++) {
      float *restrict dx = s->y + (b * s->time + t) * n;
      const long window = t / s->size;
      if (window >= out) {
        clear(dx, n);
        continue;
      }
      const float *dy = s->dy + (b * out + window) * n;
      for (long c = 0; c < n; c++) dx[c] = dy[c] * share;
    }
  }
}

static void average_pool_gradient_body(const void *context, long part, long first, long last) {
  (void)part;
  average_pool_gradient_part(context, first, last);
}

void vl_average_pool_backward(
    int threads, float *dx, const float *dy, long batch, long time, long channels, long size) {
  VL_APART(
      1, VL_FLOATS(dx, batch * time * channels), VL_FLOATS(dy, batch * (time / size) * channels));
  sequence s = {.y = dx, .dy = dy, .time = time, .channels = channels, .size = size};
  vl_for(threads, batch, 1, average_pool_gradient_body, &s);
}

static VL_CLONES void mean_part(const sequence *s, long first, long last) {
  const long n = s->channels;
  for (long b = first; b < last; b++) {
    float *restrict y = s->y + b * n;
    clear(y, n);
    for (long t = 0; t < s->time; t++) {
      const float *x = s->x + (b * s->time + t) * n;
      for (long c = 0; c < n; c++) y[c] += x[c];
    }
    for (long c = 0; c < n; c++) y[c] *= 1.f / (float)s->time;
  }
}

static void mean_body(const void *context, long part, long first, long last) {
  (void)part;
  mean_part(context, first, last);
}

void vl_mean_over_time_forward(
    int threads, float *y, const float *x, long batch, long time, long channels) {
  VL_APART(1, VL_FLOATS(y, batch * channels), VL_FLOATS(x, batch * time * channels));
  sequence s = {.y = y, .x = x, .time = time, .channels = channels};
  vl_for(threads, batch, 1, mean_body, &s);
}

static VL_CLONES void mean_gradient_part(const sequence *s, long first, long last) {
  const long n = s->channels;
  const float factor = 1.f / (float)s->time;
  for (long r = first; r < last; r++) {
    float *restrict dx = s->y + r * n;
    const float *dy = s->dy + r / s->time * n;
    for (long c = 0; c < n; c++) dx[c] = dy[c] * factor;
  }
}

static void mean_gradient_body(const void *context, long part, long first, long last) {
  (void)part;
  mean_gradient_part(context, first, last);
}

void vl_mean_over_time_backward(
    int threads, float *dx, const float *dy, long batch, long time, long channels) {
  VL_APART(1, VL_FLOATS(dx, batch * time * channels), VL_FLOATS(dy, batch * channels));
  sequence s = {.y = dx, .dy = dy, .time = time, .channels = channels};
  vl_for(threads, batch * time, 1, mean_gradient_body, &s);
}

static VL_CLONES void scale_channels_part(const sequence *s, long first, long last) {
  const long n = s->channels;
  for (long r = first; r < last; r++) {
    float *restrict y = s->y + r * n;
    const float *x = s->x + r * n, *scale = s->scale + r / s->time * n;
    for (long c = 0; c < n; c++) y[c] = x[c] * scale[c];
  }
}

static void scale_channels_body(const void *context, long part, long first, long last) {
  (void)part;
  scale_channels_part(context, first, last);
}

void vl_scale_channels_forward(
    int threads, float *y, const float *x, const float *scale, long batch, long time,
    long channels) {
  const long n = batch * time * channels;
  VL_APART(1, VL_FLOATS(y, n), VL_FLOATS(x, n), VL_FLOATS(scale, batch * channels));
  sequence s = {.y = y, .x = x, .scale = scale, .time = time, .channels = channels};
  vl_for(threads, batch * time, 1, scale_channels_body, &s);
}

static VL_CLONES void scale_channels_gradient_part(const sequence *s, long first, long last) {
  const long n = s->channels;
  for (long b = first; b < last; b++) {
    float *restrict d_scale = s->d_scale + b * n;
    const float *scale = s->scale + b * n;
    clear(d_scale, n);
    for (long t = 0; t < s->time; t++) {
      const long row = (b * s->time + t) * n;
      const float *x = s->x + row, *dy = s->dy + row;
      float *restrict dx = s->y + row;
      for (long c = 0; c < n; c++) {
        d_scale[c] += x[c] * dy[c];
        dx[c] = dy[c] * scale[c];
      }
    }
  }
}

static void scale_channels_gradient_body(const void *context, long part, long first, long last) {
  (void)part;
  scale_channels_gradient_part(context, first, last);
}

void vl_scale_channels_backward(
    int threads, float *dx, float *d_scale, const float *x, const float *scale, const float *dy,
    long batch, long time, long channels) {
  const long n = batch * time * channels;
  VL_APART(
      2, VL_FLOATS(dx, n), VL_FLOATS(d_scale, batch * channels), VL_FLOATS(x, n),
      VL_FLOATS(scale, batch * channels), VL_FLOATS(dy, n));
  sequence s = {.y = dx, .d_scale = d_scale, .x = x, .scale = scale, .dy = dy, .time = time,
                .channels = channels};
  vl_for(threads, batch, 1, scale_channels_gradient_body, &s);
}
