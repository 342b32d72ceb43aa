// Self-attention whose output is only averaged over time, with the products that the average makes
// needless left out. For each sample and head, with M = Wq·Wkᵀ / √K and m = bq·Wkᵀ / √K:
//   scores S[t, s] = Q[t]·X[s] with Q = X·M + m (terms constant in s fall out of the softmax),
//   P = softmax over s, D = dropout(P), p[s] = Σ_t D[t, s] / T,
//   output = Σ_h (p·X·Wv + Σ_s p[s]·bv)·Wo + bo.
// T × T values are made a tile at a time, from Q and X, and again wherever they are needed: first for
// the largest score and the sum of each row, then for the sums over rows or columns. The backward
// pass makes the same bits again. The key bias has no effect and no gradient.
//
// X [B, T, C], Q [B, T, H, C], weights M [C + 1, H, C] whose last row is m; statistics of the rows
// [B, H, T, 4] are the largest score, one over the sum of the exponentials, and, in the backward
// pass, inner[t] = Σ_s D[t, s]·mean_gradient[s] / T.
//
// build: -DTIME=204 -DCHANNELS=64 -DHEADS=4
// build: -DTIME=204 -DCHANNELS=64 -DHEADS=4 -DHALF_STORAGE=1

#include "attention_tiles.cl"

// MARK: The weights' products

// M and m: weights [C + 1, H, C]; rounded to halves besides, for tensor cores, where has_halves says
// so. One item an element.
__kernel void attention_short_weights(
    IN(float, query_kernel), IN(float, query_bias), IN(float, key_kernel), OUT(float, weights),
    OUT(half, halves), const int has_halves, const float scale, const int channels,
    const int heads, const int key_size) {
  const int i = get_global_id(0), d = i % CHANNELS, row = i / CHANNELS, h = row % HEADS;
  if (row >= (CHANNELS + 1) * HEADS) return;
  __global const float* q = row < CHANNELS * HEADS ? AT(query_kernel) + row * key_size
                                                   : AT(query_bias) + h * key_size;
  __global const float* k = AT(key_kernel) + (d * HEADS + h) * key_size;
  float sum = 0.0f;
  for (int j = 0; j < key_size; ++j) sum += q[j] * k[j];
  AT(weights)[i] = sum * scale;
  if (has_halves) vstore_half_rte(sum * scale, i, AT(halves));
}

// MARK: Sums over rows

// Statistics of each row t; inner where the gradient of p [B, H, T] is given. A group has SPAN rows of
// a sample's head; an item sums up its own columns of them, which are put together at the end, in
// order.
__kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1))) void attention_short_rows(
    IN(float, q), IN(stored, x), IN(float, mean_gradient), OUT(float, statistics),
    const int has_gradient, DROPOUT, const int time, const int channels,
    const int heads, const int count) {
  __local tile_row queries[SPAN], keys[SPAN];
  __local uchar kept[SPAN * BLOCKS];
  __local float shared[3][SPAN][SIDE];
  const int index = get_group_id(1), sample = index / HEADS, head = index % HEADS;
  const int column = get_local_id(0), row = get_local_id(1), first_t = get_group_id(0) * SPAN;
  if (count == 0) return;  // the kernel is only being compiled
  const struct dropout d = DROPOUT_OF_STEP;
  __global const float* sample_q = AT(q) + ((ulong)sample * TIME * HEADS + head) * CHANNELS;
  __global const stored* sample_x = AT(x) + (ulong)sample * TIME * CHANNELS;

  float top[PART], total[PART], weighted[PART];
#pragma unroll
  for (int i = 0; i < PART; ++i) {
    top[i] = LOWEST;
    total[i] = weighted[i] = 0.0f;
  }
  for (int first_s = 0; first_s < TIME; first_s += SPAN) {
    float scores[PART][PART];
    score_tile(
        scores, queries, keys, sample_q, sample_x, first_t, first_s, time, channels, heads);
    if (has_gradient) keep_tile(kept, &d, index, first_t, first_s, time);
    barrier(CLK_LOCAL_MEM_FENCE);  // not within the condition: PoCL 3.1 makes wrong code of that
#pragma unroll
    for (int i = 0; i < PART; ++i) {
      float highest = top[i];
#pragma unroll
      for (int j = 0; j < PART; ++j) {
        if (first_s + column + SIDE * j < TIME) highest = fmax(highest, scores[i][j]);
      }
      const float factor = exp(top[i] - highest);
      top[i] = highest;
      total[i] *= factor;
      weighted[i] *= factor;
#pragma unroll
      for (int j = 0; j < PART; ++j) {
        const int s = first_s + column + SIDE * j;
        if (s >= TIME) continue;
        const float e = exp(scores[i][j] - highest);
        total[i] += e;
        if (has_gradient && keeps(kept, &d, index, first_t, first_s, row + SIDE * i,
                                  column + SIDE * j, time)) {
          weighted[i] += e * AT(mean_gradient)[(ulong)index * TIME + s];
        }
      }
    }
  }

#pragma unroll
  for (int i = 0; i < PART; ++i) {
    shared[0][row + SIDE * i][column] = top[i];
    shared[1][row + SIDE * i][column] = total[i];
    shared[2][row + SIDE * i][column] = weighted[i];
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  const int item = row * SIDE + column, r = item % SPAN, t = first_t + item;
  float highest = LOWEST, all = 0.0f, sum = 0.0f;
  for (int j = 0; j < SIDE; ++j) highest = fmax(highest, shared[0][r][j]);
  for (int j = 0; j < SIDE; ++j) {
    const float factor = exp(shared[0][r][j] - highest);
    all += shared[1][r][j] * factor;
    sum += shared[2][r][j] * factor;
  }
  if (item < SPAN && t < TIME) {
    vstore4((float4)(highest, 1.0f / all, sum / all * scale / TIME, 0.0f),
            (ulong)index * TIME + t, AT(statistics));
  }
}

// MARK: Sums over columns

// p [B, H, T]. A group has SPAN columns of a sample's head.
__kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1))) void attention_short_mean(
    IN(float, q), IN(stored, x), IN(float, statistics), OUT(float, mean), DROPOUT,
    const int time, const int channels, const int heads, const int count) {
  __local tile_row queries[SPAN], keys[SPAN];
  __local uchar kept[SPAN * BLOCKS];
  __local float shared[SPAN * SIDE];
  const int index = get_group_id(1), sample = index / HEADS, head = index % HEADS;
  const int column = get_local_id(0), row = get_local_id(1), first_s = get_group_id(0) * SPAN;
  if (count == 0) return;  // the kernel is only being compiled
  const struct dropout d = DROPOUT_OF_STEP;
  __global const float* sample_q = AT(q) + ((ulong)sample * TIME * HEADS + head) * CHANNELS;
  __global const stored* sample_x = AT(x) + (ulong)sample * TIME * CHANNELS;

  float sums[PART] = {0.0f, 0.0f, 0.0f, 0.0f};
  for (int first_t = 0; first_t < TIME; first_t += SPAN) {
    float scores[PART][PART];
    score_tile(
        scores, queries, keys, sample_q, sample_x, first_t, first_s, time, channels, heads);
    keep_tile(kept, &d, index, first_t, first_s, time);
    barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
    for (int i = 0; i < PART; ++i) {
      const int t = first_t + row + SIDE * i;
      if (t >= TIME) continue;
      const float4 line = vload4((ulong)index * TIME + t, AT(statistics));
#pragma unroll
      for (int j = 0; j < PART; ++j) {
        if (keeps(kept, &d, index, first_t, first_s, row + SIDE * i, column + SIDE * j, time)) {
          sums[j] += exp(scores[i][j] - line.x) * line.y;
        }
      }
    }
  }
  const float sum = score_column_sum(sums, shared);
  const int item = row * SIDE + column, s = first_s + item;
  if (item < SPAN && s < TIME) AT(mean)[(ulong)index * TIME + s] = sum * scale / TIME;
}

// MARK: Values and output

// From p [B, H, T]: z [B, H, C + 1] is p·X, and Σ_s p[s] behind it; context [B, H, K] is (z, sum)·(Wv,
// bv); output [B, O] = context·Wo + bo over heads and their K. A group has a sample, and its items
// all go the same way: PoCL 3.1 computes wrongly where a loop before a barrier is not for every item.
__kernel void attention_short_output(
    IN(stored, x), IN(float, mean), IN(float, value_kernel), IN(float, value_bias),
    IN(float, output_kernel), IN(float, output_bias), OUT(float, z), OUT(float, context),
    OUT(float, output), const int time, const int channels, const int heads, const int key_size,
    const int outputs, const int live) {
  const int sample = get_group_id(0), item = get_local_id(0), items = get_local_size(0);
  const int width = HEADS * key_size;
  if (live == 0) return;  // the kernel is only being compiled
  __global const float* p = AT(mean) + (ulong)sample * HEADS * TIME;
  __global const stored* sample_x = AT(x) + (ulong)sample * TIME * CHANNELS;
  __global float* sample_z = AT(z) + (ulong)sample * HEADS * (CHANNELS + 1);
  __global float* sample_context = AT(context) + (ulong)sample * width;
  for (int first = 0; first < HEADS * CHANNELS; first += items) {
    const int i = within(first + item, HEADS * CHANNELS), head = i / CHANNELS, c = i % CHANNELS;
    float sum = 0.0f, total = 0.0f;
    for (int s = 0; s < TIME; ++s) {
      const float weight = p[head * TIME + s];
      sum = mad(weight, LOAD(sample_x, s * CHANNELS + c), sum);
      total += weight;
    }
    if (first + item == i) sample_z[i + head] = sum;
    if (first + item == i && c == 0) sample_z[i + head + CHANNELS] = total;
  }
  barrier(CLK_GLOBAL_MEM_FENCE);
  for (int first = 0; first < width; first += items) {
    const int i = within(first + item, width);
    __global const float* head_z = sample_z + i / key_size * (CHANNELS + 1);
    float sum = head_z[CHANNELS] * AT(value_bias)[i];
    for (int c = 0; c < CHANNELS; ++c) {
      sum = mad(head_z[c], AT(value_kernel)[c * width + i], sum);
    }
    if (first + item == i) sample_context[i] = sum;
  }
  barrier(CLK_GLOBAL_MEM_FENCE);
  for (int first = 0; first < outputs; first += items) {
    const int o = within(first + item, outputs);
    float sum = AT(output_bias)[o];
    for (int j = 0; j < width; ++j) {
      sum = mad(sample_context[j], AT(output_kernel)[j * outputs + o], sum);
    }
    if (first + item == o) AT(output)[(ulong)sample * outputs + o] = sum;
  }
}
