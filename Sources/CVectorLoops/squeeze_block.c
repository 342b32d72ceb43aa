#include "internal.h"

// Two or more convolutions' outputs, each normalized and rectified, side by side, dropped out,
// squeezed, excited and added to a shortcut: everything between the convolutions of one block and
// those of the next. A sample stays in a core's cache from the first pass over it to the last.
//
// d: what dropout keeps, [B, T, C]; m its mean over time; h = relu(m W1 + b1); s = sigmoid(h W2 +
// b2); output = d * s + shortcut. Backward, d above zero says where the gradient passes.
// Legend: C channels of all branches, U units of the squeeze.

enum { lanes_at_once = 2048 };

typedef struct {
  float *a, *b, *c, *d;  // [C] each
  float *u, *v;          // [U] each
  float *sums;           // of a part: W1, b1, W2, b2
} work;

static long weights(const vl_squeeze_block *k) {
  return 2 * k->channels * k->units + k->units + k->channels;
}

long vl_squeeze_block_floats(const vl_squeeze_block *k) {
  return 4 * k->channels + 2 * k->units + weights(k);
}

long vl_squeeze_block_lanes(const vl_squeeze_block *k) {
  return (k->channels > lanes_at_once ? k->channels : lanes_at_once) + 512;
}

static work place(const vl_squeeze_block *k, long part) {
  float *p = k->scratch + part * vl_squeeze_block_floats(k);
  work w;
  w.a = p, p += k->channels;
  w.b = p, p += k->channels;
  w.c = p, p += k->channels;
  w.d = p, p += k->channels;
  w.u = p, p += k->units;
  w.v = p, p += k->units;
  w.sums = p;
  return w;
}

// MARK: Forward

VL_INLINE void normalize_row(
    const vl_squeeze_branch *branch, float *restrict y, const float *x, const uint16_t *lanes,
    uint32_t threshold, float scale, int drops) {
  const float *mean = branch->mean, *factor = branch->factor, *beta = branch->beta;
  for (long c = 0; c < branch->channels; c++) {
    const float v = (x[c] - mean[c]) * factor[c] + beta[c];
    const float r = v < 0.f ? 0.f : v;  // NaN stays NaN
    y[c] = !drops ? r : (uint32_t)lanes[c] >= threshold ? r * scale : 0.f;
  }
}

VL_INLINE void normalize_sample(
    const vl_squeeze_block *k, const work *w, long b, uint16_t *buffer, int drops) {
  const long C = k->channels, T = k->time;
  const long step = lanes_at_once / C > 0 ? lanes_at_once / C : 1;
  float *restrict total = w->a;
  for (long c = 0; c < C; c++) total[c] = 0;
  for (long t = 0; t < T; t += step) {
    const long rows = vl_min(step, T - t);
    const uint16_t *lanes = buffer;
    if (drops) lanes = vl_lanes(buffer, (b * T + t) * C, rows * C, &k->random);
    for (long i = 0; i < rows; i++) {
      const long row = b * T + t + i;
      float *y = k->kept + row * C;
      long offset = 0;
      for (long n = 0; n < k->branch_count; n++) {
        const vl_squeeze_branch *branch = &k->branches[n];
        normalize_row(
            branch, y + offset, branch->input + row * branch->channels, lanes + i * C + offset,
            k->threshold, k->keep_scale, drops);
        offset += branch->channels;
      }
      for (long c = 0; c < C; c++) total[c] += y[c];
    }
  }
  for (long c = 0; c < C; c++) k->mean[b * C + c] = total[c] * (1.f / (float)T);
}

VL_INLINE void excite(const vl_squeeze_block *k, long b) {
  const long C = k->channels, U = k->units;
  const float *m = k->mean + b * C;
  float *restrict h = k->hidden + b * U, *restrict s = k->scale + b * C;
  for (long u = 0; u < U; u++) h[u] = k->squeeze_bias[u];
  for (long c = 0; c < C; c++) {
    for (long u = 0; u < U; u++) h[u] += m[c] * k->squeeze_kernel[c * U + u];
  }
  for (long u = 0; u < U; u++) h[u] = h[u] < 0.f ? 0.f : h[u];
  for (long c = 0; c < C; c++) s[c] = k->excite_bias[c];
  for (long u = 0; u < U; u++) {
    for (long c = 0; c < C; c++) s[c] += h[u] * k->excite_kernel[u * C + c];
  }
  for (long c = 0; c < C; c++) s[c] = vl_sigmoid(s[c]);
}

static VL_CLONES void forward_part(const vl_squeeze_block *k, long part, long first, long last) {
  const long C = k->channels, T = k->time;
  const work w = place(k, part);
  uint16_t *buffer = k->lanes + part * vl_squeeze_block_lanes(k);
  for (long b = first; b < last; b++) {
    if (k->threshold) {
      normalize_sample(k, &w, b, buffer, 1);
    } else {
      normalize_sample(k, &w, b, buffer, 0);
    }
    excite(k, b);
    const float *s = k->scale + b * C;
    for (long row = b * T; row < (b + 1) * T; row++) {
      float *restrict y = k->output + row * C;
      const float *d = k->kept + row * C, *x = k->shortcut + row * C;
      for (long c = 0; c < C; c++) y[c] = d[c] * s[c] + x[c];
    }
  }
}

static void forward_body(const void *context, long part, long first, long last) {
  forward_part(context, part, first, last);
}

static void check_forward(int threads, const vl_squeeze_block *k, long live) {
  const long C = k->channels, n = live * k->time * C;
  VL_APART(
      5, VL_FLOATS(k->output, n), VL_FLOATS(k->kept, n), VL_FLOATS(k->hidden, live * k->units),
      VL_FLOATS(k->scale, live * C), VL_FLOATS(k->scratch, threads * vl_squeeze_block_floats(k)),
      VL_FLOATS(k->mean, live * C), VL_FLOATS(k->shortcut, n));
  for (long i = 0; i < k->branch_count; i++) {
    const vl_squeeze_branch *b = &k->branches[i];
    VL_APART(
        1, VL_FLOATS(k->kept, n), VL_FLOATS(b->input, live * k->time * b->channels),
        VL_FLOATS(b->mean, b->channels), VL_FLOATS(b->factor, b->channels),
        VL_FLOATS(b->beta, b->channels));
  }
}

void vl_squeeze_block_forward(int threads, const vl_squeeze_block *k, long live) {
  check_forward(threads, k, live);
  vl_for(threads, live, 1, forward_body, k);
}

// MARK: Backward

// The gradient of the scale, into w->a.
VL_INLINE void gradient_of_scale(const vl_squeeze_block *k, const work *w, long b) {
  const long C = k->channels, T = k->time;
  float *restrict ds = w->a;
  for (long c = 0; c < C; c++) ds[c] = 0;
  for (long row = b * T; row < (b + 1) * T; row++) {
    const float *d = k->kept + row * C, *dy = k->output_gradient + row * C;
    for (long c = 0; c < C; c++) ds[c] += d[c] * dy[c];
  }
}

// From the gradient of the scale to that of the mean over time, which is left in w->b divided by T.
VL_INLINE void backward_excite(const vl_squeeze_block *k, const work *w, long b) {
#pragma clang fp reassociate(on)
  const long C = k->channels, U = k->units;
  const float *m = k->mean + b * C, *h = k->hidden + b * U, *s = k->scale + b * C;
  float *restrict w1 = w->sums, *restrict b1 = w1 + C * U, *restrict w2 = b1 + U;
  float *restrict b2 = w2 + C * U, *restrict linear = w->a, *restrict dm = w->b;
  for (long c = 0; c < C; c++) {
    linear[c] *= s[c] * (1.f - s[c]);
    b2[c] += linear[c];
  }
  for (long u = 0; u < U; u++) {
    float sum = 0;
    for (long c = 0; c < C; c++) {
      w2[u * C + c] += h[u] * linear[c];
      sum += k->excite_kernel[u * C + c] * linear[c];
    }
    w->u[u] = h[u] > 0.f ? sum : 0.f;
    b1[u] += w->u[u];
  }
  for (long c = 0; c < C; c++) {
    float sum = 0;
    for (long u = 0; u < U; u++) {
      w1[c * U + u] += m[c] * w->u[u];
      sum += k->squeeze_kernel[c * U + u] * w->u[u];
    }
    dm[c] = sum / (float)k->time;
  }
}

VL_INLINE void backward_row(
    const vl_squeeze_block *k, const vl_squeeze_branch *branch, const work *w, long row, long b,
    long offset) {
  const long C = k->channels;
  const float *d = k->kept + row * C + offset, *dy = k->output_gradient + row * C + offset;
  const float *s = k->scale + b * C + offset, *dm = w->b + offset, *mean = branch->mean;
  const float *x = branch->input + row * branch->channels;
  float *restrict g = branch->input_gradient + row * branch->channels;
  float *restrict sum = w->c + offset, *restrict product = w->d + offset;
  const float keep = k->keep_scale;
  for (long c = 0; c < branch->channels; c++) {
    const float v = d[c] > 0.f ? (dy[c] * s[c] + dm[c]) * keep : 0.f;
    g[c] = v;
    sum[c] += v;
    product[c] += v * (x[c] - mean[c]);
  }
}

static VL_CLONES void backward_part(const vl_squeeze_block *k, long part, long first, long last) {
  const long C = k->channels, T = k->time;
  const work w = place(k, part);
  double *total = k->partial + part * 2 * C;
  memset(w.sums, 0, (size_t)weights(k) * sizeof(float));
  memset(total, 0, (size_t)C * 2 * sizeof(double));
  for (long b = first; b < last; b++) {
    for (long c = 0; c < C; c++) w.c[c] = w.d[c] = 0;
    gradient_of_scale(k, &w, b);
    backward_excite(k, &w, b);
    for (long row = b * T; row < (b + 1) * T; row++) {
      long offset = 0;
      for (long n = 0; n < k->branch_count; n++) {
        backward_row(k, &k->branches[n], &w, row, b, offset);
        offset += k->branches[n].channels;
      }
    }
    for (long c = 0; c < C; c++) {
      total[c] += (double)w.c[c];
      total[C + c] += (double)w.d[c];
    }
  }
}

static void backward_body(const void *context, long part, long first, long last) {
  backward_part(context, part, first, last);
}

// The gradients at the normalizations' outputs into those at their inputs, in place.
static VL_CLONES void spread_part(const vl_squeeze_block *k, long first, long last) {
  for (long n = 0; n < k->branch_count; n++) {
    const vl_squeeze_branch *branch = &k->branches[n];
    const long channels = branch->channels;
    const float *factor = branch->factors, *offset = factor + channels;
    const float *slope = offset + channels, *mean = branch->mean;
    for (long r = first; r < last; r++) {
      const float *x = branch->input + r * channels;
      float *restrict g = branch->input_gradient + r * channels;
      for (long c = 0; c < channels; c++) {
        g[c] = (g[c] - offset[c] - (x[c] - mean[c]) * slope[c]) * factor[c];
      }
    }
  }
}

static void spread_body(const void *context, long part, long first, long last) {
  (void)part;
  spread_part(context, first, last);
}

// Adds the parts' sums in their order and hands them out.
static void finish(int threads, const vl_squeeze_block *k, long live) {
  const long C = k->channels, U = k->units, n = weights(k);
  float *sums = place(k, 0).sums;
  for (long part = 1; part < threads; part++) {
    const float *more = place(k, part).sums;
    for (long i = 0; i < n; i++) sums[i] += more[i];
    for (long i = 0; i < 2 * C; i++) k->partial[i] += k->partial[part * 2 * C + i];
  }
  memcpy(k->squeeze_kernel_gradient, sums, (size_t)(C * U) * sizeof(float));
  memcpy(k->squeeze_bias_gradient, sums + C * U, (size_t)U * sizeof(float));
  memcpy(k->excite_kernel_gradient, sums + C * U + U, (size_t)(C * U) * sizeof(float));
  memcpy(k->excite_bias_gradient, sums + 2 * C * U + U, (size_t)C * sizeof(float));
  long offset = 0;
  for (long i = 0; i < k->branch_count; i++) {
    const vl_squeeze_branch *branch = &k->branches[i];
    const long channels = branch->channels;
    double *totals = k->branch_totals;
    memcpy(totals, k->partial + offset, (size_t)channels * sizeof(double));
    memcpy(totals + channels, k->partial + C + offset, (size_t)channels * sizeof(double));
    vl_batch_norm_gradients(
        branch->gamma_gradient, branch->beta_gradient, branch->factors,
        branch->factors + channels, branch->factors + 2 * channels, totals, branch->gamma,
        branch->variance, branch->epsilon, live * k->time, channels);
    offset += channels;
  }
}

static void check_backward(int threads, const vl_squeeze_block *k, long live) {
  const long C = k->channels, n = live * k->time * C;
  for (long i = 0; i < k->branch_count; i++) {
    const vl_squeeze_branch *b = &k->branches[i];
    const long m = live * k->time * b->channels;
    VL_APART(
        3, VL_FLOATS(b->input_gradient, m), VL_FLOATS(b->factors, 3 * b->channels),
        VL_FLOATS(k->scratch, threads * vl_squeeze_block_floats(k)), VL_FLOATS(b->input, m),
        VL_FLOATS(b->mean, b->channels), VL_FLOATS(k->kept, n), VL_FLOATS(k->output_gradient, n),
        VL_FLOATS(k->scale, live * C), VL_FLOATS(k->mean, live * C),
        VL_FLOATS(k->hidden, live * k->units));
  }
}

void vl_squeeze_block_backward(int threads, const vl_squeeze_block *k, long live) {
  check_backward(threads, k, live);
  vl_for(threads, live, 1, backward_body, k);
  finish(threads, k, live);
  vl_for(threads, live * k->time, 1, spread_body, k);
}
