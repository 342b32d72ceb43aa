// The kernels of attention_short.cl and attention_short_backward.cl that make scores, on tensor
// cores: X, M, Q and its gradient U, and X's gradient are halves, statistics and m floats. The
// products on either side of the scores are made where these are: Q = X·M + m, U·Mᵀ.
//
// Statistics of the rows [B, H, T, 4] as there. A tile of the gradients of scores is rounded to
// halves, too: times `gain`, a power of two, so that few are too small for that. U is left times
// that.
//
// instructions: HMMA LDSM LDGSTS
// build: -DCHANNELS=64
// build: -DCHANNELS=16
// build: -DCHANNELS=48
// build: -DTIME=204 -DCHANNELS=64 -DHEADS=4

#include "tensor_core_scores.cl"

// MARK: Sums over rows

// Q [B, T, H, C], from M [C, H, C] and m [H, C]; and statistics of each row t. Where the gradient of
// p [B, H, T] is given, inner, too, and what the dropout keeps: bits [B, H, T, WORDS]. A group has
// SPAN rows of a sample's head; an item sums up its own columns of two of them, which are put
// together at the end, in order.
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1), vec_type_hint(float4)))
void attention_short_rows(
    IN(ushort, x), IN(ushort, weights), IN(float, offsets), OUT(ushort, q),
    IN(float, mean_gradient), OUT(float, statistics), OUT(uint, bits),
    const int has_gradient, DROPOUT, const int time, const int heads, const int count) {
  TILES(3);
  __local uint kept[2 * ITEMS];
  __local float of_mean[2 * SPAN];
  __local float shared[3][SPAN][4];
  const int index = get_group_id(1), sample = index / HEADS, head = index % HEADS;
  const int first_t = get_group_id(0) * SPAN, warp_line = get_local_id(0) / WARP * 16;
  if (count == 0) return;  // the kernel is only being compiled
  const struct dropout d = DROPOUT_OF_STEP;
  __global const ushort* sample_x = AT(x) + (size_t)sample * TIME * CHANNELS;

  fetch_tile(&warp, TILE_BYTES, sample_x, CHANNELS, first_t, TIME);
  fetch_tile(&warp, 2 * TILE_BYTES, AT(weights) + head * CHANNELS, HEADS * CHANNELS, 0, CHANNELS);
  end_batch(&warp);
  fetch_tile(&warp, 0, sample_x, CHANNELS, 0, TIME);
  end_batch(&warp);
  AWAIT_COPIES(&warp, 1);
  barrier(CLK_LOCAL_MEM_FENCE);

  uint queries[FRAGMENTS];
  load_lines(&warp, TILE_BYTES, warp_line, queries);
  float sums[SUMS];
  EACH_BLOCK
  for (int i = 0; i < SUMS; ++i) {
    sums[i] = AT(offsets)[head * CHANNELS + i / 4 * 8 + column() + i % 2];
  }
  EACH_BLOCK
  for (int k = 0; k < CHANNELS / 16; ++k) {
    add_lines(&warp, queries + k * 4, 2 * TILE_BYTES, k * 16, sums);
  }
  EACH_BLOCK
  for (int k = 0; k < CHANNELS / 16; ++k) pack_block(sums + k * 8, queries + k * 4);
  store_lines(queries, AT(q) + ((size_t)sample * TIME * HEADS + head) * CHANNELS,
              HEADS * CHANNELS, first_t, TIME);

  float top[2] = {LOWEST, LOWEST}, total[2] = {0.0f, 0.0f}, weighted[2] = {0.0f, 0.0f};
  for (int first_s = 0; first_s < TIME; first_s += SPAN) {
    const int stage = first_s / SPAN % 2;
    __local uint* stays = kept + stage * ITEMS;
    __local float* gradients = of_mean + stage * SPAN;
    const int s = first_s + get_local_id(0) % SPAN;
    if (has_gradient) {
      keep_tile(stays, &d, index, first_t, first_s, TIME);
      const int t = first_t + get_local_id(0) / 2;
      if (t < TIME) AT(bits)[word_place(index, t, first_s, TIME)] = stays[get_local_id(0)];
      gradients[get_local_id(0) % SPAN] =
          AT(mean_gradient)[(size_t)index * TIME + within(s, TIME)];
    }
    AWAIT_COPIES(&warp, 0);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (first_s + SPAN < TIME) {
      fetch_tile(&warp, (1 - stage) * TILE_BYTES, sample_x, CHANNELS, first_s + SPAN, TIME);
    }
    end_batch(&warp);
    EACH_BLOCK
    for (int j = 0; j < SPAN / 32; ++j) {
      WHERE_WARP(first_s + j * 32 < TIME && first_t + warp_line < TIME) {
        float scores[16];
        EACH_BLOCK
        for (int i = 0; i < 16; ++i) scores[i] = 0.0f;
        EACH_BLOCK
        for (int i = 0; i < 2; ++i) {
          add_scores(&warp, queries, stage * TILE_BYTES, j * 32 + i * 16, scores + i * 8);
        }
        float highest[2] = {top[0], top[1]};
        EACH_BLOCK
        for (int i = 0; i < 16; ++i) {
          if (first_s + j * 32 + column() + COLUMN_OF(i) >= TIME) scores[i] = LOWEST;
          highest[LINE_OF(i)] = fmax(highest[LINE_OF(i)], scores[i]);
        }
        uint words[2];
        EACH_BLOCK
        for (int r = 0; r < 2; ++r) {
          const float factor = exponential(top[r], highest[r]);
          top[r] = highest[r];
          total[r] *= factor;
          weighted[r] *= factor;
          words[r] = has_gradient ? stays[(line() + r * 8) * 2 + j] >> column() : 0;
        }
        EACH_BLOCK
        for (int i = 0; i < 16; ++i) {
          const float e = exponential(scores[i], top[LINE_OF(i)]);
          total[LINE_OF(i)] += e;
          if (words[LINE_OF(i)] >> COLUMN_OF(i) & 1) {
            weighted[LINE_OF(i)] += e * gradients[j * 32 + column() + COLUMN_OF(i)];
          }
        }
      }
    }
  }

  EACH_BLOCK
  for (int r = 0; r < 2; ++r) {
    shared[0][line() + r * 8][get_local_id(0) % 4] = top[r];
    shared[1][line() + r * 8][get_local_id(0) % 4] = total[r];
    shared[2][line() + r * 8][get_local_id(0) % 4] = weighted[r];
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  const int item = get_local_id(0), r = item % SPAN, t = first_t + item;
  float highest = LOWEST, all = 0.0f, sum = 0.0f;
  for (int j = 0; j < 4; ++j) highest = fmax(highest, shared[0][r][j]);
  for (int j = 0; j < 4; ++j) {
    const float factor = exponential(shared[0][r][j], highest);
    all += shared[1][r][j] * factor;
    sum += shared[2][r][j] * factor;
  }
  if (item < SPAN && t < TIME) {
    vstore4((float4)(highest, 1.0f / all, sum / all * scale / TIME, 0.0f),
            (size_t)index * TIME + t, AT(statistics));
  }
}

// MARK: Sums over columns

// p [B, H, T]. A group has SPAN columns of a sample's head, which are lines here.
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1), vec_type_hint(float4)))
void attention_short_mean(
    IN(ushort, q), IN(ushort, x), IN(float, statistics), OUT(float, mean), DROPOUT,
    const int time, const int heads, const int count) {
  TILES(2);
  __local uint kept[2 * ITEMS];
  __local float2 rows[2 * SPAN];
  __local float shared[SPAN][4];
  const int index = get_group_id(1), sample = index / HEADS, head = index % HEADS;
  const int first_s = get_group_id(0) * SPAN, warp_line = get_local_id(0) / WARP * 16;
  if (count == 0) return;  // the kernel is only being compiled
  const struct dropout d = DROPOUT_OF_STEP;
  __global const ushort* sample_q = AT(q) + ((size_t)sample * TIME * HEADS + head) * CHANNELS;

  fetch_tile(&warp, TILE_BYTES, AT(x) + (size_t)sample * TIME * CHANNELS, CHANNELS, first_s, TIME);
  end_batch(&warp);
  fetch_tile(&warp, 0, sample_q, HEADS * CHANNELS, 0, TIME);
  end_batch(&warp);
  AWAIT_COPIES(&warp, 1);
  barrier(CLK_LOCAL_MEM_FENCE);
  uint keys[FRAGMENTS];
  load_lines(&warp, TILE_BYTES, warp_line, keys);

  float sums[2] = {0.0f, 0.0f};
  for (int first_t = 0; first_t < TIME; first_t += SPAN) {
    const int stage = first_t / SPAN % 2, t = first_t + get_local_id(0) % SPAN;
    __local uint* stays = kept + stage * ITEMS;
    keep_tile(stays, &d, index, first_t, first_s, TIME);
    // Rows beyond the last have no share.
    rows[stage * SPAN + get_local_id(0) % SPAN] =
        t < TIME ? vload4((size_t)index * TIME + t, AT(statistics)).xy : (float2)(0.0f);
    AWAIT_COPIES(&warp, 0);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (first_t + SPAN < TIME) {
      fetch_tile(&warp, (1 - stage) * TILE_BYTES, sample_q, HEADS * CHANNELS, first_t + SPAN, TIME);
    }
    end_batch(&warp);
    EACH_BLOCK
    for (int j = 0; j < SPAN / 16; ++j) {
      WHERE_WARP(first_t + j * 16 < TIME && first_s + warp_line < TIME) {
        float scores[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
        add_scores(&warp, keys, stage * TILE_BYTES, j * 16, scores);
        EACH_BLOCK
        for (int i = 0; i < 8; ++i) {
          const int r = j * 16 + column() + COLUMN_OF(i);
          const float2 row = rows[stage * SPAN + r];
          const uint word = stays[r * 2 + warp_line / 32] >> line() % 32;
          if (word >> (LINE_OF(i) * 8) & 1) {
            sums[LINE_OF(i)] += exponential(scores[i], row.x) * row.y;
          }
        }
      }
    }
  }

  EACH_BLOCK
  for (int r = 0; r < 2; ++r) shared[line() + r * 8][get_local_id(0) % 4] = sums[r];
  barrier(CLK_LOCAL_MEM_FENCE);
  const int item = get_local_id(0), r = item % SPAN, s = first_s + item;
  const float sum = shared[r][0] + shared[r][1] + shared[r][2] + shared[r][3];
  if (item < SPAN && s < TIME) AT(mean)[(size_t)index * TIME + s] = sum * scale / TIME;
}

// MARK: Backward

// The factors of a sample. The tiles that a group goes through, for each head: its own lines of Q,
// all of X, M, all of Q.
typedef struct {
  __global const ushort* q;
  __global const ushort* x;
  __global const ushort* weights;
  int tiles;  // of the steps
} Factors;

static inline void fetch_next(Warp* warp, const Factors* f, const int tile, const int first,
                              const int time, const int heads) {
  const int head = tile / (2 * f->tiles + 2) * CHANNELS, i = tile % (2 * f->tiles + 2);
  const bool is_x = i > 0 && i <= f->tiles, is_m = i == f->tiles + 1;
  fetch_tile(warp, tile % 2 * TILE_BYTES, is_x ? f->x : is_m ? f->weights + head : f->q + head,
             is_x ? CHANNELS : HEADS * CHANNELS,
             i == 0 ? first : is_x ? (i - 1) * SPAN : is_m ? 0 : (i - f->tiles - 2) * SPAN,
             is_m ? CHANNELS : TIME);
}

// Waits for the tile `tile` of those, lets the next one come, and leaves the place of the first.
#define NEXT_TILE(part)                                                                  \
  AWAIT_COPIES(&warp, 0);                                                                \
  barrier(CLK_LOCAL_MEM_FENCE);                                                          \
  if (tile + 1 < HEADS * (2 * factors.tiles + 2)) {                                      \
    fetch_next(&warp, &factors, tile + 1, first, TIME, HEADS);                           \
  }                                                                                      \
  end_batch(&warp);                                                                      \
  converge();                                                                            \
  const uint part = tile % 2 * TILE_BYTES;                                               \
  ++tile

// X's gradient [B, T, C] = Σ_h U·Mᵀ + S'ᵀ·Q + p·z_gradient, where U = S'·X [B, T, H, C], left times
// `gain`, is the gradient of Q. A group has SPAN steps of a sample: as rows of the scores for U, then
// as columns.
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1), vec_type_hint(float4)))
void attention_short_input_backward(
    IN(ushort, q), IN(ushort, x), IN(ushort, weights), IN(float, statistics), IN(uint, bits),
    IN(float, mean_gradient), IN(float, z_gradient), OUT(ushort, query_gradient),
    IN(float, mean), OUT(ushort, input_gradient), const float scale, const float gain,
    const int time, const int heads, const int live) {
  TILES(3);
  __local uint kept[2 * ITEMS];
  __local float4 others[2 * SPAN];
  const int sample = get_group_id(1), first = get_group_id(0) * SPAN;
  const int item = get_local_id(0), warp_line = item / WARP * 16;
  if (live == 0) return;  // the kernel is only being compiled
  const float share = gain * scale / TIME;
  const Factors factors = {AT(q) + (size_t)sample * TIME * HEADS * CHANNELS,
                           AT(x) + (size_t)sample * TIME * CHANNELS, AT(weights),
                           (TIME + SPAN - 1) / SPAN};
  int tile = 0;
  fetch_tile(&warp, 2 * TILE_BYTES, factors.x, CHANNELS, first, TIME);
  fetch_next(&warp, &factors, 0, first, TIME, HEADS);
  end_batch(&warp);

  float result[SUMS];
  EACH_BLOCK
  for (int i = 0; i < SUMS; ++i) result[i] = 0.0f;
#pragma unroll 1
  for (int head = 0; head < HEADS; ++head) {
    const int index = sample * HEADS + head;
    const size_t first_row = (size_t)index * TIME;

    // As rows.
    NEXT_TILE(own_part);
    uint own[FRAGMENTS];
    load_lines(&warp, own_part, warp_line, own);
    float sums[SUMS];
    EACH_BLOCK
    for (int i = 0; i < SUMS; ++i) sums[i] = 0.0f;
    float4 lines[2];
    EACH_BLOCK
    for (int r = 0; r < 2; ++r) {
      const int t = first + line() + r * 8;
      lines[r] = vload4(first_row + within(t, TIME), AT(statistics));
      lines[r].z *= gain;
    }
#pragma unroll 1
    for (int first_s = 0; first_s < TIME; first_s += SPAN) {
      __local uint* stays = kept + tile % 2 * ITEMS;
      __local float4* columns = others + tile % 2 * SPAN;
      const int s = first_s + item % SPAN;
      stays[item] = read_word(AT(bits), index, first, first_s, TIME);
      columns[item % SPAN].x = AT(mean_gradient)[first_row + within(s, TIME)] * share;
      NEXT_TILE(part);
#pragma unroll 1
      for (int j = 0; j < SPAN / 16; ++j) {
        WHERE_WARP(first_s + j * 16 < TIME && first + warp_line < TIME) {
          float scores[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
          add_scores(&warp, own, part, j * 16, scores);
          EACH_BLOCK
          for (int i = 0; i < 8; ++i) {
            const int c = j * 16 + column() + COLUMN_OF(i);
            const float4 row = lines[LINE_OF(i)];
            const uint word = stays[(line() + LINE_OF(i) * 8) * 2 + j / 2] >> column();
            const float of_mean = word >> (j % 2 * 16 + COLUMN_OF(i)) & 1 ? columns[c].x : 0.0f;
            const float p = exponential(first_s + c < TIME ? scores[i] : LOWEST, row.x) * row.y;
            scores[i] = p * (of_mean - row.z);
          }
          uint gradients[4];
          pack_block(scores, gradients);
          add_lines(&warp, gradients, part, j * 16, sums);
        }
      }
    }
    EACH_BLOCK
    for (int k = 0; k < CHANNELS / 16; ++k) pack_block(sums + k * 8, own + k * 4);
    store_lines(own, AT(query_gradient) + ((size_t)sample * TIME * HEADS + head) * CHANNELS,
                HEADS * CHANNELS, first, TIME);
    NEXT_TILE(weights_part);
    EACH_BLOCK
    for (int j = 0; j < CHANNELS / 16; ++j) {
      add_scores(&warp, own, weights_part, j * 16, result + j * 8);
    }

    // As columns, which are lines here.
    load_lines(&warp, 2 * TILE_BYTES, warp_line, own);
    float of_mean[2];
    EACH_BLOCK
    for (int r = 0; r < 2; ++r) {
      const int s = first + line() + r * 8;
      of_mean[r] = AT(mean_gradient)[first_row + within(s, TIME)] * share;
    }
#pragma unroll 1
    for (int first_t = 0; first_t < TIME; first_t += SPAN) {
      __local uint* stays = kept + tile % 2 * ITEMS;
      __local float4* rows = others + tile % 2 * SPAN;
      const int t = first_t + item % SPAN;
      stays[item] = read_word(AT(bits), index, first_t, first, TIME);
      // Rows beyond the last repeat it, for nothing: their queries are zero, and none of them stays.
      float4 row_of_item = vload4(first_row + within(t, TIME), AT(statistics));
      row_of_item.z *= gain;
      rows[item % SPAN] = row_of_item;
      NEXT_TILE(part);
#pragma unroll 1
      for (int j = 0; j < SPAN / 16; ++j) {
        WHERE_WARP(first_t + j * 16 < TIME && first + warp_line < TIME) {
          float scores[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
          add_scores(&warp, own, part, j * 16, scores);
          EACH_BLOCK
          for (int i = 0; i < 8; ++i) {
            const int r = j * 16 + column() + COLUMN_OF(i);
            const float4 row = rows[r];
            const uint word = stays[r * 2 + warp_line / 32] >> line() % 32;
            const bool stay = word >> (LINE_OF(i) * 8) & 1;
            const float p = exponential(scores[i], row.x) * row.y;
            scores[i] = p * ((stay ? of_mean[LINE_OF(i)] : 0.0f) - row.z);
          }
          uint gradients[4];
          pack_block(scores, gradients);
          add_lines(&warp, gradients, part, j * 16, result);
        }
      }
    }
  }

  // Not in the loop above, where it would double the registers that the sums take.
#pragma unroll 1
  for (int head = 0; head < HEADS; ++head) {
    const size_t index = (size_t)sample * HEADS + head;
    __global const float* dz = AT(z_gradient) + index * (CHANNELS + 1);
    float means[2];
    EACH_BLOCK
    for (int r = 0; r < 2; ++r) {
      means[r] = AT(mean)[index * TIME + within(first + line() + r * 8, TIME)] * gain;
    }
    EACH_BLOCK
    for (int i = 0; i < SUMS; ++i) {
      result[i] += means[LINE_OF(i)] * dz[i / 4 * 8 + column() + i % 2];
    }
  }

  uint gradient[FRAGMENTS];
  const float loss = 1.0f / gain;
  EACH_BLOCK
  for (int i = 0; i < SUMS; ++i) result[i] *= loss;
  EACH_BLOCK
  for (int k = 0; k < CHANNELS / 16; ++k) pack_block(result + k * 8, gradient + k * 4);
  store_lines(gradient, AT(input_gradient) + (size_t)sample * TIME * CHANNELS, CHANNELS, first,
              TIME);
}
