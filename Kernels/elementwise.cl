// ReLU, sigmoid and sums: one work item an element of `[count]`.

#include "common.cl"

__kernel void relu_forward(IN(float, x), OUT(float, y), const int count) {
  const int i = get_global_id(0);
  // The comparison is such that NaN stays NaN, as in the reference.
  if (i < count) AT(y)[i] = AT(x)[i] < 0.0f ? 0.0f : AT(x)[i];
}

// dx = dy where y > 0
__kernel void relu_backward(IN(float, y), IN(float, dy), OUT(float, dx), const int count) {
  const int i = get_global_id(0);
  if (i < count) AT(dx)[i] = AT(y)[i] > 0.0f ? AT(dy)[i] : 0.0f;
}

__kernel void sigmoid_forward(IN(float, x), OUT(float, y), const int count) {
  const int i = get_global_id(0);
  if (i < count) AT(y)[i] = 1.0f / (1.0f + exp(-AT(x)[i]));
}

// dx = dy·y·(1 − y)
__kernel void sigmoid_backward(IN(float, y), IN(float, dy), OUT(float, dx), const int count) {
  const int i = get_global_id(0);
  if (i < count) AT(dx)[i] = AT(dy)[i] * AT(y)[i] * (1.0f - AT(y)[i]);
}

__kernel void add(IN(float, a), IN(float, b), OUT(float, y), const int count) {
  const int i = get_global_id(0);
  if (i < count) AT(y)[i] = AT(a)[i] + AT(b)[i];
}

__kernel void add_to(IN(float, a), INOUT(float, y), const int count) {
  const int i = get_global_id(0);
  if (i < count) AT(y)[i] += AT(a)[i];
}

// Rows of `channels` values between two tensors of different width, at a channel each: how
// tensors are joined and parted along their channels. One work item a value of `[rows, channels]`.
__kernel void copy_channels(IN(float, x), OUT(float, y), const int channels, const int x_width,
                            const int x_first, const int y_width, const int y_first,
                            const int count) {
  const int i = get_global_id(0);
  if (i >= count) return;
  const int row = i / channels;
  const int c = i - row * channels;
  AT(y)[row * y_width + y_first + c] = AT(x)[row * x_width + x_first + c];
}
