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
