// The backward pass of attention_short.cl, which says what is computed.
//
// build: -DTIME=204 -DCHANNELS=64 -DHEADS=4
// build: -DTIME=204 -DCHANNELS=64 -DHEADS=4 -DHALF_STORAGE=1

#include "attention_tiles.cl"

// From the output's gradient u [B, O]: g [B, H, K] = Wo·u, z_gradient [B, H, C + 1] = (Wv, bv)·g,
// and of p: mean_gradient [B, H, T] = (X, 1)·z_gradient. A group has a sample's head.
__kernel __attribute__((reqd_work_group_size(64, 1, 1))) void attention_short_mean_backward(
    IN(stored, x), IN(float, output_gradient), IN(float, value_kernel), IN(float, value_bias),
    IN(float, output_kernel), OUT(float, g), OUT(float, z_gradient), OUT(float, mean_gradient),
    const int time, const int channels, const int heads, const int key_size, const int outputs,
    const int count) {
  const int index = get_group_id(0), sample = index / HEADS, head = index % HEADS;
  const int item = get_local_id(0);
  if (count == 0) return;  // the kernel is only being compiled
  __global const float* u = AT(output_gradient) + (ulong)sample * outputs;
  __global float* head_g = AT(g) + (ulong)index * key_size;
  __global float* dz = AT(z_gradient) + (ulong)index * (CHANNELS + 1);
  for (int first = 0; first < key_size; first += 64) {
    const int k = first + item, read = head * key_size + within(k, key_size);
    __global const float* w = AT(output_kernel) + read * outputs;
    float sum = 0.0f;
    for (int o = 0; o < outputs; ++o) sum += w[o] * u[o];
    if (k < key_size) head_g[k] = sum;
  }
  barrier(CLK_GLOBAL_MEM_FENCE);
  for (int first = 0; first <= CHANNELS; first += 64) {
    const int c = first + item;
    __global const float* v = c < CHANNELS ? AT(value_kernel) + (c * HEADS + head) * key_size
                                           : AT(value_bias) + head * key_size;
    float sum = 0.0f;
    for (int k = 0; k < key_size; ++k) sum += v[k] * head_g[k];
    if (c <= CHANNELS) dz[c] = sum;
  }
  barrier(CLK_GLOBAL_MEM_FENCE);
  __global const stored* sample_x = AT(x) + (ulong)sample * TIME * CHANNELS;
  for (int first = 0; first < TIME; first += 64) {
    const int s = first + item, read = within(s, TIME);
    float sum = dz[CHANNELS];
    for (int c = 0; c < CHANNELS; ++c) sum += LOAD(sample_x, read * CHANNELS + c) * dz[c];
    if (s < TIME) AT(mean_gradient)[(ulong)index * TIME + s] = sum;
  }
}

// The gradients of a tile of scores, D from their statistics: P ∘ (mean_gradient[s]·kept / T −
// inner[t]), left in `tile` as rows t of columns s.
INLINE void gradient_tile(
    float scores[PART][PART], __local score_row* tile, __local const uchar* kept,
    const struct dropout* d, uint index, int first_t, int first_s, float share,
    __global const float* statistics, __global const float* mean_gradient, int time) {
  const int column = get_local_id(0), row = get_local_id(1);
  __local float* to = (__local float*)tile;
#pragma unroll
  for (int i = 0; i < PART; ++i) {
    const int t = first_t + row + SIDE * i;
    const float4 line = vload4((ulong)index * TIME + within(t, TIME), statistics);
#pragma unroll
    for (int j = 0; j < PART; ++j) {
      const int s = first_s + column + SIDE * j;
      float gradient = 0.0f;
      if (t < TIME && s < TIME) {
        const float p = exp(scores[i][j] - line.x) * line.y;
        const bool keep =
            keeps(kept, d, index, first_t, first_s, row + SIDE * i, column + SIDE * j, time);
        const float of_mean = mean_gradient[(ulong)index * TIME + s];
        gradient = p * ((keep ? of_mean * share : 0.0f) - line.z);
      }
      to[(row + SIDE * i) * (SPAN + 4) + column + SIDE * j] = gradient;
    }
  }
}

// U = S'·X [B, T, H, C], the gradient of Q. A group has SPAN rows t of a sample's head and CHUNK
// channels.
__kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1))) void attention_short_query_backward(
    IN(float, q), IN(stored, x), IN(float, statistics), IN(float, mean_gradient),
    OUT(float, query_gradient), DROPOUT, const int time, const int channels, const int heads, const int count) {
  __local tile_row queries[SPAN], keys[SPAN];
  __local score_row gradients[SPAN];
  __local uchar kept[SPAN * BLOCKS];
  const int index = get_group_id(1), sample = index / HEADS, head = index % HEADS;
  const int column = get_local_id(0), row = get_local_id(1), first_t = get_group_id(0) * SPAN;
  const int chunk = get_group_id(2) * CHUNK;
  if (count == 0) return;  // the kernel is only being compiled
  const struct dropout d = DROPOUT_OF_STEP;
  const ulong first_row = ((ulong)sample * TIME * HEADS + head) * CHANNELS;
  __global const stored* sample_x = AT(x) + (ulong)sample * TIME * CHANNELS;

  // Rows row + SIDE·i, channels 4·column … and 32 + 4·column … of the chunk.
  float4 result[PART][2];
#pragma unroll
  for (int i = 0; i < PART; ++i) result[i][0] = result[i][1] = (float4)(0.0f);
  for (int first_s = 0; first_s < TIME; first_s += SPAN) {
    float scores[PART][PART];
    score_tile(
        scores, queries, keys, AT(q) + first_row, sample_x, first_t, first_s, time, channels,
        heads);
    keep_tile(kept, &d, index, first_t, first_s, time);
    barrier(CLK_LOCAL_MEM_FENCE);
    gradient_tile(
        scores, gradients, kept, &d, index, first_t, first_s, scale / TIME, AT(statistics),
        AT(mean_gradient), time);
    if (CHANNELS > CHUNK) load_tile(keys, sample_x, HALF_STORAGE, CHANNELS, first_s, TIME, chunk, CHANNELS);
    barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll 1
    for (int s = 0; s < SPAN / 4; ++s) {
      float4 a[PART];
#pragma unroll
      for (int i = 0; i < PART; ++i) a[i] = gradients[row + SIDE * i][s];
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const float4 b0 = keys[4 * s][column + SIDE * h], b1 = keys[4 * s + 1][column + SIDE * h];
        const float4 b2 = keys[4 * s + 2][column + SIDE * h];
        const float4 b3 = keys[4 * s + 3][column + SIDE * h];
#pragma unroll
        for (int i = 0; i < PART; ++i) {
          result[i][h] = mad(a[i].x, b0, result[i][h]);
          result[i][h] = mad(a[i].y, b1, result[i][h]);
          result[i][h] = mad(a[i].z, b2, result[i][h]);
          result[i][h] = mad(a[i].w, b3, result[i][h]);
        }
      }
    }
  }

#pragma unroll
  for (int i = 0; i < PART; ++i) {
    const int t = first_t + row + SIDE * i;
    __global float* to = AT(query_gradient) + first_row + (ulong)t * HEADS * CHANNELS;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float values[4];
      vstore4(result[i][h], 0, values);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int c = chunk + 4 * (column + SIDE * h) + j;
        // No `continue` for the rows: PoCL 3.1 drops that of the last i, and writes beyond the sample.
        if (t < TIME && c < CHANNELS) to[c] = values[j];
      }
    }
  }
}

// dX += Σ_h S'ᵀ·Q + p·z_gradient, [B, T, C]. A group has SPAN steps s of a sample and CHUNK
// channels.
__kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1))) void attention_short_key_backward(
    IN(float, q), IN(stored, x), IN(float, statistics), IN(float, mean_gradient),
    IN(float, z_gradient), IN(float, mean), INOUT(stored, input_gradient), DROPOUT, const int time,
    const int channels, const int heads, const int live) {
  __local tile_row queries[SPAN], keys[SPAN];
  __local score_row gradients[SPAN];
  __local uchar kept[SPAN * BLOCKS];
  const int sample = get_group_id(1), first_s = get_group_id(0) * SPAN;
  const int column = get_local_id(0), row = get_local_id(1);
  const int chunk = get_group_id(2) * CHUNK;
  if (live == 0) return;  // the kernel is only being compiled
  const struct dropout d = DROPOUT_OF_STEP;
  __global const stored* sample_x = AT(x) + (ulong)sample * TIME * CHANNELS;

  // Rows 4·row + i, channels 4·column … and 32 + 4·column … of the chunk.
  float4 result[4][2];
#pragma unroll
  for (int i = 0; i < 4; ++i) result[i][0] = result[i][1] = (float4)(0.0f);
  for (int head = 0; head < HEADS; ++head) {
    const int index = sample * HEADS + head;
    __global const float* sample_q = AT(q) + ((ulong)sample * TIME * HEADS + head) * CHANNELS;
    for (int first_t = 0; first_t < TIME; first_t += SPAN) {
      float scores[PART][PART];
      score_tile(
          scores, queries, keys, sample_q, sample_x, first_t, first_s, time, channels, heads);
      keep_tile(kept, &d, index, first_t, first_s, time);
      barrier(CLK_LOCAL_MEM_FENCE);
      gradient_tile(
          scores, gradients, kept, &d, index, first_t, first_s, scale / TIME, AT(statistics),
          AT(mean_gradient), time);
      if (CHANNELS > CHUNK) {
        load_tile(queries, sample_q, false, HEADS * CHANNELS, first_t, TIME, chunk, CHANNELS);
      }
      barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll 2
      for (int t = 0; t < SPAN; ++t) {
        const float4 a = gradients[t][row];
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const float4 b = queries[t][column + SIDE * h];
          result[0][h] = mad(a.x, b, result[0][h]);
          result[1][h] = mad(a.y, b, result[1][h]);
          result[2][h] = mad(a.z, b, result[2][h]);
          result[3][h] = mad(a.w, b, result[3][h]);
        }
      }
    }
    __global const float* dz = AT(z_gradient) + (ulong)index * (CHANNELS + 1);
    __global const float* means = AT(mean) + (ulong)index * TIME;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int c = chunk + 4 * (column + SIDE * h);
      const float4 b = (float4)(
          dz[within(c, CHANNELS)], dz[within(c + 1, CHANNELS)], dz[within(c + 2, CHANNELS)],
          dz[within(c + 3, CHANNELS)]);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        result[i][h] = mad(means[within(first_s + 4 * row + i, TIME)], b, result[i][h]);
      }
    }
  }

#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int s = first_s + 4 * row + i;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float values[4];
      vstore4(result[i][h], 0, values);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int c = chunk + 4 * (column + SIDE * h) + j;
        const ulong place = ((ulong)sample * TIME + s) * CHANNELS + c;
        if (s < TIME && c < CHANNELS) {
          STORE(AT(input_gradient), place, LOAD(AT(input_gradient), place) + values[j]);
        }
      }
    }
  }
}

// Gradients of the weights. The product rule for M and m, from their gradients [C + 1, H, C]; the
// values' gradients Σ_b z·g; and those of the output, Σ_b context·u and Σ_b u, from its gradient u
// [B, O]. One item a (c, h, k), the last c being the biases; then one a (row, o) of the output's
// weights [H·K + 1, O], the last row being the bias.
__kernel void attention_short_kernels_backward(
    IN(float, weights_gradient), IN(float, query_kernel), IN(float, query_bias),
    IN(float, key_kernel), IN(float, z), IN(float, g), IN(float, context),
    IN(float, output_gradient), OUT(float, query_kernel_gradient),
    OUT(float, query_bias_gradient), OUT(float, key_kernel_gradient),
    OUT(float, key_bias_gradient), OUT(float, value_kernel_gradient),
    OUT(float, value_bias_gradient), OUT(float, output_kernel_gradient),
    OUT(float, output_bias_gradient), const float scale, const int channels, const int heads,
    const int key_size, const int outputs, const int live) {
  const int i = get_global_id(0), k = i % key_size, row = i / key_size;
  const int c = row / HEADS, h = row % HEADS;
  if (c > CHANNELS) {
    const int place = i - (CHANNELS + 1) * HEADS * key_size, width = HEADS * key_size;
    const int from = place / outputs, o = place % outputs;
    if (from > width) return;
    float sum = 0.0f;
    for (int b = 0; b < live; ++b) {
      const float u = AT(output_gradient)[(ulong)b * outputs + o];
      sum += from < width ? AT(context)[(ulong)b * width + from] * u : u;
    }
    if (from < width) {
      AT(output_kernel_gradient)[place] = sum;
    } else {
      AT(output_bias_gradient)[o] = sum;
    }
    return;
  }
  float value = 0.0f;
  for (int b = 0; b < live; ++b) {
    const ulong head = (ulong)b * HEADS + h;
    value += AT(z)[head * (CHANNELS + 1) + c] * AT(g)[head * key_size + k];
  }
  float query = 0.0f;
  for (int d = 0; d < CHANNELS; ++d) {
    query += AT(weights_gradient)[row * CHANNELS + d] *
             AT(key_kernel)[(d * HEADS + h) * key_size + k];
  }
  if (c == CHANNELS) {
    AT(query_bias_gradient)[h * key_size + k] = query * scale;
    AT(key_bias_gradient)[h * key_size + k] = 0.0f;
    AT(value_bias_gradient)[h * key_size + k] = value;
    return;
  }
  float key = AT(weights_gradient)[(CHANNELS * HEADS + h) * CHANNELS + c] *
              AT(query_bias)[h * key_size + k];
  for (int d = 0; d < CHANNELS; ++d) {
    key += AT(weights_gradient)[(d * HEADS + h) * CHANNELS + c] *
           AT(query_kernel)[(d * HEADS + h) * key_size + k];
  }
  AT(query_kernel_gradient)[i] = query * scale;
  AT(key_kernel_gradient)[i] = key * scale;
  AT(value_kernel_gradient)[i] = value;
}
