// What a device can do at most: moves of memory, or multiply-adds, and nothing else.

#include "common.cl"

// y = x, `[count]` of four floats: items take turns.
__kernel void peak_copy(__global const float4* x, __global float4* y, const int count) {
  const int stride = get_global_size(0);
  for (int i = get_global_id(0); i < count; i += stride) y[i] = x[i];
}

// 32 multiply-adds a round and item, of eight chains that do not wait for each other.
__kernel void peak_multiply_add(__global float* y, const float factor, const int rounds) {
  float4 sums[8];
#pragma unroll
  for (int k = 0; k < 8; ++k) sums[k] = (float4)(get_local_id(0) + k);
  for (int round = 0; round < rounds; ++round) {
#pragma unroll
    for (int k = 0; k < 8; ++k) sums[k] = mad(sums[k], factor, 1.0f);
  }
  float4 total = 0.0f;
#pragma unroll
  for (int k = 0; k < 8; ++k) total += sums[k];
  y[get_global_id(0)] = total.x + total.y + total.z + total.w;
}
