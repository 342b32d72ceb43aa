// Products of matrices of halves on tensor cores, with sums in single precision: product.cl's, for
// the devices that have them. Not a file of kernels: the files that include it declare them.
//
// A work-group makes a tile of TILE_ROWS × TILE_COLUMNS of the result, WARPS_DOWN × WARPS_ACROSS
// warps a part of it each, in blocks of 16×8. It goes through the depth in steps of TILE_DEPTH:
// both factors' parts of a step lie in local memory as they do in global memory, lines of 16-byte
// chunks; a factor that lies the wrong way for the tensor cores is turned on its way into the
// registers. The parts of the next STAGES - 1 steps are under way while one is multiplied.
//
// The chunks of a line are permuted so that eight lines' chunks of one place, or one line's
// neighbouring ones, are in different memory banks: `chunk_place`.
//
// Global memory is read in chunks of eight halves. Every row of every matrix of halves must begin
// at a multiple of eight elements, and the width along which a factor is read must be one; so are
// all columns of a result where RESULT_CHUNKS says it. Beyond the edges of the matrices zeros are
// multiplied: nothing is read there.
//
// The kernels are declared with vec_type_hint(float4) for the emulation's sake, as those of product.cl
// are: it keeps the vectorizer of Intel's runtime for CPUs off `lane / n * m`, which it gets wrong.
//
// The sums are added in ascending order of the depth, sixteen at a time: the same bits each time on
// the same device.
//
// The tiles of TensorCoreTile.candidates:
//
// tile: -DTILE_ROWS=128 -DTILE_COLUMNS=64 -DWARPS_DOWN=2 -DWARPS_ACROSS=2
// tile: -DTILE_ROWS=128 -DTILE_COLUMNS=32 -DWARPS_DOWN=4 -DWARPS_ACROSS=1
// tile: -DTILE_ROWS=64 -DTILE_COLUMNS=64 -DWARPS_DOWN=2 -DWARPS_ACROSS=2
// tile: -DTILE_ROWS=64 -DTILE_COLUMNS=32 -DWARPS_DOWN=2 -DWARPS_ACROSS=2
// tile: -DTILE_ROWS=128 -DTILE_COLUMNS=128 -DWARPS_DOWN=2 -DWARPS_ACROSS=4
// tile: -DTILE_ROWS=128 -DTILE_COLUMNS=128 -DWARPS_DOWN=4 -DWARPS_ACROSS=2
// tile: -DTILE_ROWS=128 -DTILE_COLUMNS=64 -DWARPS_DOWN=4 -DWARPS_ACROSS=2
// tile: -DTILE_ROWS=64 -DTILE_COLUMNS=128 -DWARPS_DOWN=2 -DWARPS_ACROSS=4
// tile: -DTILE_ROWS=64 -DTILE_COLUMNS=64 -DWARPS_DOWN=4 -DWARPS_ACROSS=1
// tile: -DTILE_ROWS=64 -DTILE_COLUMNS=32 -DWARPS_DOWN=4 -DWARPS_ACROSS=1
// tile: -DTILE_ROWS=32 -DTILE_COLUMNS=64 -DWARPS_DOWN=1 -DWARPS_ACROSS=2
//
// instructions: HMMA LDSM LDGSTS

// A program holds kernels of one kind (PART), since they differ in how the factors lie: 1 a·b,
// 2 a·bᵀ, 3 aᵀ·b.
#ifndef PART
#define PART 1
#endif
#ifndef TILE_ROWS
#define TILE_ROWS 128
#define TILE_COLUMNS 64
#define WARPS_DOWN 2
#define WARPS_ACROSS 2
#endif
#ifndef STAGES
#define STAGES 3
#endif
#ifndef TILE_DEPTH
#define TILE_DEPTH 32
#endif
// The result: halves, or floats as the sums over the depth's spans always are.
#ifndef HALF_RESULT
#define HALF_RESULT 1
#endif
#if PART == 3
#undef HALF_RESULT
#define HALF_RESULT 0
#endif
#ifndef RESULT_CHUNKS
#define RESULT_CHUNKS 0
#endif

// Whether every tile row also leaves the statistics of its columns, for a batch normalization: of
// halves that are products with a bias.
#ifndef STATISTICS
#define STATISTICS 0
#endif

#define ITEMS (32 * WARPS_DOWN * WARPS_ACROSS)
#define WARP_ROWS (TILE_ROWS / WARPS_DOWN)
#define WARP_COLUMNS (TILE_COLUMNS / WARPS_ACROSS)
#define BLOCKS_DOWN (WARP_ROWS / 16)
#define BLOCKS_ACROSS (WARP_COLUMNS / 8)
#define DEPTH_CHUNKS (TILE_DEPTH / 8)
#define ROW_CHUNKS (TILE_ROWS / 8)
#define COLUMN_CHUNKS (TILE_COLUMNS / 8)
#define LEFT_COPIES (TILE_ROWS * DEPTH_CHUNKS / ITEMS)
#define RIGHT_COPIES (TILE_COLUMNS * DEPTH_CHUNKS / ITEMS)
#define BATCH_COPIES (LEFT_COPIES + RIGHT_COPIES)
// Bytes of a step's parts: the left, and both.
#define LEFT_BYTES (TILE_ROWS * TILE_DEPTH * 2)
#define STAGE_BYTES (LEFT_BYTES + TILE_COLUMNS * TILE_DEPTH * 2)
// Rows of partial sums of the statistics: eight of items a warp, of all warps below each other.
#define SUM_ROWS (WARPS_DOWN * 8)

// Bytes of local memory of a group, one thing after the other in the same place: the parts of the
// steps under way, the result's halves, the sums that the statistics are made of. What a tile
// needs TensorCoreTile.localBytes says, too.
#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#define RESULT_BYTES (HALF_RESULT * TILE_ROWS * TILE_COLUMNS * 2)
#define SUM_BYTES (STATISTICS * SUM_ROWS * TILE_COLUMNS * 8)
#define TILES_BYTES LARGER(STAGES * STAGE_BYTES, LARGER(RESULT_BYTES, SUM_BYTES))

#if TILES_BYTES > 49152
#error "the tile takes more than the 48 KiB of local memory that a group has on NVIDIA's GPUs"
#endif
#if WARP_ROWS % 16 || WARP_COLUMNS % 16 || WARP_ROWS * WARPS_DOWN != TILE_ROWS || \
    WARP_COLUMNS * WARPS_ACROSS != TILE_COLUMNS
#error "the warps' parts of the tile are not whole blocks of 16 rows and columns"
#endif
#if TILE_ROWS * DEPTH_CHUNKS % ITEMS || TILE_COLUMNS * DEPTH_CHUNKS % ITEMS
#error "the items cannot share the copies of a step evenly"
#endif

#include "tensor_core.cl"

#define TILES TILE_MEMORY(TILES_BYTES, ITEMS)

// A time that no shift brings into a sequence.
#define NO_TIME (-(1 << 30))

// Loops over registers, which exist where the loops are unrolled alone. The emulation has barriers
// in them, and memory for registers.
#ifdef EMULATED
#define EACH_BLOCK
#else
#define EACH_BLOCK _Pragma("unroll")
#endif

#if HALF_RESULT
#define RESULT ushort
#define NO_RESULT 0x7e00
#else
#define RESULT float
#define NO_RESULT NAN
#endif

// Makes an element of a group's result no number where the group wrote behind its local memory.
#define SPOIL_IF_OVERRUN(warp, place) \
  if (IS_OVERRUN(warp) && get_local_id(0) == 0) *(place) = NO_RESULT

// Rows of a matrix, sequences of `time` rows each, seen through taps: element (tap, d) of row r is
// that of channel d < depth in row r + tap·step + origin, or zero where that row is in another
// sequence. A plain matrix has one tap, step and origin 0.
typedef struct {
  __global const ushort* first;
  int stride;
  int time;
  int taps;
  int depth;
  int step;
  int origin;
} Sequences;

// What a right factor is: (tap, d) of column n is b[tap·depth + d, n], or, turned,
// b[tap·columns + n, d].
typedef struct {
  __global const ushort* first;
  int stride;
  int columns;
} Factor;

// Byte at which a chunk begins, in a part with `width` chunks a line, four or a multiple of eight.
static inline uint chunk_place(const uint line, const uint chunk, const uint width) {
  return (line * width + (chunk ^ (width == 4 ? line / 2 % 4 : line % 8))) * 16;
}

#if PART != 3
// Depths at … of the rows that a group makes: lines of the left part are rows, `times` those of
// the lines that an item fetches.
static inline void fetch_rows(Warp* warp, const uint part, const Sequences a, const int first_row,
                              const int* times, const int at) {
  const int k = at + get_local_id(0) % DEPTH_CHUNKS * 8;
  const int tap = k / a.depth;
  const int shift = tap * a.step + a.origin;
  const int line = get_local_id(0) / DEPTH_CHUNKS;
  __global const ushort* row =
      a.first + (size_t)first_row * a.stride + (line + shift) * a.stride + k - tap * a.depth;
  EACH_BLOCK
  for (int i = 0; i < LEFT_COPIES; ++i) {
    const int lines = i * (ITEMS / DEPTH_CHUNKS);
    const bool inside = tap < a.taps && (uint)(times[i] + shift) < (uint)a.time;
    copy_later(warp,
               part + chunk_place(line + lines, get_local_id(0) % DEPTH_CHUNKS, DEPTH_CHUNKS),
               inside ? row + lines * a.stride : a.first, inside);
  }
}
#endif

#if PART == 2
// Depths at … of a right factor that is turned: lines are columns of the result.
static inline void fetch_right(Warp* warp, const uint part, const Factor b, const int first_column,
                               const int at, const int end, const int depth) {
  const int k = at + get_local_id(0) % DEPTH_CHUNKS * 8;
  const int tap = k / depth;
  EACH_BLOCK
  for (int i = 0; i < RIGHT_COPIES; ++i) {
    const int line = get_local_id(0) / DEPTH_CHUNKS + i * (ITEMS / DEPTH_CHUNKS);
    const int column = first_column + line;
    const bool inside = k < end && column < b.columns;
    copy_later(warp, part + chunk_place(line, get_local_id(0) % DEPTH_CHUNKS, DEPTH_CHUNKS),
               inside ? b.first + (size_t)(tap * b.columns + column) * b.stride + k - tap * depth
                      : b.first,
               inside);
  }
}
#else
// Depths at … of those below `end`, of a right factor that is not turned: lines are depths.
static inline void fetch_right(Warp* warp, const uint part, const Factor b, const int first_column,
                               const int at, const int end, const int depth) {
  (void)depth;
  const int chunk = get_local_id(0) % COLUMN_CHUNKS;
  const int column = first_column + chunk * 8;
  EACH_BLOCK
  for (int i = 0; i < RIGHT_COPIES; ++i) {
    const int line = get_local_id(0) / COLUMN_CHUNKS + i * (ITEMS / COLUMN_CHUNKS);
    const bool inside = at + line < end && column < b.columns;
    copy_later(warp, part + chunk_place(line, chunk, COLUMN_CHUNKS),
               inside ? b.first + (size_t)(at + line) * b.stride + column : b.first, inside);
  }
}
#endif

#if PART == 3
// Rows at … of those below `end`, of a left factor whose rows are the depth: lines are rows of the
// sequences, and the result's rows (tap, d) from first_row on lie along them. `times` are those of
// the rows that an item fetches, and are left for the next TILE_DEPTH rows: `ahead` is how much later
// those are, if they are not in a later sequence.
static inline void fetch_steps(Warp* warp, const uint part, const Sequences a, const int first_row,
                               int* times, const int ahead, const int at, const int end) {
  const int chunk = get_local_id(0) % ROW_CHUNKS;
  const int k = first_row + chunk * 8;
  const int tap = k / a.depth;
  const int shift = tap * a.step + a.origin;
  EACH_BLOCK
  for (int i = 0; i < LEFT_COPIES; ++i) {
    const int line = get_local_id(0) / ROW_CHUNKS + i * (ITEMS / ROW_CHUNKS);
    const int row = at + line;
    const bool inside = row < end && tap < a.taps && (uint)(times[i] + shift) < (uint)a.time;
    copy_later(warp, part + chunk_place(line, chunk, ROW_CHUNKS),
               inside ? a.first + (size_t)row * a.stride + shift * a.stride + k - tap * a.depth
                      : a.first,
               inside);
    const uint later = (uint)times[i] + ahead;
    times[i] = later < (uint)a.time ? later : later - a.time;
  }
}
#endif

// Adds one step's products to an item's sums, four a block; in a product of rows' sums those of
// the right part's columns to `column_sums`, too, where the warp is to make them: they are each row
// of a product with ones.
static inline void multiply_parts(Warp* warp, const uint stage, float* sums, float* column_sums,
                                  const bool adds_columns) {
  const int lane = get_local_id(0) % WARP;
  const int first_row = get_local_id(0) / WARP / WARPS_ACROSS * WARP_ROWS;
  const int first_column = get_local_id(0) / WARP % WARPS_ACROSS * WARP_COLUMNS;
  const uint left_part = stage * STAGE_BYTES;
  const uint right_part = left_part + LEFT_BYTES;
  converge();
  EACH_BLOCK
  for (int k = 0; k < TILE_DEPTH / 16; ++k) {
    uint left[BLOCKS_DOWN * 4];
    uint right[BLOCKS_ACROSS * 2];
    EACH_BLOCK
    for (int i = 0; i < BLOCKS_DOWN; ++i) {
      const int row = first_row + i * 16;
#if PART == 3
      load_matrices_turned(warp, left_part + chunk_place(k * 16 + lane / 16 * 8 + lane % 8,
                                                         row / 8 + lane / 8 % 2, ROW_CHUNKS),
                           left + i * 4);
#else
      load_matrices(warp,
                    left_part + chunk_place(row + lane % 16, k * 2 + lane / 16, DEPTH_CHUNKS),
                    left + i * 4);
#endif
    }
    EACH_BLOCK
    for (int j = 0; j < BLOCKS_ACROSS / 2; ++j) {
      const int column = first_column + j * 16;
#if PART == 2
      load_matrices(warp, right_part + chunk_place(column + lane / 16 * 8 + lane % 8,
                                                   k * 2 + lane / 8 % 2, DEPTH_CHUNKS),
                    right + j * 4);
#else
      load_matrices_turned(warp, right_part + chunk_place(k * 16 + lane % 16,
                                                          column / 8 + lane / 16, COLUMN_CHUNKS),
                           right + j * 4);
#endif
    }
    EACH_BLOCK
    for (int i = 0; i < BLOCKS_DOWN; ++i) {
      EACH_BLOCK
      for (int j = 0; j < BLOCKS_ACROSS; ++j) {
        multiply_add(warp, sums + (i * BLOCKS_ACROSS + j) * 4, left + i * 4, right + j * 2);
      }
    }
#if PART != 3
    (void)column_sums;
    (void)adds_columns;
#else
    const uint ones[4] = {0x3c003c00, 0x3c003c00, 0x3c003c00, 0x3c003c00};
    WHERE_WARP(adds_columns) {
      EACH_BLOCK
      for (int j = 0; j < BLOCKS_ACROSS; ++j) {
        multiply_add(warp, column_sums + j * 4, ones, right + j * 2);
      }
    }
#endif
  }
}

#if STATISTICS
// partial[tile row] = (mean [columns], squares about it [columns]) over the tile's rows, as chunks.cl
// has them: of the values before they are rounded, less the bias, so that the sums below are of
// deviations. What lies beyond the last row is zero. `held` is local memory for SUM_ROWS ×
// TILE_COLUMNS pairs, which others may still be reading for something else.
static inline void store_statistics(__local float2* held, const float* sums, const float scale,
                                    __global float* partial, const int first_row, const int rows,
                                    const int first_column, const int columns) {
  const int lane = get_local_id(0) % WARP;
  const int sum_row = get_local_id(0) / WARP / WARPS_ACROSS * 8 + lane / 4;
  const int warp_column = get_local_id(0) / WARP % WARPS_ACROSS * WARP_COLUMNS + lane % 4 * 2;
  barrier(CLK_LOCAL_MEM_FENCE);
  EACH_BLOCK
  for (int j = 0; j < BLOCKS_ACROSS * 2; ++j) {
    float sum = 0.0f;
    float squares = 0.0f;
    EACH_BLOCK
    for (int i = 0; i < BLOCKS_DOWN * 2; ++i) {
      const float value = scale * sums[(i / 2 * BLOCKS_ACROSS + j / 2) * 4 + i % 2 * 2 + j % 2];
      sum += value;
      squares += value * value;
    }
    held[sum_row * TILE_COLUMNS + warp_column + j / 2 * 8 + j % 2] = (float2)(sum, squares);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int i = get_local_id(0); i < TILE_COLUMNS; i += ITEMS) {
    float2 total = 0.0f;
    for (int k = 0; k < SUM_ROWS; ++k) total += held[k * TILE_COLUMNS + i];
    const int count = min(TILE_ROWS, rows - first_row);
    const float mean = total.x / count;
    __global float* to =
        partial + 2 * (size_t)columns * (first_row / TILE_ROWS) + first_column + i;
    const bool inside = first_row < rows && first_column + i < columns;
    if (inside) to[0] = mean;
    if (inside) to[columns] = fmax(total.y - total.x * mean, 0.0f);
  }
}
#endif

#if HALF_RESULT
// Halves go through local memory, so that whole chunks are written.
static inline void store_tile(__local uint4* tiles, const float* sums, __global const float* bias,
                              __global const ushort* addend, const float scale,
                              __global ushort* c, const int c_stride, const int first_row,
                              const int rows, const int first_column, const int columns) {
  const int lane = get_local_id(0) % WARP;
  const int warp_row = get_local_id(0) / WARP / WARPS_ACROSS * WARP_ROWS + lane / 4;
  const int warp_column = get_local_id(0) / WARP % WARPS_ACROSS * WARP_COLUMNS + lane % 4 * 2;
  barrier(CLK_LOCAL_MEM_FENCE);
  EACH_BLOCK
  for (int j = 0; j < BLOCKS_ACROSS; ++j) {
    const int column = first_column + warp_column + j * 8;
    const float first_bias = bias && column < columns ? bias[column] : 0.0f;
    const float second_bias = bias && column + 1 < columns ? bias[column + 1] : 0.0f;
  EACH_BLOCK
    for (int i = 0; i < BLOCKS_DOWN * 2; ++i) {
      const int line = warp_row + i * 8;
      const float* pair = sums + (i / 2 * BLOCKS_ACROSS + j) * 4 + i % 2 * 2;
      float2 added = (float2)(first_bias, second_bias);
      if (addend && first_row + line < rows && column < columns) {
        added += two_halves(*(__global const uint*)(
            addend + (size_t)(first_row + line) * c_stride + column));
      }
      const uint place = chunk_place(line, (warp_column + j * 8) / 8, COLUMN_CHUNKS) / 4;
      ((__local uint*)tiles)[place + lane % 4] =
          packed_halves(added.x + scale * pair[0], added.y + scale * pair[1]);
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  const int chunk = get_local_id(0) % COLUMN_CHUNKS;
  const int column = first_column + chunk * 8;
  EACH_BLOCK
  for (int i = 0; i < TILE_ROWS * COLUMN_CHUNKS / ITEMS; ++i) {
    const int line = get_local_id(0) / COLUMN_CHUNKS + i * (ITEMS / COLUMN_CHUNKS);
    const uint place = chunk_place(line, chunk, COLUMN_CHUNKS);
    if (first_row + line < rows && column < columns) {
      __global ushort* row = c + (size_t)(first_row + line) * c_stride + column;
#if RESULT_CHUNKS
      *(__global uint4*)row = tiles[place / 16];
#else
      for (int k = 0; k < min(8, columns - column); ++k) {
        row[k] = ((__local const ushort*)tiles)[place / 2 + k];
      }
#endif
    }
  }
}
#else
static inline void store_tile(__local uint4* tiles, const float* sums, __global const float* bias,
                              __global const ushort* addend, const float scale, __global float* c,
                              const int c_stride, const int first_row, const int rows,
                              const int first_column, const int columns) {
  (void)tiles;
  (void)addend;
  const int lane = get_local_id(0) % WARP;
  const int warp_row = get_local_id(0) / WARP / WARPS_ACROSS * WARP_ROWS + lane / 4;
  const int warp_column = get_local_id(0) / WARP % WARPS_ACROSS * WARP_COLUMNS + lane % 4 * 2;
  EACH_BLOCK
  for (int j = 0; j < BLOCKS_ACROSS; ++j) {
    const int column = first_column + warp_column + j * 8;
    const float first_bias = bias && column < columns ? bias[column] : 0.0f;
    const float second_bias = bias && column + 1 < columns ? bias[column + 1] : 0.0f;
  EACH_BLOCK
    for (int i = 0; i < BLOCKS_DOWN * 2; ++i) {
      const int row = first_row + warp_row + i * 8;
      const float* pair = sums + (i / 2 * BLOCKS_ACROSS + j) * 4 + i % 2 * 2;
      const float2 result =
          (float2)(first_bias + scale * pair[0], second_bias + scale * pair[1]);
      __global float* place = c + (size_t)row * c_stride + column;
#if RESULT_CHUNKS
      if (row < rows && column < columns) *(__global float2*)place = result;
#else
      if (row < rows && column < columns) place[0] = result.x;
      if (row < rows && column + 1 < columns) place[1] = result.y;
#endif
    }
  }
}
#endif

#if PART != 3
// c[r, n] = bias[n] + addend[r, n] + scale · Σ_{tap, d} a(r, tap, d) · b(tap, d, n) for r < rows,
// n < b.columns. Work-group (x, y) makes tile row x and tile column y. Bias and addend may be 0;
// the addend may be c, of which it has the type, halves, and the strides. Where there are STATISTICS,
// they go to where that says, those of tile row x at 2 · x · b.columns.
static inline void rows_product(Warp* warp, __local uint4* tiles, const Sequences a, const Factor b,
                                __global const float* bias, __global const ushort* addend,
                                const float scale, __global RESULT* c, const int c_stride,
                                const int rows, __global float* statistics) {
  const int first_row = get_group_id(0) * TILE_ROWS;
  const int first_column = get_group_id(1) * TILE_COLUMNS;
  const int total = a.taps * a.depth;
  const int steps = (total + TILE_DEPTH - 1) / TILE_DEPTH;

  int times[LEFT_COPIES];
  EACH_BLOCK
  for (int i = 0; i < LEFT_COPIES; ++i) {
    const int row = first_row + get_local_id(0) / DEPTH_CHUNKS + i * (ITEMS / DEPTH_CHUNKS);
    times[i] = row < rows ? (int)((uint)row % (uint)a.time) : NO_TIME;
  }
  float sums[BLOCKS_DOWN * BLOCKS_ACROSS * 4];
  EACH_BLOCK
  for (int i = 0; i < BLOCKS_DOWN * BLOCKS_ACROSS * 4; ++i) sums[i] = 0.0f;

  for (int next = 0; next < STAGES - 1; ++next) {
    if (next < steps) {
      fetch_rows(warp, next * STAGE_BYTES, a, first_row, times, next * TILE_DEPTH);
      fetch_right(warp, next * STAGE_BYTES + LEFT_BYTES, b, first_column, next * TILE_DEPTH, total,
                  a.depth);
    }
    end_batch(warp);
  }
  for (int step = 0; step < steps; ++step) {
    AWAIT_COPIES(warp, STAGES - 2);
    barrier(CLK_LOCAL_MEM_FENCE);
    const int next = step + STAGES - 1;
    if (next < steps) {
      const uint part = next % STAGES * STAGE_BYTES;
      fetch_rows(warp, part, a, first_row, times, next * TILE_DEPTH);
      fetch_right(warp, part + LEFT_BYTES, b, first_column, next * TILE_DEPTH, total, a.depth);
    }
    end_batch(warp);
    multiply_parts(warp, step % STAGES, sums, 0, false);
  }
  store_tile(tiles, sums, bias, addend, scale, c, c_stride, first_row, rows, first_column,
             b.columns);
#if STATISTICS
  store_statistics((__local float2*)tiles, sums, scale, statistics, first_row, rows, first_column,
                   b.columns);
#else
  (void)statistics;
#endif
  SPOIL_IF_OVERRUN(warp, c + (size_t)first_row * c_stride + first_column);
}
#else
// c[m, n] = scale · Σ_r a(r, tap, d) · b[r, n] for m = tap·depth + d < taps·depth, n < b.columns,
// over the rows first … end - 1: the tile whose first row and column are given. Those of the first
// rows also leave column_sums[n] = Σ_r b[r, n], unless it is 0, or zeros where `sums_vanish`.
static inline void columns_product(Warp* warp, __local uint4* tiles, const Sequences a,
                                   const Factor b, const float scale, __global float* c,
                                   const int c_stride, __global float* column_sums,
                                   const bool sums_vanish, const int first_row,
                                   const int first_column, const int first, const int end) {
  const int steps = (end - first + TILE_DEPTH - 1) / TILE_DEPTH;
  const int warp_index = get_local_id(0) / WARP;
  const bool leaves_sums = column_sums && first_row == 0 && warp_index / WARPS_ACROSS == 0;

  float sums[BLOCKS_DOWN * BLOCKS_ACROSS * 4];
  EACH_BLOCK
  for (int i = 0; i < BLOCKS_DOWN * BLOCKS_ACROSS * 4; ++i) sums[i] = 0.0f;
  float added[BLOCKS_ACROSS * 4];
  EACH_BLOCK
  for (int i = 0; i < BLOCKS_ACROSS * 4; ++i) added[i] = 0.0f;
  int times[LEFT_COPIES];
  EACH_BLOCK
  for (int i = 0; i < LEFT_COPIES; ++i) {
    const int row = first + get_local_id(0) / ROW_CHUNKS + i * (ITEMS / ROW_CHUNKS);
    times[i] = (int)((uint)row % (uint)a.time);
  }
  const int ahead = TILE_DEPTH % a.time;

  for (int next = 0; next < STAGES - 1; ++next) {
    if (next < steps) {
      const int at = first + next * TILE_DEPTH;
      fetch_steps(warp, next * STAGE_BYTES, a, first_row, times, ahead, at, end);
      fetch_right(warp, next * STAGE_BYTES + LEFT_BYTES, b, first_column, at, end, 1);
    }
    end_batch(warp);
  }
  for (int step = 0; step < steps; ++step) {
    AWAIT_COPIES(warp, STAGES - 2);
    barrier(CLK_LOCAL_MEM_FENCE);
    const int next = step + STAGES - 1;
    if (next < steps) {
      const uint part = next % STAGES * STAGE_BYTES;
      const int at = first + next * TILE_DEPTH;
      fetch_steps(warp, part, a, first_row, times, ahead, at, end);
      fetch_right(warp, part + LEFT_BYTES, b, first_column, at, end, 1);
    }
    end_batch(warp);
    multiply_parts(warp, step % STAGES, sums, added, leaves_sums && !sums_vanish);
  }
  if (first >= end) return;
  store_tile(tiles, sums, 0, 0, scale, c, c_stride, first_row, a.taps * a.depth, first_column,
             b.columns);
  const int lane = get_local_id(0) % WARP;
  const int warp_column = first_column + warp_index % WARPS_ACROSS * WARP_COLUMNS + lane * 2;
  EACH_BLOCK
  for (int j = 0; j < BLOCKS_ACROSS; ++j) {
    const int column = warp_column + j * 8;
    if (leaves_sums && lane < 4 && column < b.columns) {
      column_sums[column] = sums_vanish ? 0.0f : added[j * 4];
    }
    if (leaves_sums && lane < 4 && column + 1 < b.columns) {
      column_sums[column + 1] = sums_vanish ? 0.0f : added[j * 4 + 1];
    }
  }
  SPOIL_IF_OVERRUN(warp, c + (size_t)first_row * c_stride + first_column);
}
#endif
