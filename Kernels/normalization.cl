// Batch and layer normalization over [B, T, C], seen as [rows, C] with rows = B·T.
//
// Batch statistics are made of chunks of rows (chunks.cl), whose variances are squares about the
// mean of their own chunk, so that nothing is lost where the mean is large against the deviation. A
// chunk is read twice, the second time from a cache.

// build: -DCHANNELS=64
// build: -DCHANNELS=64 -DWIDTH=32
// build: -DCHANNELS=64 -DWIDTH=32 -DHALF_STORAGE=1

#include "common.cl"
#include "chunks.cl"

#ifndef CHANNELS
#define CHANNELS channels
#endif

// partial[chunk] = (mean [C], squares about it [C]); groups (C / width, rows / chunk). Means are
// given less the channel's first value.
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void batch_statistics_partial(IN(stored, x), OUT(float, partial), const int channels,
                              const int width, const int chunk, const int rows) {
  __local float sums[GROUP_ITEMS];
  const int column = get_group_id(0) * WIDTH + COLUMN, c = within(column, CHANNELS);
  const int first = get_group_id(1) * chunk;
  const int last = column < CHANNELS ? min(first + chunk, rows) : first;
  const ulong stride = CHANNELS;
  __global const stored* x = AT(x) + c;

  const float origin = LOAD(x, 0);
  float sum = 0.0f;
  for (int r = first + LANE; r < last; r += LANES) sum += LOAD(x, r * stride) - origin;
  const float mean = column_sum(sums, sum, WIDTH) / (last - first);
  float squares = 0.0f;
  for (int r = first + LANE; r < last; r += LANES) {
    const float centred = LOAD(x, r * stride) - origin - mean;
    squares += centred * centred;
  }
  squares = column_sum(sums, squares, WIDTH);
  if (WRITES_COLUMN && first < last) {
    __global float* to = AT(partial) + 2 * stride * get_group_id(1) + column;
    to[0] = mean;
    to[stride] = squares;
  }
}

// mean, variance [C] of the chunks, and the moving ones, moved; one group a `width` channels.
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void batch_statistics_finish(IN(stored, x), IN(float, partial), OUT(float, mean),
                             OUT(float, variance), INOUT(float, moving_mean),
                             INOUT(float, moving_variance), const float momentum,
                             const float remainder, const int channels, const int width,
                             const int chunk, const int rows) {
  __local float sums[GROUP_ITEMS];
  const int column = get_group_id(0) * WIDTH + COLUMN, c = within(column, CHANNELS);
  const int chunks = column < CHANNELS ? chunk_count(rows, chunk) : 0;
  const float2 merged = merged_statistics(
      sums, AT(partial) + c, rows, chunk, chunks, CHANNELS, WIDTH);
  if (WRITES_COLUMN && chunks > 0) {
    const float mean = LOAD(AT(x), c) + merged.x;
    const float variance = merged.y;
    AT(mean)[column] = mean;
    AT(variance)[column] = variance;
    if (MOVES(mean, variance)) {
      AT(moving_mean)[column] = AT(moving_mean)[c] * momentum + mean * remainder;
      AT(moving_variance)[column] = AT(moving_variance)[c] * momentum + variance * remainder;
    }
  }
}

// y = gamma·(x − mean)/√(variance + epsilon) + beta; one work item an element of `[count]`.
__kernel void batch_norm_apply(IN(stored, x), IN(float, mean), IN(float, variance),
                               IN(float, gamma), IN(float, beta), OUT(stored, y),
                               const float epsilon, const int channels, const int count) {
  const int i = get_global_id(0);
  if (i >= count) return;
  const int c = i % CHANNELS;
  const float factor = AT(gamma)[c] / sqrt(AT(variance)[c] + epsilon);
  STORE(AT(y), i, factor * (LOAD(AT(x), i) - AT(mean)[c]) + AT(beta)[c]);
}

// partial[chunk] = (Σ dy·x̂ [C], Σ dy [C]), x̂ the normalized input; groups (C / width, rows / chunk).
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void batch_norm_backward_partial(IN(stored, x), IN(stored, dy), IN(float, mean),
                                 IN(float, variance), OUT(float, partial), const float epsilon,
                                 const int channels, const int width, const int chunk,
                                 const int rows) {
  __local float sums[GROUP_ITEMS];
  const int column = get_group_id(0) * WIDTH + COLUMN, c = within(column, CHANNELS);
  const int first = get_group_id(1) * chunk;
  const int last = column < CHANNELS ? min(first + chunk, rows) : first;
  const ulong stride = CHANNELS;
  __global const stored* x = AT(x) + c;
  __global const stored* dy = AT(dy) + c;

  const float mean = AT(mean)[c];
  const float factor = 1.0f / sqrt(AT(variance)[c] + epsilon);
  float weighted = 0.0f;
  float plain = 0.0f;
  for (int r = first + LANE; r < last; r += LANES) {
    const float gradient = LOAD(dy, r * stride);
    weighted += gradient * ((LOAD(x, r * stride) - mean) * factor);
    plain += gradient;
  }
  weighted = column_sum(sums, weighted, WIDTH);
  plain = column_sum(sums, plain, WIDTH);
  if (WRITES_COLUMN && first < last) {
    __global float* to = AT(partial) + 2 * stride * get_group_id(1) + column;
    to[0] = weighted;
    to[stride] = plain;
  }
}

// d_gamma, d_beta [C]: the sums of the chunks, for batch and layer normalization alike; one group a
// `width` channels.
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void norm_backward_finish(IN(float, partial), OUT(float, d_gamma), OUT(float, d_beta),
                          const int channels, const int width, const int chunk,
                          const int rows) {
  __local float sums[GROUP_ITEMS];
  const int column = get_group_id(0) * WIDTH + COLUMN, c = within(column, CHANNELS);
  const int chunks = column < CHANNELS ? chunk_count(rows, chunk) : 0;
  const float2 merged = merged_sums(sums, AT(partial) + c, chunks, CHANNELS, WIDTH);
  if (WRITES_COLUMN && chunks > 0) {
    AT(d_gamma)[column] = merged.x;
    AT(d_beta)[column] = merged.y;
  }
}

// dx = gamma/√(variance + epsilon)·(dy − d_beta/rows − x̂·d_gamma/rows); one work item an element of
// `[count]`, count = rows·C.
__kernel void batch_norm_backward_apply(IN(stored, x), IN(stored, dy), IN(float, gamma),
                                        IN(float, mean), IN(float, variance),
                                        IN(float, d_gamma), IN(float, d_beta), OUT(stored, dx),
                                        const float epsilon, const int channels,
                                        const int count) {
  const int i = get_global_id(0);
  if (i >= count) return;
  const int c = i % CHANNELS;
  const float share = 1.0f / (count / CHANNELS);
  const float factor = 1.0f / sqrt(AT(variance)[c] + epsilon);
  const float normalized = (LOAD(AT(x), i) - AT(mean)[c]) * factor;
  const float rest = (AT(d_beta)[c] + normalized * AT(d_gamma)[c]) * share;
  STORE(AT(dx), i, AT(gamma)[c] * factor * (LOAD(AT(dy), i) - rest));
}

// Layer normalization: a row's channels are spread over `width` items, GROUP_ITEMS / width rows a
// group.

// y [rows, C]; mean, variance [rows]
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void layer_norm_forward(IN(stored, x), IN(float, gamma), IN(float, beta), OUT(stored, y),
                        OUT(float, mean), OUT(float, variance), const float epsilon,
                        const int channels, const int width, const int rows) {
  __local float sums[GROUP_ITEMS];
  const int row = get_group_id(0) * LANES + LANE, r = within(row, rows);
  const int end = row < rows ? CHANNELS : 0;
  __global const stored* x = AT(x) + r * (ulong)CHANNELS;
  __global stored* y = AT(y) + row * (ulong)CHANNELS;

  const float origin = LOAD(x, 0);
  float sum = 0.0f;
  for (int c = COLUMN; c < end; c += WIDTH) sum += LOAD(x, c) - origin;
  const float mean = origin + row_sum(sums, sum, WIDTH) / CHANNELS;
  float squares = 0.0f;
  for (int c = COLUMN; c < end; c += WIDTH) {
    const float centred = LOAD(x, c) - mean;
    squares += centred * centred;
  }
  const float variance = row_sum(sums, squares, WIDTH) / CHANNELS;
  const float factor = 1.0f / sqrt(variance + epsilon);
  for (int c = COLUMN; c < end; c += WIDTH) {
    STORE(y, c, AT(gamma)[c] * factor * (LOAD(x, c) - mean) + AT(beta)[c]);
  }
  if (WRITES_ROW && end > 0) {
    AT(mean)[row] = mean;
    AT(variance)[row] = variance;
  }
}

// partial[chunk] = (Σ dy·x̂ [C], Σ dy [C]); groups (C / width, rows / chunk).
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void layer_norm_backward_partial(IN(stored, x), IN(stored, dy), IN(float, mean),
                                 IN(float, variance), OUT(float, partial), const float epsilon,
                                 const int channels, const int width, const int chunk,
                                 const int rows) {
  __local float sums[GROUP_ITEMS];
  const int column = get_group_id(0) * WIDTH + COLUMN, c = within(column, CHANNELS);
  const int first = get_group_id(1) * chunk;
  const int last = column < CHANNELS ? min(first + chunk, rows) : first;
  const ulong stride = CHANNELS;
  __global const stored* x = AT(x) + c;
  __global const stored* dy = AT(dy) + c;

  float weighted = 0.0f;
  float plain = 0.0f;
  for (int r = first + LANE; r < last; r += LANES) {
    const float factor = 1.0f / sqrt(AT(variance)[r] + epsilon);
    const float gradient = LOAD(dy, r * stride);
    weighted += gradient * ((LOAD(x, r * stride) - AT(mean)[r]) * factor);
    plain += gradient;
  }
  weighted = column_sum(sums, weighted, WIDTH);
  plain = column_sum(sums, plain, WIDTH);
  if (WRITES_COLUMN && first < last) {
    __global float* to = AT(partial) + 2 * stride * get_group_id(1) + column;
    to[0] = weighted;
    to[stride] = plain;
  }
}

// With h = dy·gamma: dx = (h − mean of h − x̂·mean of h·x̂)/√(variance + epsilon), [rows, C]
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void layer_norm_backward_apply(IN(stored, x), IN(stored, dy), IN(float, gamma), IN(float, mean),
                               IN(float, variance), OUT(stored, dx), const float epsilon,
                               const int channels, const int width, const int rows) {
  __local float sums[GROUP_ITEMS];
  const int row = get_group_id(0) * LANES + LANE, r = within(row, rows);
  const int end = row < rows ? CHANNELS : 0;
  __global const stored* x = AT(x) + r * (ulong)CHANNELS;
  __global const stored* dy = AT(dy) + r * (ulong)CHANNELS;
  __global stored* dx = AT(dx) + row * (ulong)CHANNELS;

  const float mean = AT(mean)[r];
  const float factor = 1.0f / sqrt(AT(variance)[r] + epsilon);
  float plain = 0.0f;
  float weighted = 0.0f;
  for (int c = COLUMN; c < end; c += WIDTH) {
    const float gradient = LOAD(dy, c) * AT(gamma)[c];
    plain += gradient;
    weighted += gradient * ((LOAD(x, c) - mean) * factor);
  }
  plain = row_sum(sums, plain, WIDTH) / CHANNELS;
  weighted = row_sum(sums, weighted, WIDTH) / CHANNELS;
  for (int c = COLUMN; c < end; c += WIDTH) {
    const float normalized = (LOAD(x, c) - mean) * factor;
    STORE(dx, c, factor * (LOAD(dy, c) * AT(gamma)[c] - plain - normalized * weighted));
  }
}
