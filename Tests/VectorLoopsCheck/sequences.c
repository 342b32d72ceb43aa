#include "support.h"

static void sequence(long batch, long time, long channels, long size) {
  const long n = batch * time * channels, pooled = batch * (time / size) * channels;
  const float *x = given(n);
  float *dx = unwritten(n), *y = unwritten(pooled);
  uint8_t *argmax = bytes(pooled);
  vl_max_pool_forward(threads, y, argmax, x, batch, time, channels, size);
  check("max pool", y, pooled);
  for (long i = 0; i < pooled; i++) require(argmax[i] < size, "the largest lies in its window");
  vl_max_pool_backward(threads, dx, argmax, given(pooled), batch, time, channels, size);
  check("max pool's gradient", dx, n);
  vl_average_pool_forward(threads, y, x, batch, time, channels, size);
  check("average pool", y, pooled);
  vl_average_pool_backward(threads, dx, y, batch, time, channels, size);
  check("average pool's gradient", dx, n);
  float *mean = unwritten(batch * channels);
  vl_mean_over_time_forward(threads, mean, x, batch, time, channels);
  check("mean over time", mean, batch * channels);
  vl_mean_over_time_backward(threads, dx, mean, batch, time, channels);
  check("mean over time's gradient", dx, n);
  const float *scale = given(batch * channels), *dy = given(n);
  vl_scale_channels_forward(threads, dx, x, scale, batch, time, channels);
  check("scaled channels", dx, n);
  vl_scale_channels_backward(threads, dx, mean, x, scale, dy, batch, time, channels);
  check("scaled channels' gradient", dx, n);
  check("the scale's gradient", mean, batch * channels);
}

void check_sequences(void) {
  sequence(1, 1, 1, 1);
  sequence(3, 13, 17, 2);
  sequence(2, 7, 67, 3);
  sequence(1, 3, 2, 3);
}
