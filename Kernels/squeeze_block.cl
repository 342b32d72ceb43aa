// A squeeze-excitation block between its convolutions and its sum: batch normalization and ReLU of
// two branches, x0 [B, T, F] and x1 [B, T, C − F], side by side, dropout (kept [B, T, C]), the mean
// over time, two dense layers of U and C units, and the scaled channels added to a shortcut.
//
// Channels are counted over both branches. Backward needs neither masks nor what lies between: kept
// is above zero exactly where it was kept and positive.

// build: -DCHANNELS=64 -DFIRST=32 -DUNITS=8 -DTIME=204 -DWIDTH=32
// build: -DCHANNELS=64 -DFIRST=32 -DUNITS=8 -DTIME=204 -DWIDTH=32 -DHALF_STORAGE=1
// build: -DCHANNELS=64 -DFIRST=32 -DUNITS=8 -DTIME=204 -DWIDTH=32 -DHALF_STORAGE=1 -DGROUP_ITEMS=512

#include "common.cl"
#include "table.cl"
#include "chunks.cl"
#include "lanes.cl"

#ifndef CHANNELS
#define CHANNELS channels
#endif
#ifndef FIRST
#define FIRST first
#endif
#ifndef UNITS
#define UNITS units
#endif
#ifndef TIME
#define TIME time
#endif

// The most that a work-group has room for.
#define MOST_CHANNELS 256
#define MOST_UNITS 64  // no more than GROUP_ITEMS: an item makes one

// Element of channel c in a branch's tensors: [C_branch], and [rows, C_branch].
#define BRANCH(name, c) ((c) < FIRST ? AT(name##0)[c] : AT(name##1)[(c) - FIRST])
#define BRANCH_ROW(name, row, c)                            \
  ((c) < FIRST ? LOAD(AT(name##0), (row) * FIRST + (c))     \
               : LOAD(AT(name##1), (row) * (CHANNELS - FIRST) + (c) - FIRST))
#define SET_BRANCH(name, c, value)     \
  if ((c) < FIRST) {                   \
    AT(name##0)[c] = (value);          \
  } else {                             \
    AT(name##1)[(c) - FIRST] = (value); \
  }

// partial[chunk] = (mean [C], squares about it [C]), as `batch_statistics_partial` leaves them;
// groups (C / width, rows / chunk).
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void squeeze_block_statistics(IN(stored, x0), IN(stored, x1), OUT(float, partial), const int first,
                              const int channels, const int width, const int chunk,
                              const int rows) {
  __local float sums[GROUP_ITEMS];
  const int column = get_group_id(0) * WIDTH + COLUMN, c = within(column, CHANNELS);
  const int start = get_group_id(1) * chunk;
  const int end = column < CHANNELS ? min(start + chunk, rows) : start;
  const int stride = c < FIRST ? FIRST : CHANNELS - FIRST;
  __global const stored* x = c < FIRST ? AT(x0) + c : AT(x1) + (c - FIRST);

  const float origin = LOAD(x, 0);
  float sum = 0.0f;
  for (int r = start + LANE; r < end; r += LANES) sum += LOAD(x, r * stride) - origin;
  const float mean = column_sum(sums, sum, WIDTH) / (end - start);
  float squares = 0.0f;
  for (int r = start + LANE; r < end; r += LANES) {
    const float centred = LOAD(x, r * stride) - origin - mean;
    squares += centred * centred;
  }
  squares = column_sum(sums, squares, WIDTH);
  if (WRITES_COLUMN && start < end) {
    __global float* to = AT(partial) + 2 * (ulong)CHANNELS * get_group_id(1) + column;
    to[0] = mean;
    to[CHANNELS] = squares;
  }
}

// One work-group a sample. Training (`trains`): statistics come from the chunks, or, of each branch
// by itself, from those that its convolution left, the second's `other` elements behind the first's,
// whose means are less its bias (`of_bias`), and are left in mean, variance and the moving ones;
// inference: mean and variance are read. w1 [C, U], w2 [U, C]; squeezed [B, C], hidden [B, U],
// scale [B, C], output = kept·scale + shortcut [B, T, C].
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void squeeze_block_forward(__global const struct table_header* header, IN(stored, x0),
                           IN(stored, x1), IN(float, partial), const int other,
                           IN(float, bias0), IN(float, bias1), IN(float, gamma0),
                           IN(float, gamma1), IN(float, beta0), IN(float, beta1),
                           INOUT(float, mean0), INOUT(float, mean1), INOUT(float, variance0),
                           INOUT(float, variance1), INOUT(float, moving_mean0),
                           INOUT(float, moving_mean1), INOUT(float, moving_variance0),
                           INOUT(float, moving_variance1), IN(float, w1), IN(float, b1),
                           IN(float, w2), IN(float, b2), IN(stored, shortcut), OUT(stored, kept),
                           OUT(float, squeezed), OUT(float, hidden), OUT(float, scale),
                           OUT(stored, output), const int trains, const int of_bias,
                           const float epsilon,
                           const float momentum, const float remainder, const uint threshold,
                           const float keep_scale, const uint stream, const uint key0,
                           const uint key1, const int time, const int first,
                           const int channels, const int units, const int width,
                           const int chunk, const int step, const int live) {
  __local float sums[GROUP_ITEMS];
  __local uint4 blocks[TILE_BLOCKS];
  __local float means[MOST_CHANNELS];
  __local float scales[MOST_CHANNELS];
  __local float excited[MOST_UNITS];
  const int b = get_group_id(0);
  const int rows = live * TIME;
  const ulong counter = header->first_iteration + step;
  const int lanes = threshold ? TILE_ROWS * ROW_BLOCKS : 0;
  if (live == 0) return;  // the kernel is only being compiled

  for (int left = 0; left < CHANNELS; left += WIDTH) {
    const int column = left + COLUMN, c = within(column, CHANNELS);
    const int is_channel = column < CHANNELS;
    const float2 merged = merged_statistics(
        sums, AT(partial) + (c < FIRST ? c : other + c - FIRST), rows, chunk,
        trains ? chunk_count(rows, chunk) : 0,
        !of_bias ? CHANNELS : c < FIRST ? FIRST : CHANNELS - FIRST, WIDTH);
    const float origin = of_bias ? BRANCH(bias, c) : BRANCH_ROW(x, 0, c);
    const float mean = trains ? origin + merged.x : BRANCH(mean, c);
    const float variance = trains ? merged.y : BRANCH(variance, c);
    const float factor = BRANCH(gamma, c) / sqrt(variance + epsilon);
    const float beta = BRANCH(beta, c);
    if (trains && is_channel && WRITES_COLUMN && b == 0) {
      SET_BRANCH(mean, column, mean)
      SET_BRANCH(variance, column, variance)
      if (MOVES(mean, variance)) {
        SET_BRANCH(moving_mean, column, BRANCH(moving_mean, c) * momentum + mean * remainder)
        SET_BRANCH(moving_variance, column,
                   BRANCH(moving_variance, c) * momentum + variance * remainder)
      }
    }
    float sum = 0.0f;
    for (int tile = 0; tile < TIME; tile += TILE_ROWS) {
      barrier(CLK_LOCAL_MEM_FENCE);
      for (int e = get_local_id(0); e < lanes; e += GROUP_ITEMS) {
        const int t = tile + e / ROW_BLOCKS;
        if (t >= TIME) continue;
        draw_block(
            blocks, e / ROW_BLOCKS, e % ROW_BLOCKS, WIDTH, (b * TIME + t) * CHANNELS + left,
            min(WIDTH, CHANNELS - left), stream, counter, (uint2)(key0, key1));
      }
      barrier(CLK_LOCAL_MEM_FENCE);
      for (int j = 0; j < ITEM_ROWS; ++j) {
        const int k = LANE + j * LANES;
        if (!is_channel || tile + k >= TIME) continue;
        const int row = b * TIME + tile + k;
        const int start = row * CHANNELS + left;
        const float normalized = (BRANCH_ROW(x, row, c) - mean) * factor + beta;
        float value = relu(normalized) * keep_scale;
        if (threshold && drawn_lane(blocks, k, WIDTH, start, start + COLUMN) < threshold) {
          value = 0.0f;
        }
        STORE(AT(kept), start + COLUMN, value);
        sum += value;
      }
    }
    sum = column_sum(sums, sum, WIDTH);
    if (WRITES_COLUMN && is_channel) {
      means[column] = sum / TIME;
      AT(squeezed)[b * CHANNELS + column] = sum / TIME;
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);

  const int item = get_local_id(0);
  if (item < UNITS) {
    float sum = AT(b1)[item];
    for (int c = 0; c < CHANNELS; ++c) sum += means[c] * AT(w1)[c * UNITS + item];
    excited[item] = relu(sum);
    AT(hidden)[b * UNITS + item] = excited[item];
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int c = item; c < CHANNELS; c += GROUP_ITEMS) {
    float sum = AT(b2)[c];
    for (int u = 0; u < UNITS; ++u) sum += excited[u] * AT(w2)[u * CHANNELS + c];
    scales[c] = 1.0f / (1.0f + exp(-sum));
    AT(scale)[b * CHANNELS + c] = scales[c];
  }
  barrier(CLK_LOCAL_MEM_FENCE);

  // Each item reads what it wrote.
  for (int left = 0; left < CHANNELS; left += WIDTH) {
    const int c = left + COLUMN;
    const int last = c < CHANNELS ? TIME : 0;
    for (int t = LANE; t < last; t += LANES) {
      const int i = (b * TIME + t) * CHANNELS + c;
      STORE(AT(output), i, LOAD(AT(kept), i) * scales[c] + LOAD(AT(shortcut), i));
    }
  }
}

// The gradient at a branch's normalization.
static inline float block_gradient(const float kept, const float d_output, const float scale,
                                   const float d_mean, const float keep_scale) {
  return kept > 0.0f ? (d_output * scale + d_mean) * keep_scale : 0.0f;
}

// One work-group a sample: d_excite [B, C] and d_squeeze [B, U], the gradients before the sigmoid
// and the ReLU; d_mean [B, C], that of each element through the mean over time; and of the
// normalizations partial[sample] = (Σ g·x̂ [C], Σ g [C]).
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void squeeze_block_backward_partial(IN(stored, x0), IN(stored, x1), IN(float, mean0),
                                    IN(float, mean1), IN(float, variance0),
                                    IN(float, variance1), IN(float, w1), IN(float, w2),
                                    IN(stored, kept), IN(float, hidden), IN(float, scale),
                                    IN(stored, d_output), OUT(float, d_excite),
                                    OUT(float, d_squeeze), OUT(float, d_mean),
                                    OUT(float, partial), const float epsilon,
                                    const float keep_scale, const int time, const int first,
                                    const int channels, const int units, const int width,
                                    const int live) {
  __local float sums[GROUP_ITEMS];
  __local float before[MOST_CHANNELS];
  __local float through[MOST_CHANNELS];
  __local float squeezes[MOST_UNITS];
  const int b = get_group_id(0);
  if (live == 0) return;  // the kernel is only being compiled

  for (int left = 0; left < CHANNELS; left += WIDTH) {
    const int column = left + COLUMN, c = within(column, CHANNELS);
    float sum = 0.0f;
    for (int t = LANE; t < TIME; t += LANES) {
      const int i = (b * TIME + t) * CHANNELS + c;
      sum += LOAD(AT(kept), i) * LOAD(AT(d_output), i);
    }
    sum = column_sum(sums, sum, WIDTH);
    if (WRITES_COLUMN && column < CHANNELS) {
      const float s = AT(scale)[b * CHANNELS + c];
      before[column] = sum * s * (1.0f - s);
      AT(d_excite)[b * CHANNELS + column] = before[column];
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  const int item = get_local_id(0);
  if (item < UNITS) {
    float sum = 0.0f;
    for (int c = 0; c < CHANNELS; ++c) sum += before[c] * AT(w2)[item * CHANNELS + c];
    squeezes[item] = AT(hidden)[b * UNITS + item] > 0.0f ? sum : 0.0f;
    AT(d_squeeze)[b * UNITS + item] = squeezes[item];
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int c = item; c < CHANNELS; c += GROUP_ITEMS) {
    float sum = 0.0f;
    for (int u = 0; u < UNITS; ++u) sum += squeezes[u] * AT(w1)[c * UNITS + u];
    through[c] = sum / TIME;
    AT(d_mean)[b * CHANNELS + c] = through[c];
  }
  barrier(CLK_LOCAL_MEM_FENCE);

  for (int left = 0; left < CHANNELS; left += WIDTH) {
    const int column = left + COLUMN, c = within(column, CHANNELS);
    const float mean = BRANCH(mean, c);
    const float factor = 1.0f / sqrt(BRANCH(variance, c) + epsilon);
    const float scale = AT(scale)[b * CHANNELS + c];
    float weighted = 0.0f;
    float plain = 0.0f;
    for (int t = LANE; t < TIME; t += LANES) {
      const int row = b * TIME + t;
      const int i = row * CHANNELS + c;
      const float gradient = block_gradient(
          LOAD(AT(kept), i), LOAD(AT(d_output), i), scale, through[c], keep_scale);
      weighted += gradient * ((BRANCH_ROW(x, row, c) - mean) * factor);
      plain += gradient;
    }
    weighted = column_sum(sums, weighted, WIDTH);
    plain = column_sum(sums, plain, WIDTH);
    if (WRITES_COLUMN && column < CHANNELS) {
      __global float* to = AT(partial) + 2 * CHANNELS * b + column;
      to[0] = weighted;
      to[CHANNELS] = plain;
    }
  }
}

// An item's share of an element's sum over the samples, of the gradients of both dense layers: dw1
// [C, U] = Σ_b squeezed·d_squeeze, db1 [U] = Σ_b d_squeeze, dw2 [U, C] = Σ_b hidden·d_excite, db2
// [C] = Σ_b d_excite, one after the other.
static inline float dense_share(const int element, const int lane, const int lanes,
                                const int channels, const int units, __global const float* squeezed,
                                __global const float* hidden, __global const float* d_excite,
                                __global const float* d_squeeze, const int live) {
  const int kernels = channels * units;
  const int is_first = element < kernels + units;
  const int place = is_first ? element : element - kernels - units;
  const int has_factor = place < kernels;
  const int outputs = is_first ? units : channels;
  const int inputs = is_first ? channels : units;
  const int last = place < kernels + outputs ? live : 0;
  const int o = has_factor ? place % outputs : place - kernels;
  const int i = has_factor ? place / outputs : 0;
  __global const float* gradients = is_first ? d_squeeze : d_excite;
  __global const float* factors = is_first ? squeezed : hidden;
  float sum = 0.0f;
  for (int b = lane; b < last; b += lanes) {
    sum += (has_factor ? factors[b * inputs + i] : 1.0f) * gradients[b * outputs + o];
  }
  return sum;
}

// d_gamma, d_beta and dx of both branches from the chunks, and the dense layers' gradients: groups
// (C / width, any number), of which the first `dense_rows` rows make the latter, a column an
// element; the others share the rows. All meet the same barriers.
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void squeeze_block_backward_apply(IN(stored, x0), IN(stored, x1), IN(float, mean0),
                                  IN(float, mean1), IN(float, variance0), IN(float, variance1),
                                  IN(float, gamma0), IN(float, gamma1), IN(stored, kept),
                                  IN(float, scale), IN(stored, d_output), IN(float, d_mean),
                                  IN(float, partial), IN(float, squeezed), IN(float, hidden),
                                  IN(float, d_excite), IN(float, d_squeeze), OUT(float, d_gamma0),
                                  OUT(float, d_gamma1), OUT(float, d_beta0),
                                  OUT(float, d_beta1), OUT(stored, dx0), OUT(stored, dx1),
                                  OUT(float, dw1), OUT(float, db1), OUT(float, dw2),
                                  OUT(float, db2), const float epsilon, const float keep_scale,
                                  const int time, const int first, const int channels,
                                  const int units, const int width, const int dense_rows,
                                  const int live) {
  __local float sums[GROUP_ITEMS];
  const int is_dense = (int)get_group_id(1) < dense_rows;
  const int element = (get_group_id(1) * get_num_groups(0) + get_group_id(0)) * WIDTH + COLUMN;
  const int column = get_group_id(0) * WIDTH + COLUMN, c = within(column, CHANNELS);
  const int rows = !is_dense && column < CHANNELS ? live * TIME : 0;
  const int chunks = is_dense ? 0 : live;

  float weighted = dense_share(element, LANE, LANES, CHANNELS, UNITS, AT(squeezed), AT(hidden),
                               AT(d_excite), AT(d_squeeze), live);
  float plain = 0.0f;
  for (int i = LANE; i < chunks; i += LANES) {
    weighted += AT(partial)[i * 2 * (ulong)CHANNELS + c];
    plain += AT(partial)[i * 2 * (ulong)CHANNELS + CHANNELS + c];
  }
  weighted = column_sum(sums, weighted, WIDTH);
  plain = column_sum(sums, plain, WIDTH);

  const int kernels = CHANNELS * UNITS;
  if (WRITES_COLUMN && element < 2 * kernels + UNITS + CHANNELS) {
    const int place = element - kernels - UNITS;
    __global float* to = element < kernels           ? AT(dw1) + element
                         : element < kernels + UNITS ? AT(db1) + (element - kernels)
                         : place < kernels           ? AT(dw2) + place
                                                     : AT(db2) + (place - kernels);
    *to = weighted;
  }
  const int row_group = max((int)get_group_id(1) - dense_rows, 0);
  if (WRITES_COLUMN && rows > 0 && row_group == 0) {
    SET_BRANCH(d_gamma, column, weighted)
    SET_BRANCH(d_beta, column, plain)
  }
  const float mean = BRANCH(mean, c);
  const float factor = 1.0f / sqrt(BRANCH(variance, c) + epsilon);
  const float slope = BRANCH(gamma, c) * factor;
  const float share = 1.0f / rows;

  const int step = ((int)get_num_groups(1) - dense_rows) * LANES;
  for (int r = row_group * LANES + LANE; r < rows; r += step) {
    const int i = r * CHANNELS + c;
    const int sample = r / TIME * CHANNELS + c;
    const float gradient = block_gradient(
        LOAD(AT(kept), i), LOAD(AT(d_output), i), AT(scale)[sample], AT(d_mean)[sample], keep_scale);
    const float normalized = (BRANCH_ROW(x, r, c) - mean) * factor;
    const float result = slope * (gradient - (plain + normalized * weighted) * share);
    if (column < FIRST) {
      STORE(AT(dx0), r * FIRST + column, result);
    } else {
      STORE(AT(dx1), r * (CHANNELS - FIRST) + column - FIRST, result);
    }
  }
}
