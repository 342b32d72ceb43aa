#include "internal.h"

// Column sums and the normalizations over them. Sums are kept in float for a block of rows, then
// added to double precision; parts are added in their order.

enum { block_rows = 32, chunk = 64 };

// What a column sum adds up, of a row's channel.
typedef enum { sum_x, sum_shifted, sum_gradient } sum_kind;

typedef struct {
  const float *x, *dy, *shift;
  double *partial;  // [parts, 2, channels]
  long channels;
  sum_kind kind;
} sums;

VL_INLINE void block_sums(
    const float *x, const float *dy, const float *shift, double *total, long channels, long rows,
    long n, sum_kind kind) {
  float s[chunk] = {0}, q[chunk] = {0};
  for (long r = 0; r < rows; r++) {
    for (long c = 0; c < n; c++) {
      const float v = x[r * channels + c];
      if (kind == sum_x) {
        s[c] += v;
      } else if (kind == sum_shifted) {
        const float d = v - shift[c];
        s[c] += d;
        q[c] += d * d;
      } else {
        const float g = dy[r * channels + c];
        s[c] += g;
        q[c] += g * (v - shift[c]);
      }
    }
  }
  for (long c = 0; c < n; c++) {
    total[c] += (double)s[c];
    if (kind != sum_x) total[channels + c] += (double)q[c];
  }
}

VL_INLINE void all_sums(const sums *k, double *total, long first, long last, sum_kind kind) {
  const long channels = k->channels;
  for (long r = first; r < last; r += block_rows) {
    const long rows = vl_min(block_rows, last - r);
    for (long c = 0; c < channels; c += chunk) {
      const float *x = k->x + r * channels + c;
      const float *dy = k->dy ? k->dy + r * channels + c : 0;
      const float *shift = k->shift ? k->shift + c : 0;
      if (channels - c >= chunk) {
        block_sums(x, dy, shift, total + c, channels, rows, chunk, kind);
      } else {
        block_sums(x, dy, shift, total + c, channels, rows, channels - c, kind);
      }
    }
  }
}

static VL_CLONES void sums_part(const sums *k, double *total, long first, long last) {
  memset(total, 0, (size_t)k->channels * 2 * sizeof(double));
  if (k->kind == sum_x) all_sums(k, total, first, last, sum_x);
  if (k->kind == sum_shifted) all_sums(k, total, first, last, sum_shifted);
  if (k->kind == sum_gradient) all_sums(k, total, first, last, sum_gradient);
}

static void sums_body(const void *context, long part, long first, long last) {
  const sums *k = context;
  sums_part(k, k->partial + part * 2 * k->channels, first, last);
}

// Leaves the totals in the first part.
static void run_sums(int threads, const sums *k, long rows) {
  vl_for(threads, rows, 1, sums_body, k);
  for (long part = 1; part < threads; part++) {
    for (long i = 0; i < 2 * k->channels; i++) k->partial[i] += k->partial[part * 2 * k->channels + i];
  }
}

void vl_column_sums(
    int threads, float *y, const float *x, long rows, long channels, double *scratch) {
  sums k = {x, 0, 0, scratch, channels, sum_x};
  run_sums(threads, &k, rows);
  for (long c = 0; c < channels; c++) y[c] = (float)scratch[c];
}

// Mean and variance by sums about `k->shift`, which may be where the means go; returns whether a
// mean lies more than eight deviations from it. Squares about a distant value lose digits: up to
// there the variance is off by a millionth at most, beyond by as much as a five-hundredth.
static int statistics_about(
    int threads, const sums *k, float *mean, float *variance, long rows) {
  run_sums(threads, k, rows);
  int is_far = 0;
  for (long c = 0; c < k->channels; c++) {
    const double s = k->partial[c] / (double)rows;
    const double v = k->partial[k->channels + c] / (double)rows - s * s;
    is_far |= s * s > 64 * v;
    mean[c] = (float)((double)k->shift[c] + s);
    variance[c] = (float)(v < 0 ? 0 : v);
  }
  return is_far;
}

void vl_batch_statistics(
    int threads, float *mean, float *variance, const float *x, long rows, long channels,
    double *scratch) {
  // The first row is near the mean as a rule; where it is not, the mean found about it is.
  sums k = {x, 0, x, scratch, channels, sum_shifted};
  if (!statistics_about(threads, &k, mean, variance, rows)) return;
  k.shift = mean;
  statistics_about(threads, &k, mean, variance, rows);
}

void vl_move_statistics(
    float *moving_mean, float *moving_variance, const float *mean, const float *variance,
    double momentum, long channels) {
  const float keep = (float)momentum, take = (float)(1 - momentum);
  for (long c = 0; c < channels; c++) {
    moving_mean[c] = moving_mean[c] * keep + mean[c] * take;
    moving_variance[c] = moving_variance[c] * keep + variance[c] * take;
  }
}

// y = (x - shift) * factor + offset, per channel.
typedef struct {
  float *y;
  const float *x, *dy, *shift, *factor, *offset, *slope;
  long channels;
} affine;

static VL_CLONES void affine_part(const affine *a, long first, long last) {
  const long channels = a->channels;
  const float *shift = a->shift, *factor = a->factor, *offset = a->offset;
  for (long r = first; r < last; r++) {
    float *restrict y = a->y + r * channels;
    const float *x = a->x + r * channels;
    for (long c = 0; c < channels; c++) y[c] = (x[c] - shift[c]) * factor[c] + offset[c];
  }
}

static void affine_body(const void *context, long part, long first, long last) {
  (void)part;
  affine_part(context, first, last);
}

void vl_batch_factors(float *factor, const float *gamma, const float *variance, float epsilon,
                      long channels) {
  for (long c = 0; c < channels; c++) {
    factor[c] = gamma[c] / __builtin_elementwise_sqrt(variance[c] + epsilon);
  }
}

void vl_batch_norm_apply(
    int threads, float *y, const float *x, const float *mean, const float *factor,
    const float *beta, long rows, long channels) {
  VL_APART(
      1, VL_FLOATS(y, rows * channels), VL_FLOATS(x, rows * channels), VL_FLOATS(mean, channels),
      VL_FLOATS(factor, channels), VL_FLOATS(beta, channels));
  affine a = {y, x, 0, mean, factor, beta, 0, channels};
  vl_for(threads, rows, 1, affine_body, &a);
}

static VL_CLONES void gradient_part(const affine *a, long first, long last) {
  const long channels = a->channels;
  const float *shift = a->shift, *factor = a->factor, *offset = a->offset, *slope = a->slope;
  for (long r = first; r < last; r++) {
    float *restrict dx = a->y + r * channels;
    const float *x = a->x + r * channels, *dy = a->dy + r * channels;
    for (long c = 0; c < channels; c++) {
      dx[c] = (dy[c] - offset[c] - (x[c] - shift[c]) * slope[c]) * factor[c];
    }
  }
}

static void gradient_body(const void *context, long part, long first, long last) {
  (void)part;
  gradient_part(context, first, last);
}

// From the totals of dy and dy * (x - mean): the gradients of gamma and beta, and per channel what
// the input's gradient needs: factor, offset = mean of dy, slope.
void vl_batch_norm_gradients(
    float *d_gamma, float *d_beta, float *factor, float *offset, float *slope,
    const double *totals, const float *gamma, const float *variance, float epsilon, long rows,
    long channels) {
  for (long c = 0; c < channels; c++) {
    const double inverse = 1.0 / __builtin_sqrt((double)variance[c] + (double)epsilon);
    d_beta[c] = (float)totals[c];
    d_gamma[c] = (float)(totals[channels + c] * inverse);
    factor[c] = (float)((double)gamma[c] * inverse);
    offset[c] = (float)(totals[c] / (double)rows);
    slope[c] = (float)(totals[channels + c] * inverse * inverse / (double)rows);
  }
}

void vl_batch_norm_backward(
    int threads, float *dx, float *d_gamma, float *d_beta, const float *x, const float *dy,
    const float *gamma, const float *mean, const float *variance, float epsilon, long rows,
    long channels, double *scratch, float *factors) {
  const long n = rows * channels;
  VL_APART(
      2, VL_FLOATS(dx, n), VL_FLOATS(factors, 3 * channels), VL_FLOATS(x, n), VL_FLOATS(dy, n),
      VL_FLOATS(gamma, channels), VL_FLOATS(mean, channels), VL_FLOATS(variance, channels));
  sums k = {x, dy, mean, scratch, channels, sum_gradient};
  run_sums(threads, &k, rows);
  float *factor = factors, *offset = factors + channels, *slope = factors + 2 * channels;
  vl_batch_norm_gradients(
      d_gamma, d_beta, factor, offset, slope, scratch, gamma, variance, epsilon, rows, channels);
  affine a = {dx, x, dy, mean, factor, offset, slope, channels};
  vl_for(threads, rows, 1, gradient_body, &a);
}

// Layer normalization: each row by its own mean and variance.
typedef struct {
  float *y, *mean, *variance, *dx;
  const float *x, *dy, *gamma, *beta;
  double *partial;  // [parts, 2, channels]
  float *rows;  // [parts, 2, channels]
  float epsilon;
  long channels;
} layer_norm;

static VL_CLONES void layer_norm_part(const layer_norm *k, long first, long last) {
#pragma clang fp reassociate(on)
  const long n = k->channels;
  for (long r = first; r < last; r++) {
    const float *x = k->x + r * n;
    float *restrict y = k->y + r * n;
    float s = 0, q = 0;
    for (long c = 0; c < n; c++) s += x[c];
    const float mean = s / (float)n;
    for (long c = 0; c < n; c++) q += (x[c] - mean) * (x[c] - mean);
    const float variance = q / (float)n;
    const float inverse = 1.f / __builtin_elementwise_sqrt(variance + k->epsilon);
    for (long c = 0; c < n; c++) y[c] = (x[c] - mean) * inverse * k->gamma[c] + k->beta[c];
    k->mean[r] = mean;
    k->variance[r] = variance;
  }
}

static void layer_norm_body(const void *context, long part, long first, long last) {
  (void)part;
  layer_norm_part(context, first, last);
}

void vl_layer_norm_forward(
    int threads, float *y, float *mean, float *variance, const float *x, const float *gamma,
    const float *beta, float epsilon, long rows, long channels) {
  const long n = rows * channels;
  VL_APART(
      3, VL_FLOATS(y, n), VL_FLOATS(mean, rows), VL_FLOATS(variance, rows), VL_FLOATS(x, n),
      VL_FLOATS(gamma, channels), VL_FLOATS(beta, channels));
  layer_norm k = {.y = y, .mean = mean, .variance = variance, .x = x, .gamma = gamma,
                  .beta = beta, .epsilon = epsilon, .channels = channels};
  vl_for(threads, rows, 1, layer_norm_body, &k);
}

VL_INLINE void flush_rows(double *total, float *rows, long n) {
  for (long c = 0; c < n; c++) {
    total[c] += (double)rows[c];
    rows[c] = 0;
  }
}

static VL_CLONES void layer_norm_gradient_part(
    const layer_norm *k, long part, long first, long last) {
#pragma clang fp reassociate(on)
  const long n = k->channels;
  float *restrict sums = k->rows + part * 2 * n;
  double *total = k->partial + part * 2 * n;
  memset(total, 0, (size_t)n * 2 * sizeof(double));
  memset(sums, 0, (size_t)n * 2 * sizeof(float));
  for (long r = first; r < last; r++) {
    const float *x = k->x + r * n, *dy = k->dy + r * n;
    float *restrict dx = k->dx + r * n;
    const float mean = k->mean[r];
    const float inverse = 1.f / __builtin_elementwise_sqrt(k->variance[r] + k->epsilon);
    float m1 = 0, m2 = 0;
    for (long c = 0; c < n; c++) {
      const float g = dy[c] * k->gamma[c], z = (x[c] - mean) * inverse;
      m1 += g;
      m2 += g * z;
      sums[c] += dy[c] * z;
      sums[n + c] += dy[c];
    }
    m1 /= (float)n;
    m2 /= (float)n;
    for (long c = 0; c < n; c++) {
      dx[c] = inverse * (dy[c] * k->gamma[c] - m1 - (x[c] - mean) * inverse * m2);
    }
    if ((r - first) % block_rows == block_rows - 1) flush_rows(total, sums, 2 * n);
  }
  flush_rows(total, sums, 2 * n);
}

static void layer_norm_gradient_body(const void *context, long part, long first, long last) {
  layer_norm_gradient_part(context, part, first, last);
}

void vl_layer_norm_backward(
    int threads, float *dx, float *d_gamma, float *d_beta, const float *x, const float *dy,
    const float *gamma, const float *mean, const float *variance, float epsilon, long rows,
    long channels, double *scratch, float *row_scratch) {
  const long n = rows * channels;
  VL_APART(
      2, VL_FLOATS(dx, n), VL_FLOATS(row_scratch, threads * 2 * channels), VL_FLOATS(x, n),
      VL_FLOATS(dy, n), VL_FLOATS(gamma, channels), VL_FLOATS(mean, rows),
      VL_FLOATS(variance, rows));
  layer_norm k = {.dx = dx, .mean = (float *)mean, .variance = (float *)variance, .x = x,
                  .dy = dy, .gamma = gamma, .partial = scratch, .rows = row_scratch,
                  .epsilon = epsilon, .channels = channels};
  vl_for(threads, rows, 1, layer_norm_gradient_body, &k);
  for (long c = 0; c < channels; c++) {
    double gamma_total = 0, beta_total = 0;
    for (long part = 0; part < threads; part++) {
      gamma_total += scratch[part * 2 * channels + c];
      beta_total += scratch[part * 2 * channels + channels + c];
    }
    d_gamma[c] = (float)gamma_total;
    d_beta[c] = (float)beta_total;
  }
}
