// Batch normalization, ReLU, dropout and max pooling in one pass: x [B, T, C] to y [B, P, C] with
// P = T / size, size 1 where nothing is pooled.
//
// Backward needs neither the mask nor what lies between: y is above zero exactly where the winning
// element was kept and positive, so the gradient at the normalization's output is
// g = y > 0 ? dy·keep_scale : 0 at the winner, and 0 elsewhere.

// build: -DCHANNELS=64 -DWIDTH=32 -DTIME=204 -DPOOLED=204 -DSIZE=1
// build: -DCHANNELS=256 -DWIDTH=32 -DTIME=102 -DPOOLED=51 -DSIZE=2
// build: -DCHANNELS=256 -DWIDTH=32 -DTIME=102 -DPOOLED=51 -DSIZE=2 -DHALF_STORAGE=1

#include "common.cl"
#include "table.cl"
#include "chunks.cl"
#include "lanes.cl"

#ifndef CHANNELS
#define CHANNELS channels
#endif
#ifndef TIME
#define TIME time
#endif
#ifndef POOLED
#define POOLED pooled
#endif
#ifndef SIZE
#define SIZE size
#endif

// The gradient of output element i in row o, but for the gain: that of its mean over time, d_mean
// [B, C], where that is what is given, and dy is not read.
#define OUTPUT_GRADIENT(o, i) \
  (of_mean ? AT(d_mean)[(o) / POOLED * CHANNELS + c] : LOAD(AT(dy), i))
#define GAIN (of_mean ? keep_scale / POOLED : keep_scale)

// The first row of the window of output row o.
#define WINDOW(o) ((o) / POOLED * TIME + (o) % POOLED * SIZE)

// Training (`trains`): statistics come from the chunks of `batch_statistics_partial`, or from those
// that the convolution left, whose means are less its `bias` (`of_bias`), and are left in mean,
// variance and the moving ones. Inference: the normalization is by mean and variance as they
// are. argmax is written where size > 1. Groups (C / width, any number), which share the tiles.
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void norm_block_forward(__global const struct table_header* header, IN(stored, x),
                        IN(float, partial), IN(float, bias), IN(float, gamma), IN(float, beta),
                        INOUT(float, mean), INOUT(float, variance), INOUT(float, moving_mean),
                        INOUT(float, moving_variance), OUT(stored, y), OUT(uchar, argmax),
                        const int trains, const int of_bias, const float epsilon, const float momentum,
                        const float remainder, const uint threshold, const float keep_scale,
                        const uint stream, const uint key0, const uint key1, const int time,
                        const int pooled, const int channels, const int size, const int width,
                        const int chunk, const int step, const int live) {
  __local float sums[GROUP_ITEMS];
  __local uint4 blocks[TILE_BLOCKS];
  const int left = get_group_id(0) * WIDTH;
  const int column = left + COLUMN, c = within(column, CHANNELS);
  const int rows = live * TIME;
  const int outputs = live * POOLED;
  const int is_channel = column < CHANNELS;
  if (live == 0) return;  // the kernel is only being compiled

  // Every group meets the same barriers whatever its settings: PoCL 3.1 runs some code more than
  // once around barriers in branches.
  const int chunks = trains ? chunk_count(rows, chunk) : 0;
  const float2 merged = merged_statistics(
      sums, AT(partial) + c, rows, chunk, chunks, CHANNELS, WIDTH);
  const float origin = of_bias ? AT(bias)[c] : LOAD(AT(x), c);
  const float mean = trains ? origin + merged.x : AT(mean)[c];
  const float variance = trains ? merged.y : AT(variance)[c];
  if (trains && is_channel && WRITES_COLUMN && get_group_id(1) == 0) {
    AT(mean)[column] = mean;
    AT(variance)[column] = variance;
    if (MOVES(mean, variance)) {
      AT(moving_mean)[column] = AT(moving_mean)[c] * momentum + mean * remainder;
      AT(moving_variance)[column] = AT(moving_variance)[c] * momentum + variance * remainder;
    }
  }
  const float factor = AT(gamma)[c] / sqrt(variance + epsilon);
  const float beta = AT(beta)[c];
  const ulong counter = header->first_iteration + step;
  const int lanes = threshold ? TILE_ROWS * ROW_BLOCKS : 0;

  for (int tile = get_group_id(1) * TILE_ROWS; tile < outputs;
       tile += get_num_groups(1) * TILE_ROWS) {
    float largest[ITEM_ROWS];
    int places[ITEM_ROWS];
    for (int p = 0; p < SIZE; ++p) {
      barrier(CLK_LOCAL_MEM_FENCE);
      for (int e = get_local_id(0); e < lanes; e += GROUP_ITEMS) {
        const int o = tile + e / ROW_BLOCKS;
        if (o >= outputs) continue;
        draw_block(
            blocks, e / ROW_BLOCKS, e % ROW_BLOCKS, WIDTH, (WINDOW(o) + p) * CHANNELS + left,
            min(WIDTH, CHANNELS - left), stream, counter, (uint2)(key0, key1));
      }
      barrier(CLK_LOCAL_MEM_FENCE);
      for (int j = 0; j < ITEM_ROWS; ++j) {
        const int k = LANE + j * LANES;
        if (!is_channel || tile + k >= outputs) continue;
        const int start = (WINDOW(tile + k) + p) * CHANNELS + left;
        const int i = start + COLUMN;
        const float normalized = (LOAD(AT(x), i) - mean) * factor + beta;
        float value = relu(normalized) * keep_scale;
        if (threshold && drawn_lane(blocks, k, WIDTH, start, i) < threshold) value = 0.0f;
        if (p == 0 || value > largest[j]) {
          largest[j] = value;
          places[j] = p;
        }
      }
    }
    for (int j = 0; j < ITEM_ROWS; ++j) {
      const int o = tile + LANE + j * LANES;
      if (!is_channel || o >= outputs) continue;
      STORE(AT(y), o * CHANNELS + column, largest[j]);
      if (SIZE > 1) AT(argmax)[o * CHANNELS + column] = (uchar)places[j];
    }
  }
}

// partial[chunk] = (Σ g·x̂ [C], Σ g [C]) over a chunk of output rows; groups (C / width, chunks).
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void norm_block_backward_partial(IN(stored, x), IN(stored, y), IN(stored, dy),
                                 IN(float, d_mean), IN(uchar, argmax), IN(float, mean),
                                 IN(float, variance), OUT(float, partial),
                                 const float epsilon, const float keep_scale, const int of_mean,
                                 const int time, const int pooled, const int channels,
                                 const int size, const int width, const int chunk,
                                 const int live) {
  __local float sums[GROUP_ITEMS];
  const int column = get_group_id(0) * WIDTH + COLUMN, c = within(column, CHANNELS);
  const int first = get_group_id(1) * chunk;
  const int last = column < CHANNELS ? min(first + chunk, live * POOLED) : first;

  const float mean = AT(mean)[c];
  const float factor = 1.0f / sqrt(AT(variance)[c] + epsilon);
  float weighted = 0.0f;
  float plain = 0.0f;
  for (int o = first + LANE; o < last; o += LANES) {
    const int i = o * CHANNELS + c;
    const float gradient = LOAD(AT(y), i) > 0.0f ? OUTPUT_GRADIENT(o, i) * GAIN : 0.0f;
    const int row = WINDOW(o) + (SIZE > 1 ? AT(argmax)[i] : 0);
    weighted += gradient * ((LOAD(AT(x), row * CHANNELS + c) - mean) * factor);
    plain += gradient;
  }
  weighted = column_sum(sums, weighted, WIDTH);
  plain = column_sum(sums, plain, WIDTH);
  if (WRITES_COLUMN && first < last) {
    __global float* to = AT(partial) + 2 * (ulong)CHANNELS * get_group_id(1) + column;
    to[0] = weighted;
    to[CHANNELS] = plain;
  }
}

// d_gamma, d_beta [C] and dx [B, T, C] from the chunks of `norm_block_backward_partial`; groups
// (C / width, any number), which share the rows.
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void norm_block_backward_apply(IN(stored, x), IN(stored, y), IN(stored, dy),
                               IN(float, d_mean), IN(uchar, argmax), IN(float, gamma), IN(float, mean), IN(float, variance),
                               IN(float, partial), OUT(float, d_gamma), OUT(float, d_beta),
                               OUT(stored, dx), const float epsilon, const float keep_scale,
                               const int of_mean, const int time, const int pooled,
                               const int channels,
                               const int size, const int width, const int chunk,
                               const int live) {
  __local float sums[GROUP_ITEMS];
  const int column = get_group_id(0) * WIDTH + COLUMN, c = within(column, CHANNELS);
  const int rows = column < CHANNELS ? live * TIME : 0;
  const float2 merged = merged_sums(
      sums, AT(partial) + c, chunk_count(live * POOLED, chunk), CHANNELS, WIDTH);
  if (WRITES_COLUMN && rows > 0 && get_group_id(1) == 0) {
    AT(d_gamma)[column] = merged.x;
    AT(d_beta)[column] = merged.y;
  }
  const float mean = AT(mean)[c];
  const float factor = 1.0f / sqrt(AT(variance)[c] + epsilon);
  const float scale = AT(gamma)[c] * factor;
  const float slope = merged.x / rows;
  const float offset = merged.y / rows;

  for (int r = get_group_id(1) * LANES + LANE; r < rows; r += get_num_groups(1) * LANES) {
    const int t = r % TIME;
    float gradient = 0.0f;
    if (t / SIZE < POOLED) {
      const int o = r / TIME * POOLED + t / SIZE;
      const int i = o * CHANNELS + c;
      const int wins = SIZE > 1 ? AT(argmax)[i] == t % SIZE : 1;
      if (wins && LOAD(AT(y), i) > 0.0f) gradient = OUTPUT_GRADIENT(o, i) * GAIN;
    }
    const float normalized = (LOAD(AT(x), r * CHANNELS + c) - mean) * factor;
    STORE(AT(dx), r * CHANNELS + column, scale * (gradient - offset - normalized * slope));
  }
}
