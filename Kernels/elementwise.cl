// ReLU, sigmoid and sums: one work item an element of `[count]`.

// build: -DHALF_STORAGE=1

#include "common.cl"
#include "values.cl"

__kernel void relu_forward(IN(stored, x), OUT(stored, y), const int count) {
  const int i = get_global_id(0);
  if (i < count) STORE(AT(y), i, relu(LOAD(AT(x), i)));
}

// dx = dy where y > 0
__kernel void relu_backward(IN(stored, y), IN(stored, dy), OUT(stored, dx), const int count) {
  const int i = get_global_id(0);
  if (i < count) STORE(AT(dx), i, LOAD(AT(y), i) > 0.0f ? LOAD(AT(dy), i) : 0.0f);
}

__kernel void sigmoid_forward(IN(stored, x), OUT(stored, y), const int count) {
  const int i = get_global_id(0);
  if (i < count) STORE(AT(y), i, 1.0f / (1.0f + exp(-LOAD(AT(x), i))));
}

// dx = dy·y·(1 − y)
__kernel void sigmoid_backward(IN(stored, y), IN(stored, dy), OUT(stored, dx), const int count) {
  const int i = get_global_id(0);
  if (i >= count) return;
  const float value = LOAD(AT(y), i);
  STORE(AT(dx), i, LOAD(AT(dy), i) * value * (1.0f - value));
}

__kernel void add(IN(stored, a), IN(stored, b), OUT(stored, y), const int count) {
  const int i = get_global_id(0);
  if (i < count) STORE(AT(y), i, LOAD(AT(a), i) + LOAD(AT(b), i));
}

__kernel void add_to(IN(stored, a), INOUT(stored, y), const int count) {
  const int i = get_global_id(0);
  if (i < count) STORE(AT(y), i, LOAD(AT(y), i) + LOAD(AT(a), i));
}

// Rows of `channels` values between two tensors of different width, at a channel each: how
// tensors are joined and parted along their channels. One work item a value of `[rows, channels]`.
__kernel void copy_channels(IN(stored, x), OUT(stored, y), const int channels, const int x_width,
                            const int x_first, const int y_width, const int y_first,
                            const int count) {
  const int i = get_global_id(0);
  if (i >= count) return;
  const int row = i / channels;
  const int c = i - row * channels;
  STORE(AT(y), row * y_width + y_first + c, LOAD(AT(x), row * x_width + x_first + c));
}
