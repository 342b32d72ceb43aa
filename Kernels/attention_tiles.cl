// Tiles of attention's scores, with what is dropped of them: what the kernels of both passes share.
// Not a file of kernels: attention_short.cl says what is computed.

#include "attention_dropout.cl"
#include "values.cl"

#ifndef TIME
#define TIME time
#endif
#ifndef CHANNELS
#define CHANNELS channels
#endif
#ifndef HEADS
#define HEADS heads
#endif

#define SPAN 32   // steps t and steps s of a tile of scores
#define CHUNK 64  // channels that are in local memory at a time
#define SIDE 8    // a group is SIDE × SIDE items
#define PART (SPAN / SIDE)  // rows and columns of the tile that are an item's

// Rows of local memory are padded by one float4, so that neighbouring ones lie in other banks.
typedef float4 tile_row[CHUNK / 4 + 1];
typedef float4 score_row[SPAN / 4 + 1];

// Tiles of scores lie in registers, which ends where a function is called.
#define INLINE static inline __attribute__((always_inline))

// MARK: Tiles

// Rows of CHUNK channels from `first_channel`, zeros where there are none; `row` elements apart.
INLINE void load_tile(
    __local tile_row* tile, __global const void* values, bool halves, int row, int first, int rows,
    int first_channel, int channels) {
  const int item = get_local_id(1) * SIDE + get_local_id(0);
  __local float* to = (__local float*)tile;
  for (int i = item; i < SPAN * CHUNK; i += SIDE * SIDE) {
    const int r = i / CHUNK, c = i % CHUNK;
    to[r * (CHUNK + 4) + c] = first + r < rows && first_channel + c < channels
                                  ? load_element(values, (first + r) * row + first_channel + c, halves)
                                  : 0.0f;
  }
}

INLINE float add_product(float4 a, float4 b, float sum) {
  return mad(a.w, b.w, mad(a.z, b.z, mad(a.y, b.y, mad(a.x, b.x, sum))));
}

// The scores of steps t = first_t + y + SIDE·i and s = first_s + x + SIDE·j. Afterwards the tiles
// hold the last channels, which are all where there are no more than CHUNK.
INLINE void score_tile(
    float scores[PART][PART], __local tile_row* queries, __local tile_row* keys,
    __global const float* q, __global const stored* x, int first_t, int first_s, int time,
    int channels, int heads) {
  const int column = get_local_id(0), row = get_local_id(1);
#pragma unroll
  for (int i = 0; i < PART; ++i) {
#pragma unroll
    for (int j = 0; j < PART; ++j) scores[i][j] = 0.0f;
  }
  for (int first = 0; first < CHANNELS; first += CHUNK) {
    barrier(CLK_LOCAL_MEM_FENCE);  // what was in the tiles has been used
    load_tile(queries, q, false, HEADS * CHANNELS, first_t, TIME, first, CHANNELS);
    load_tile(keys, x, HALF_STORAGE, CHANNELS, first_s, TIME, first, CHANNELS);
    barrier(CLK_LOCAL_MEM_FENCE);
    const int quads = (min(CHUNK, CHANNELS - first) + 3) / 4;
#pragma unroll 2
    for (int c = 0; c < quads; ++c) {
      float4 b[PART];
#pragma unroll
      for (int j = 0; j < PART; ++j) b[j] = keys[column + SIDE * j][c];
#pragma unroll
      for (int i = 0; i < PART; ++i) {
        const float4 a = queries[row + SIDE * i][c];
#pragma unroll
        for (int j = 0; j < PART; ++j) scores[i][j] = add_product(a, b[j], scores[i][j]);
      }
    }
  }
}

// MARK: Dropout

// Philox blocks that the SPAN elements of a tile's row can touch.
#define BLOCKS (SPAN / 8 + 1)

// The bits of a tile's elements, a byte a Philox block. Element (t, s) of matrix `index` of
// [B·H, T, T] counts.
INLINE void keep_tile(
    __local uchar* kept, const struct dropout* d, uint index, int first_t, int first_s, int time) {
  const int item = get_local_id(1) * SIDE + get_local_id(0);
  if (!d->threshold) return;
  for (int i = item; i < SPAN * BLOCKS; i += SIDE * SIDE) {
    const uint element = (index * TIME + first_t + i / BLOCKS) * TIME + first_s;
    const uint4 words = philox_block(element / 8 + i % BLOCKS, d->stream, d->iteration, d->key);
    uint bits = 0;
    for (int lane = 0; lane < 8; ++lane) {
      bits |= (philox_lane(words, lane) >= d->threshold ? 1u : 0u) << lane;
    }
    kept[i] = bits;
  }
}

INLINE bool keeps(
    __local const uchar* kept, const struct dropout* d, uint index, int first_t, int first_s,
    int r, int c, int time) {
  if (!d->threshold) return true;
  const uint place = (((index * TIME + first_t + r) * TIME + first_s) & 7) + c;
  return (kept[r * BLOCKS + place / 8] >> (place & 7)) & 1;
}

// MARK: Sums over columns

// The sum of a column over the items of the group that have a part of it, in order: item i has that
// of column i, the second half of the items once more.
INLINE float score_column_sum(const float parts[PART], __local float* shared) {
  const int column = get_local_id(0), row = get_local_id(1), item = row * SIDE + column;
  barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
  for (int j = 0; j < PART; ++j) shared[(column + SIDE * j) * SIDE + row] = parts[j];
  barrier(CLK_LOCAL_MEM_FENCE);
  float sum = 0.0f;
  for (int j = 0; j < SIDE; ++j) sum += shared[item % SPAN * SIDE + j];
  return sum;
}
