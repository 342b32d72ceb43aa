#include "support.h"

#include <math.h>

static const vl_random random_numbers = {.step = 5, .stream = 3, .key0 = 1, .key1 = 2};

static void maps(long n) {
  const float *x = given(n), *dy = given(n);
  float *y = unwritten(n);
  vl_relu_forward(threads, y, x, n);
  check("relu", y, n);
  vl_relu_backward(threads, y, x, dy, n);
  check("relu's gradient", y, n);
  vl_sigmoid_forward(threads, y, x, n);
  check("sigmoid", y, n);
  vl_sigmoid_backward(threads, y, x, dy, n);
  check("sigmoid's gradient", y, n);
  vl_add(threads, y, x, dy, n);
  for (long i = 0; i < n; i++) require(y[i] == x[i] + dy[i], "a sum of two");
  vl_add(threads, y, x, x, n);
  for (long i = 0; i < n; i++) require(y[i] == x[i] + x[i], "a sum of one and itself");
  vl_add_to(threads, y, dy, n);
  for (long i = 0; i < n; i++) require(y[i] == x[i] + x[i] + dy[i], "a sum in place");
  vl_dropout(threads, y, x, 2, 1 << 15, &random_numbers, n);
  check("dropout", y, n);
  vl_gaussian_noise(threads, y, x, 0.5f, &random_numbers, n);
  check("noise", y, n);
  require(isfinite((float)vl_sum_of_squares(threads, x, n, doubles(threads))), "sum of squares");
}

static void rows(long width, long count) {
  const float *row = given(width), *x = given(width * count);
  float *y = unwritten(width * count), *wide = given((width + 3) * count);
  vl_fill_rows(threads, y, row, width, count);
  check("filled rows", y, width * count);
  vl_copy_rows(threads, wide + 3, width + 3, x, width, width, count);
  check("rows into wider ones", wide, (width + 3) * count);
  vl_copy_rows(threads, y, width, wide + 3, width + 3, width, count);
  for (long i = 0; i < width * count; i++) require(y[i] == x[i], "rows copied there and back");
}

static void kernels(long taps, long inputs, long outputs) {
  const long n = taps * inputs * outputs;
  const float *kernel = given(n);
  float *once = unwritten(n), *twice = unwritten(n);
  vl_flip_kernel(threads, once, kernel, taps, inputs, outputs);
  vl_flip_kernel(threads, twice, once, taps, outputs, inputs);
  for (long i = 0; i < n; i++) require(twice[i] == kernel[i], "a kernel flipped twice");
}

static void optimizer(long n) {
  float *w = given(n), *m = given(n), *v = positive(n);
  vl_adam(threads, w, m, v, given(n), 0.01f, 0.1f, 0.001f, 1e-7f, 0.02f, n);
  check("weights", w, n);
  check("first moments", m, n);
  check("second moments", v, n);
}

void check_elements(void) {
  const long counts[] = {1, 15, 64, 1025, 3001};
  for (int i = 0; i < 5; i++) {
    maps(counts[i]);
    optimizer(counts[i]);
  }
  rows(1, 1);
  rows(7, 5);
  kernels(1, 1, 1);
  kernels(5, 3, 17);
}
