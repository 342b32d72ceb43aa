// Products of matrices over tiles in local memory: what convolutions, dense layers and projections
// share. Not a file of kernels: the files that include it declare them.
//
// A work-group makes a tile of TILE_ROWS × TILE_COLUMNS of the result, each item ITEM_ROWS rows of
// four neighbouring columns in registers. It goes through the depth in steps of TILE_DEPTH: both
// factors' parts of a step lie in local memory, depth first, so that an item reads its rows of the
// left and its columns of the right tile as float4 (eight floats of local memory for 16 products,
// twelve for 32 with eight rows an item). The parts of the next step are fetched into registers
// while the current ones are multiplied, which hides the latency of global memory.
// Factors that lie depth-last in memory are turned while they are put into local memory; the pitch
// of four floats more than the tile keeps float4 aligned and the turned stores from meeting in one
// bank more than twice.
//
// Global memory is read in quads: four neighbouring elements by one item, 16 bytes at once where
// VECTORS says that every row of every matrix begins at a multiple of four elements and every width
// is one. (Biases lie anywhere.)
// Beyond the edges of the matrices zeros are multiplied: nothing is read there.
//
// The sums are in ascending order of the depth: the same bits each time. They are made by `mad`, here
// and in the other kernels of products: what compiler contracts a multiplication and an addition by
// itself is nobody's promise, and half of a GPU's speed.

#include "common.cl"

#ifndef TILE_ROWS
#define TILE_ROWS 64
#define TILE_COLUMNS 32
#define ITEM_ROWS 4
#endif
#ifndef VECTORS
#define VECTORS 0
#endif
#define TILE_DEPTH 16

// What of a product is stored as halves: the left factor; the right factor of columns_product (that
// of rows_product are weights, in floats); result and addend of rows_product (columns_product makes
// gradients of weights, in floats).
#ifndef LEFT_HALVES
#define LEFT_HALVES HALF_STORAGE
#define RIGHT_HALVES HALF_STORAGE
#define RESULT_HALVES HALF_STORAGE
#endif

// The kernels are declared with ITEMS as their work-group, and with vec_type_hint(float4): they are
// written in vectors already, and the vectorizer of Intel's runtime for CPUs (2026.2), where it is
// left to work on them, makes kernels that compute garbage.
#define ITEMS_ACROSS (TILE_COLUMNS / 4)
#define ITEMS (ITEMS_ACROSS * (TILE_ROWS / ITEM_ROWS))
#define LEFT_PITCH (TILE_ROWS + 4)
#define RIGHT_PITCH (TILE_COLUMNS + 4)
#define LEFT_QUADS (TILE_ROWS * TILE_DEPTH / 4 / ITEMS)
#define RIGHT_QUADS (TILE_COLUMNS * TILE_DEPTH / 4 / ITEMS)

// Local memory holds floats, or, with NATIVE_HALF (for which a device needs cl_khr_fp16), halves where
// all of the product's activations are halves: half the traffic, and weights rounded. Registers hold
// floats, so that sums are in single precision either way.
#ifndef NATIVE_HALF
#define NATIVE_HALF 0
#endif
#if NATIVE_HALF && LEFT_HALVES && RIGHT_HALVES && RESULT_HALVES
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
#define tile_value half
#define tile_quad half4
#define TO_TILE(quad) convert_half4_rte(quad)
#define OF_TILE(quad) convert_float4(quad)
// The left tile is also where columns_product puts float4 sums, one an item.
#define LEFT_TILE \
  (TILE_DEPTH * LEFT_PITCH / 4 > 2 * ITEMS ? TILE_DEPTH * LEFT_PITCH / 4 : 2 * ITEMS)
#else
#define tile_value float
#define tile_quad float4
#define TO_TILE(quad) (quad)
#define OF_TILE(quad) (quad)
#define LEFT_TILE (TILE_DEPTH * LEFT_PITCH / 4)
#endif

// Declared in the kernel, where OpenCL C wants local memory to be.
#define TILES                                                       \
  __local tile_quad left_tile[LEFT_TILE] __attribute__((aligned(16))); \
  __local tile_quad right_tile[TILE_DEPTH * RIGHT_PITCH / 4]

// A time that no shift brings into a sequence.
#define NO_TIME (-(1 << 30))

// Four elements from p, wherever it is; those from `count` on are zero.
static inline float4 loose_quad(__global const void* p, int count, bool halves) {
  float4 v = 0.0f;
  if (count > 0) v.x = load_element(p, 0, halves);
  if (count > 1) v.y = load_element(p, 1, halves);
  if (count > 2) v.z = load_element(p, 2, halves);
  if (count > 3) v.w = load_element(p, 3, halves);
  return v;
}

static inline void store_loose_quad(__global void* p, float4 v, int count, bool halves) {
  if (count > 0) store_element(p, 0, v.x, halves);
  if (count > 1) store_element(p, 1, v.y, halves);
  if (count > 2) store_element(p, 2, v.z, halves);
  if (count > 3) store_element(p, 3, v.w, halves);
}

// The same of a matrix, whose quads are whole where VECTORS says so: then they lie at multiples of
// their size.
static inline float4 quad(__global const void* p, int count, bool halves) {
#if VECTORS
  float4 v = 0.0f;
  if (count > 0) {
    v = halves ? vloada_half4(0, (__global const half*)p) : *(__global const float4*)p;
  }
  return v;
#else
  return loose_quad(p, count, halves);
#endif
}

static inline void store_quad(__global void* p, float4 v, int count, bool halves) {
#if VECTORS
  if (count > 0) {
    if (halves) {
      vstorea_half4_rte(v, 0, (__global half*)p);
    } else {
      *(__global float4*)p = v;
    }
  }
#else
  store_loose_quad(p, v, count, halves);
#endif
}

// One element of a sequence `[T, depth]` seen through taps: that of tap k / depth, channel
// k % depth, where `row` is the address of time t.
static inline float seen(__global const void* row, bool halves, int stride, int t, int k, int time,
                         int taps, int depth, int step, int origin) {
  const int tap = taps == 1 ? 0 : k / depth;
  const int shift = tap * step + origin;
  const bool inside = k < taps * depth && (uint)(t + shift) < (uint)time;
  return inside ? load_element(row, shift * stride + k - tap * depth, halves) : 0.0f;
}

// Elements k … k + 3.
static inline float4 seen_quad(__global const void* row, bool halves, int stride, int t, int k,
                               int time, int taps, int depth, int step, int origin) {
#if VECTORS
  const int tap = taps == 1 ? 0 : k / depth;
  const int shift = tap * step + origin;
  const bool inside = k < taps * depth && (uint)(t + shift) < (uint)time;
  // As wide as an address, and signed: taps before the row's own time are behind it.
  const long place = shift * stride + k - tap * depth;
  return quad(element(row, place, halves), inside ? 4 : 0, halves);
#else
  return (float4)(seen(row, halves, stride, t, k, time, taps, depth, step, origin),
                  seen(row, halves, stride, t, k + 1, time, taps, depth, step, origin),
                  seen(row, halves, stride, t, k + 2, time, taps, depth, step, origin),
                  seen(row, halves, stride, t, k + 3, time, taps, depth, step, origin));
#endif
}

// Four elements of neighbouring depths k … k + 3 into a tile that is depth first.
static inline void put_turned(__local tile_quad* tile, int pitch, int k, int place, float4 quad) {
  __local tile_value* p = (__local tile_value*)tile + k * pitch + place;
  const tile_quad v = TO_TILE(quad);
  p[0] = v.x;
  p[pitch] = v.y;
  p[2 * pitch] = v.z;
  p[3 * pitch] = v.w;
}

static inline void multiply_tiles(__local const tile_quad* left_tile,
                                  __local const tile_quad* right_tile, float4* sums) {
  const int down = get_local_id(0) / ITEMS_ACROSS;
  const int across = get_local_id(0) % ITEMS_ACROSS;
#pragma unroll 8
  for (int k = 0; k < TILE_DEPTH; ++k) {
    const float4 b = OF_TILE(right_tile[k * (RIGHT_PITCH / 4) + across]);
#pragma unroll
    for (int i = 0; i < ITEM_ROWS / 4; ++i) {
      const float4 a = OF_TILE(left_tile[k * (LEFT_PITCH / 4) + down * (ITEM_ROWS / 4) + i]);
      sums[4 * i] = mad((float4)(a.x), b, sums[4 * i]);
      sums[4 * i + 1] = mad((float4)(a.y), b, sums[4 * i + 1]);
      sums[4 * i + 2] = mad((float4)(a.z), b, sums[4 * i + 2]);
      sums[4 * i + 3] = mad((float4)(a.w), b, sums[4 * i + 3]);
    }
  }
}

// A factor whose rows lie depth-last: each item fetches quads of depths of rows `place` of the
// tile. Row r of tap j is r + j·step + origin, see `seen`.
static inline void fetch_turned(float4* quads, const int count, __global const void* const* rows,
                                const bool halves, const int* times, int at, int stride, int time,
                                int taps, int depth, int step, int origin) {
#pragma unroll
  for (int i = 0; i < count; ++i) {
    const int k = at + (get_local_id(0) + i * ITEMS) % (TILE_DEPTH / 4) * 4;
    quads[i] = seen_quad(rows[i], halves, stride, times[i], k, time, taps, depth, step, origin);
  }
}

static inline void put_all_turned(__local tile_quad* tile, const int pitch, const float4* quads,
                                  const int count) {
#pragma unroll
  for (int i = 0; i < count; ++i) {
    const int place = get_local_id(0) + i * ITEMS;
    put_turned(tile, pitch, place % (TILE_DEPTH / 4) * 4, place / (TILE_DEPTH / 4), quads[i]);
  }
}

// The right factor where it lies columns-last: rows `at` … of those below `end`.
static inline void fetch_right(float4* quads, __global const void* b, const bool halves, int at,
                               int end, int stride, int first_column, int columns) {
#pragma unroll
  for (int i = 0; i < RIGHT_QUADS; ++i) {
    const int place = get_local_id(0) + i * ITEMS;
    const int k = at + place / ITEMS_ACROSS;
    const int column = first_column + place % ITEMS_ACROSS * 4;
    quads[i] = quad(element(b, (size_t)k * stride + column, halves), k < end ? columns - column : 0,
                    halves);
  }
}

static inline void put_right(__local tile_quad* tile, const float4* quads) {
#pragma unroll
  for (int i = 0; i < RIGHT_QUADS; ++i) {
    const int place = get_local_id(0) + i * ITEMS;
    tile[place / ITEMS_ACROSS * (RIGHT_PITCH / 4) + place % ITEMS_ACROSS] = TO_TILE(quads[i]);
  }
}

// c[r, n] = bias[n] + addend[r, n] + scale · Σ_{tap, d} a[r + tap·step + origin, d] · b(tap, d, n)
// for r < rows, n < columns. The rows of a are sequences of `time` rows each: those outside of r's
// own sequence count as zeros. b(tap, d, n) = b[tap·depth + d, n], or, turned, b[tap·columns + n, d]. A plain
// product has one tap, step and origin 0. All matrices are row-major with a stride a row.
// Work-group (x, y) makes tile row x and tile column y; bias and addend
// may be 0, and addend may be c.
static inline void rows_product(
    __global const void* a, const int a_stride, __global const float* b, const int b_stride,
    const bool turned, __global const float* bias, __global const void* addend,
    const float scale, __global void* c, const int c_stride, const int rows, const int columns,
    const int time, const int taps, const int depth, const int step, const int origin,
    __local tile_quad* left_tile, __local tile_quad* right_tile) {
  const int item = get_local_id(0);
  const int first_row = get_group_id(0) * TILE_ROWS;
  const int first_column = get_group_id(1) * TILE_COLUMNS;
  // Without rows, as where a kernel is only being compiled, nobody may have written the matrices.
  const int total = rows > 0 ? taps * depth : 0;

  __global const void* left_rows[LEFT_QUADS];
  int left_times[LEFT_QUADS];
#pragma unroll
  for (int i = 0; i < LEFT_QUADS; ++i) {
    const int row = first_row + (item + i * ITEMS) / (TILE_DEPTH / 4);
    left_rows[i] = element(a, (size_t)row * a_stride, LEFT_HALVES);
    left_times[i] = row < rows ? (int)((uint)row % (uint)time) : NO_TIME;
  }
  __global const void* right_rows[RIGHT_QUADS];
  int right_times[RIGHT_QUADS];
#pragma unroll
  for (int i = 0; i < RIGHT_QUADS; ++i) {
    const int column = first_column + (item + i * ITEMS) / (TILE_DEPTH / 4);
    right_rows[i] = b + (size_t)column * b_stride;
    right_times[i] = rows > 0 && column < columns ? 0 : NO_TIME;
  }

  float4 sums[ITEM_ROWS];
#pragma unroll
  for (int i = 0; i < ITEM_ROWS; ++i) sums[i] = 0.0f;
  float4 left[LEFT_QUADS];
  float4 right[RIGHT_QUADS];
  for (int at = -TILE_DEPTH; at < total; at += TILE_DEPTH) {
    const int next = at + TILE_DEPTH;
    fetch_turned(left, LEFT_QUADS, left_rows, LEFT_HALVES, left_times, next, a_stride, time, taps,
                 depth, step, origin);
    if (turned) {
      fetch_turned(right, RIGHT_QUADS, right_rows, false, right_times, next, b_stride,
                   taps * columns, taps, depth, columns, 0);
    } else {
      fetch_right(right, b, false, next, total, b_stride, first_column, columns);
    }
    if (at >= 0) multiply_tiles(left_tile, right_tile, sums);
    barrier(CLK_LOCAL_MEM_FENCE);
    put_all_turned(left_tile, LEFT_PITCH, left, LEFT_QUADS);
    if (turned) {
      put_all_turned(right_tile, RIGHT_PITCH, right, RIGHT_QUADS);
    } else {
      put_right(right_tile, right);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }

  const int column = first_column + item % ITEMS_ACROSS * 4;
  const float4 added = bias ? loose_quad(bias + column, columns - column, false) : (float4)(0.0f);
#pragma unroll
  for (int i = 0; i < ITEM_ROWS; ++i) {
    const int row = first_row + item / ITEMS_ACROSS * ITEM_ROWS + i;
    if (row < rows) {
      const size_t place = (size_t)row * c_stride + column;
      float4 result = added + scale * sums[i];
      if (addend) {
        result += quad(element(addend, place, RESULT_HALVES), columns - column, RESULT_HALVES);
      }
      store_quad((__global char*)c + place * (RESULT_HALVES ? 2 : 4), result, columns - column,
                 RESULT_HALVES);
    }
  }
}

// c[m, n] = scale · Σ_r a[r + tap·step + origin, d] · b[r, n] for m = tap·depth + d < taps·depth,
// n < columns, over the rows first … end - 1; a's rows are sequences of `time` as in rows_product.
// Work-group (x, y) makes tile row x and tile column y. Those of tile row 0 also leave
// column_sums[n] = Σ_r b[r, n], unless it is 0: each tile row of b that is in local memory is added
// by one row of items, and their sums are added in order at the end. Where `sums_vanish`, zeros are
// left instead.
static inline void columns_product(
    __global const void* a, const int a_stride, __global const void* b, const int b_stride,
    const float scale, __global float* c, const int c_stride, __global float* column_sums,
    const bool sums_vanish, const int first, const int end, const int columns, const int time,
    const int taps, const int depth, const int step, const int origin, __local tile_quad* left_tile,
    __local tile_quad* right_tile) {
  const int item = get_local_id(0);
  const int down = item / ITEMS_ACROSS;
  const int across = item % ITEMS_ACROSS;
  const int first_row = get_group_id(0) * TILE_ROWS;
  const int first_column = get_group_id(1) * TILE_COLUMNS;

  // The quad of rows of c, which are channels of a seen through taps, that this item fetches.
  const int place = first_row + item % (TILE_ROWS / 4) * 4;

  float4 sums[ITEM_ROWS];
#pragma unroll
  for (int i = 0; i < ITEM_ROWS; ++i) sums[i] = 0.0f;
  float4 added = 0.0f;
  float4 left[LEFT_QUADS];
  float4 right[RIGHT_QUADS];
  for (int at = first - TILE_DEPTH; at < end; at += TILE_DEPTH) {
    const int next = at + TILE_DEPTH;
#pragma unroll
    for (int i = 0; i < LEFT_QUADS; ++i) {
      const int row = next + (item + i * ITEMS) / (TILE_ROWS / 4);
      left[i] = seen_quad(element(a, (size_t)row * a_stride, LEFT_HALVES), LEFT_HALVES, a_stride,
                          row < end ? (int)((uint)row % (uint)time) : NO_TIME, place, time, taps,
                          depth, step, origin);
    }
    fetch_right(right, b, RIGHT_HALVES, next, end, b_stride, first_column, columns);
    if (at >= first) {
      multiply_tiles(left_tile, right_tile, sums);
      for (int k = down; k < TILE_DEPTH; k += ITEMS / ITEMS_ACROSS) {
        added += OF_TILE(right_tile[k * (RIGHT_PITCH / 4) + across]);
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
    for (int i = 0; i < LEFT_QUADS; ++i) {
      const int k = (item + i * ITEMS) / (TILE_ROWS / 4);
      left_tile[k * (LEFT_PITCH / 4) + item % (TILE_ROWS / 4)] = TO_TILE(left[i]);
    }
    put_right(right_tile, right);
    barrier(CLK_LOCAL_MEM_FENCE);
  }

  const int column = first_column + across * 4;
#pragma unroll
  for (int i = 0; i < ITEM_ROWS; ++i) {
    const int row = first_row + down * ITEM_ROWS + i;
    if (first < end && row < taps * depth) {
      store_quad(c + (size_t)row * c_stride + column, scale * sums[i], columns - column, false);
    }
  }

  __local float4* added_tile = (__local float4*)left_tile;
  added_tile[item] = added;
  barrier(CLK_LOCAL_MEM_FENCE);
  if (down == 0 && first_row == 0 && first < end && column_sums) {
    for (int i = 1; i < ITEMS / ITEMS_ACROSS; ++i) added += added_tile[i * ITEMS_ACROSS + across];
    store_loose_quad(column_sums + column, sums_vanish ? (float4)(0.0f) : added, columns - column,
                     false);
  }
}
