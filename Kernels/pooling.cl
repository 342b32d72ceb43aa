// Max and average pooling over time, window = stride = size: `[B, T, C]` to `[B, T/size, C]`.

// build: -DHALF_STORAGE=1

#include "common.cl"

// The earliest maximum of each window and its place in it, uint8. One work item an output of
// `[B, pooled, C]`.
__kernel void max_pool_forward(IN(stored, x), OUT(stored, y), OUT(uchar, argmax), const int time,
                               const int pooled, const int channels, const int size,
                               const int count) {
  const int i = get_global_id(0);
  if (i >= count) return;
  const int row = i / channels;
  const int c = i - row * channels;
  const int b = row / pooled;
  const int t = (row - b * pooled) * size;
  __global const stored* window = AT(x) + (b * time + t) * channels + c;
  float largest = LOAD(window, 0);
  int place = 0;
  for (int p = 1; p < size; ++p) {
    const float rival = LOAD(window, p * channels);
    if (rival > largest) {
      largest = rival;
      place = p;
    }
  }
  STORE(AT(y), i, largest);
  AT(argmax)[i] = (uchar)place;
}

// The gradient goes to the maximum; all else, the samples after the last window too, gets zero.
// One work item an input of `[B, T, C]`.
__kernel void max_pool_backward(IN(uchar, argmax), IN(stored, dy), OUT(stored, dx), const int time,
                                const int pooled, const int channels, const int size,
                                const int count) {
  const int i = get_global_id(0);
  if (i >= count) return;
  const int row = i / channels;
  const int c = i - row * channels;
  const int b = row / time;
  const int t = row - b * time;
  const int window = t / size;
  float gradient = 0.0f;
  if (window < pooled) {
    const int o = (b * pooled + window) * channels + c;
    if (AT(argmax)[o] == t - window * size) gradient = LOAD(AT(dy), o);
  }
  STORE(AT(dx), i, gradient);
}

// The mean of each window. One work item an output of `[B, pooled, C]`.
__kernel void average_pool_forward(IN(stored, x), OUT(stored, y), const int time, const int pooled,
                                   const int channels, const int size, const int count) {
  const int i = get_global_id(0);
  if (i >= count) return;
  const int row = i / channels;
  const int c = i - row * channels;
  const int b = row / pooled;
  const int t = (row - b * pooled) * size;
  __global const stored* window = AT(x) + (b * time + t) * channels + c;
  float sum = 0.0f;
  for (int p = 0; p < size; ++p) sum += LOAD(window, p * channels);
  STORE(AT(y), i, sum / size);
}

// Each sample of a window gets an equal share; those after the last window get zero. One work item
// an input of `[B, T, C]`.
__kernel void average_pool_backward(IN(stored, dy), OUT(stored, dx), const int time,
                                    const int pooled, const int channels, const int size,
                                    const int count) {
  const int i = get_global_id(0);
  if (i >= count) return;
  const int row = i / channels;
  const int c = i - row * channels;
  const int b = row / time;
  const int window = (row - b * time) / size;
  float gradient = 0.0f;
  if (window < pooled) gradient = LOAD(AT(dy), (b * pooled + window) * channels + c) / size;
  STORE(AT(dx), i, gradient);
}
