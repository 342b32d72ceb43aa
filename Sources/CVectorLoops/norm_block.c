#include "internal.h"

// Batch normalization, ReLU, dropout and max pooling in one pass over memory, and back.
//
// Backward needs neither the mask nor the normalized values: the block's output y is above zero
// exactly where the winning element was kept and positive, so that the gradient at the
// normalization's output is g = y > 0 ? dy * keep_scale : 0 at the winner, and 0 elsewhere.

enum { block_rows = 32, chunk = 64, lanes_at_once = 2048 };

// MARK: Forward

VL_INLINE float activate(
    const vl_norm_block *a, const float *x, long c, long i, const uint16_t *lanes, int drops) {
  const float v = (x[i] - a->mean[c]) * a->factor[c] + a->beta[c];
  const float r = v < 0.f ? 0.f : v;  // NaN stays NaN
  if (!drops) return r;
  return (uint32_t)lanes[i] >= a->threshold ? r * a->keep_scale : 0.f;
}

VL_INLINE void forward_row(
    const vl_norm_block *a, float *restrict y, uint8_t *restrict place, const float *x,
    const uint16_t *lanes, const long size, int drops) {
  const long n = a->channels;
  if (size == 1) {
    for (long c = 0; c < n; c++) y[c] = activate(a, x, c, c, lanes, drops);
    return;
  }
  if (size == 2) {
    for (long c = 0; c < n; c++) {
      const float first = activate(a, x, c, c, lanes, drops);
      const float second = activate(a, x, c, n + c, lanes, drops);
      place[c] = second > first;
      y[c] = second > first ? second : first;
    }
    return;
  }
  for (long c = 0; c < n; c++) {
    y[c] = activate(a, x, c, c, lanes, drops);
    place[c] = 0;
  }
  for (long k = 1; k < size; k++) {
    for (long c = 0; c < n; c++) {
      const float v = activate(a, x, c, k * n + c, lanes, drops);
      place[c] = v > y[c] ? (uint8_t)k : place[c];
      y[c] = v > y[c] ? v : y[c];
    }
  }
}

VL_INLINE void forward_rows(
    const vl_norm_block *a, long first, long last, uint16_t *buffer, int drops, int one, int two) {
  const long n = a->channels, size = one ? 1 : two ? 2 : a->size, out = a->time / size;
  const long step = lanes_at_once / (size * n) > 0 ? lanes_at_once / (size * n) : 1;
  for (long r = first; r < last;) {
    // Rows of one sample, since its last time steps may belong to no window.
    const long b = r / out, t = r % out;
    const long rows = vl_min(vl_min(step, out - t), last - r);
    const long origin = (b * a->time + t * size) * n;
    const uint16_t *lanes = buffer;
    if (drops) lanes = vl_lanes(buffer, origin, rows * size * n, &a->random);
    for (long i = 0; i < rows; i++) {
      forward_row(
          a, a->output + (r + i) * n, one ? 0 : a->argmax + (r + i) * n,
          a->input + origin + i * size * n, lanes + i * size * n, size, drops);
    }
    r += rows;
  }
}

static VL_CLONES void forward_part(const vl_norm_block *a, long part, long first, long last) {
  uint16_t *buffer = a->lanes + part * vl_norm_block_lanes(a);
  const int drops = a->threshold > 0, one = a->size == 1, two = a->size == 2;
  if (drops && one) forward_rows(a, first, last, buffer, 1, 1, 0);
  if (drops && two) forward_rows(a, first, last, buffer, 1, 0, 1);
  if (drops && !one && !two) forward_rows(a, first, last, buffer, 1, 0, 0);
  if (!drops && one) forward_rows(a, first, last, buffer, 0, 1, 0);
  if (!drops && two) forward_rows(a, first, last, buffer, 0, 0, 1);
  if (!drops && !one && !two) forward_rows(a, first, last, buffer, 0, 0, 0);
}

static void forward_body(const void *context, long part, long first, long last) {
  forward_part(context, part, first, last);
}

long vl_norm_block_lanes(const vl_norm_block *a) {
  const long row = a->size * a->channels;
  return (row > lanes_at_once ? row : lanes_at_once) + 512;
}

void vl_norm_block_forward(int threads, const vl_norm_block *a, long live) {
  const long n = a->channels, rows = live * (a->time / a->size);
  VL_APART(
      2, VL_FLOATS(a->output, rows * n), VL_BYTES(a->size == 1 ? 0 : a->argmax, rows * n),
      VL_FLOATS(a->input, live * a->time * n), VL_FLOATS(a->mean, n), VL_FLOATS(a->factor, n),
      VL_FLOATS(a->beta, n));
  vl_for(threads, live * (a->time / a->size), 1, forward_body, a);
}

// MARK: Backward

// Sums of g and of g * (x - mean) over the output's rows, for n channels from c.
VL_INLINE void sum_rows(
    const vl_norm_block *a, double *total, long r, long rows, long c, const long n,
    const long size) {
  const long channels = a->channels, out = a->time / size;
  float s[chunk] = {0}, q[chunk] = {0};
  for (long i = r; i < r + rows; i++) {
    const float *x = a->input + ((i / out) * a->time + i % out * size) * channels + c;
    const float *y = a->output + i * channels + c, *dy = a->output_gradient + i * channels + c;
    // Without pooling there is none.
    const uint8_t *place = size == 1 ? 0 : a->argmax + i * channels + c;
    for (long j = 0; j < n; j++) {
      const float g = y[j] > 0.f ? dy[j] : 0.f;
      float winner = x[j];
      if (size == 2) winner = place[j] ? x[channels + j] : winner;
      if (size > 2) winner = x[place[j] * channels + j];
      s[j] += g;
      q[j] += g * (winner - a->mean[c + j]);
    }
  }
  for (long j = 0; j < n; j++) {
    total[c + j] += (double)s[j] * (double)a->keep_scale;
    total[channels + c + j] += (double)q[j] * (double)a->keep_scale;
  }
}

VL_INLINE void sums_part(
    const vl_norm_block *a, double *total, long first, long last, const long size) {
  const long channels = a->channels;
  for (long r = first; r < last; r += block_rows) {
    const long rows = vl_min(block_rows, last - r);
    for (long c = 0; c < channels; c += chunk) {
      if (channels - c >= chunk) {
        sum_rows(a, total, r, rows, c, chunk, size);
      } else {
        sum_rows(a, total, r, rows, c, channels - c, size);
      }
    }
  }
}

static VL_CLONES void sums_clone(const vl_norm_block *a, double *total, long first, long last) {
  memset(total, 0, (size_t)a->channels * 2 * sizeof(double));
  if (a->size == 1) {
    sums_part(a, total, first, last, 1);
  } else if (a->size == 2) {
    sums_part(a, total, first, last, 2);
  } else {
    sums_part(a, total, first, last, a->size);
  }
}

static void sums_body(const void *context, long part, long first, long last) {
  const vl_norm_block *a = context;
  sums_clone(a, a->partial + part * 2 * a->channels, first, last);
}

VL_INLINE void spread_row(
    const vl_norm_block *a, float *restrict dx, const float *x, const float *y, const float *dy,
    const uint8_t *place, const long k, const int pools) {
  const float *factor = a->factors, *offset = factor + a->channels;
  const float *slope = offset + a->channels;
  for (long c = 0; c < a->channels; c++) {
    float g = y[c] > 0.f ? dy[c] * a->keep_scale : 0.f;
    if (pools) g = place[c] == k ? g : 0.f;
    dx[c] = (g - offset[c] - (x[c] - a->mean[c]) * slope[c]) * factor[c];
  }
}

VL_INLINE void spread_last(const vl_norm_block *a, float *restrict dx, const float *x) {
  const float *factor = a->factors, *offset = factor + a->channels;
  const float *slope = offset + a->channels;
  for (long c = 0; c < a->channels; c++) {
    dx[c] = (-offset[c] - (x[c] - a->mean[c]) * slope[c]) * factor[c];
  }
}

static VL_CLONES void spread_part(const vl_norm_block *a, long first, long last) {
  const long n = a->channels, size = a->size, out = a->time / size;
  for (long r = first; r < last; r++) {
    const long b = r / a->time, t = r % a->time, window = t / size;
    const float *x = a->input + r * n;
    float *dx = a->input_gradient + r * n;
    if (window >= out) {
      spread_last(a, dx, x);
      continue;
    }
    const long to = (b * out + window) * n;
    if (size == 1) {
      spread_row(a, dx, x, a->output + to, a->output_gradient + to, 0, 0, 0);
    } else {
      spread_row(
          a, dx, x, a->output + to, a->output_gradient + to, a->argmax + to, t % size, 1);
    }
  }
}

static void spread_body(const void *context, long part, long first, long last) {
  (void)part;
  spread_part(context, first, last);
}

void vl_norm_block_backward(int threads, const vl_norm_block *a, long live) {
  const long n = a->channels, rows = live * (a->time / a->size);
  VL_APART(
      2, VL_FLOATS(a->input_gradient, live * a->time * n), VL_FLOATS(a->factors, 3 * n),
      VL_FLOATS(a->input, live * a->time * n), VL_FLOATS(a->output, rows * n),
      VL_FLOATS(a->output_gradient, rows * n), VL_BYTES(a->argmax, rows * n),
      VL_FLOATS(a->mean, n));
  vl_for(threads, live * (a->time / a->size), 1, sums_body, a);
  for (long part = 1; part < threads; part++) {
    for (long i = 0; i < 2 * n; i++) a->partial[i] += a->partial[part * 2 * n + i];
  }
  vl_batch_norm_gradients(
      a->gamma_gradient, a->beta_gradient, a->factors, a->factors + n, a->factors + 2 * n,
      a->partial, a->gamma, a->variance, a->epsilon, live * a->time, n);
  vl_for(threads, live * a->time, 1, spread_body, a);
}
