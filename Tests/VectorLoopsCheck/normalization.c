#include "support.h"

#include <math.h>

static void batch_norm(long rows, long channels) {
  const long n = rows * channels;
  const float *x = given(n), *dy = given(n), *gamma = given(channels), *beta = given(channels);
  double *scratch = doubles(threads * 2 * channels);
  float *mean = unwritten(channels), *variance = unwritten(channels);
  float *factor = unwritten(channels), *y = unwritten(n);
  vl_column_sums(threads, mean, x, rows, channels, scratch);
  check("column sums", mean, channels);
  vl_batch_statistics(threads, mean, variance, x, rows, channels, scratch);
  check("mean", mean, channels);
  check("variance", variance, channels);
  vl_batch_factors(factor, gamma, variance, 1e-3f, channels);
  vl_batch_norm_apply(threads, y, x, mean, factor, beta, rows, channels);
  check("batch norm", y, n);
  float *moving_mean = given(channels), *moving_variance = positive(channels);
  vl_move_statistics(moving_mean, moving_variance, mean, variance, 0.99, channels);
  check("moving mean", moving_mean, channels);
  check("moving variance", moving_variance, channels);
  float *dx = unwritten(n), *d_gamma = unwritten(channels), *d_beta = unwritten(channels);
  vl_batch_norm_backward(
      threads, dx, d_gamma, d_beta, x, dy, gamma, mean, variance, 1e-3f, rows, channels, scratch,
      unwritten(3 * channels));
  check("batch norm's gradient", dx, n);
  check("gamma's gradient", d_gamma, channels);
  check("beta's gradient", d_beta, channels);
}

static void layer_norm(long rows, long channels) {
  const long n = rows * channels;
  const float *x = given(n), *dy = given(n), *gamma = given(channels), *beta = given(channels);
  float *y = unwritten(n), *mean = unwritten(rows), *variance = unwritten(rows);
  vl_layer_norm_forward(threads, y, mean, variance, x, gamma, beta, 1e-3f, rows, channels);
  check("layer norm", y, n);
  float *dx = unwritten(n), *d_gamma = unwritten(channels), *d_beta = unwritten(channels);
  vl_layer_norm_backward(
      threads, dx, d_gamma, d_beta, x, dy, gamma, mean, variance, 1e-3f, rows, channels,
      doubles(threads * 2 * channels), unwritten(threads * 2 * channels));
  check("layer norm's gradient", dx, n);
  check("gamma's gradient", d_gamma, channels);
  check("beta's gradient", d_beta, channels);
}

void check_normalization(void) {
  const long sizes[][2] = {{1, 1}, {2, 3}, {67, 33}, {33, 130}};
  for (int i = 0; i < 4; i++) {
    batch_norm(sizes[i][0], sizes[i][1]);
    layer_norm(sizes[i][0], sizes[i][1]);
  }
}
