// Means over time and the scale of channels by them: [B, T, C] beside [B, C].

// build: -DCHANNELS=64 -DTIME=204 -DWIDTH=32
// build: -DCHANNELS=64 -DTIME=204 -DWIDTH=32 -DHALF_STORAGE=1

#include "common.cl"
#include "reduce.cl"

#ifndef CHANNELS
#define CHANNELS channels
#endif
#ifndef TIME
#define TIME time
#endif

// y [B, C] = mean of x [B, T, C]; groups (C / width, B).
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void mean_over_time_forward(IN(stored, x), OUT(float, y), const int time, const int channels,
                            const int width, const int live) {
  __local float sums[GROUP_ITEMS];
  const int column = get_group_id(0) * WIDTH + COLUMN, c = within(column, CHANNELS);
  const int b = get_group_id(1);
  if (live == 0) return;  // the kernel is only being compiled
  __global const stored* x = AT(x) + b * (ulong)(TIME * CHANNELS) + c;

  float sum = 0.0f;
  for (int t = LANE; t < TIME; t += LANES) sum += LOAD(x, t * CHANNELS);
  sum = column_sum(sums, sum, WIDTH);
  if (WRITES_COLUMN && column < CHANNELS) AT(y)[b * CHANNELS + column] = sum / TIME;
}

// dx [B, T, C] = dy [B, C] / T; one work item an element of `[count]`.
__kernel void mean_over_time_backward(IN(float, dy), OUT(stored, dx), const int time,
                                      const int channels, const int count) {
  const int i = get_global_id(0);
  if (i < count) {
    STORE(AT(dx), i, AT(dy)[i / (TIME * CHANNELS) * CHANNELS + i % CHANNELS] / TIME);
  }
}

// y [B, T, C] = x·scale [B, C]; one work item an element of `[count]`.
__kernel void scale_channels_forward(IN(stored, x), IN(float, scale), OUT(stored, y),
                                     const int time, const int channels, const int count) {
  const int i = get_global_id(0);
  if (i < count) {
    const int c = i / (TIME * CHANNELS) * CHANNELS + i % CHANNELS;
    STORE(AT(y), i, LOAD(AT(x), i) * AT(scale)[c]);
  }
}

// dx [B, T, C] = dy·scale, d_scale [B, C] = Σ_t x·dy; groups (C / width, B).
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void scale_channels_backward(IN(stored, x), IN(float, scale), IN(stored, dy), OUT(stored, dx),
                             OUT(float, d_scale), const int time, const int channels,
                             const int width, const int live) {
  __local float sums[GROUP_ITEMS];
  const int column = get_group_id(0) * WIDTH + COLUMN, c = within(column, CHANNELS);
  const int b = get_group_id(1);
  const int end = column < CHANNELS ? TIME : 0;
  if (live == 0) return;  // the kernel is only being compiled
  const ulong start = b * (ulong)(TIME * CHANNELS) + c;
  __global const stored* x = AT(x) + start;
  __global const stored* dy = AT(dy) + start;
  __global stored* dx = AT(dx) + b * (ulong)(TIME * CHANNELS) + column;

  const float scale = AT(scale)[b * CHANNELS + c];
  float sum = 0.0f;
  for (int t = LANE; t < end; t += LANES) {
    const float gradient = LOAD(dy, t * CHANNELS);
    sum += LOAD(x, t * CHANNELS) * gradient;
    STORE(dx, t * CHANNELS, gradient * scale);
  }
  sum = column_sum(sums, sum, WIDTH);
  if (WRITES_COLUMN && column < CHANNELS) AT(d_scale)[b * CHANNELS + column] = sum;
}
