// Tiles of attention's scores on tensor cores, of halves with sums in single precision: what the
// kernels of tensor_core_attention.cl share. Not a file of kernels.
//
// A group of four warps has SPAN steps, sixteen a warp, which lie in registers, and goes through all
// steps of the other factor in tiles of SPAN lines, while the next tile is under way. Scores Q·Xᵀ
// are made sixteen columns at a time, in registers; turned ones, X·Qᵀ, by the same function with
// the factors exchanged: the same products in the same order, so the same bits. What becomes of
// them stays where it is: the sums of a product of 16×8 are laid out over the items of a warp as the
// left factor of the next one is, two blocks of 8 columns for its depth of 16.
//
// Lines of a tile are CHANNELS halves and one chunk of 16 bytes more: an odd number of chunks, so
// that eight lines' chunks of one place are in different memory banks. CHANNELS is 16, 32, 48 or 64,
// and a definition always, as registers depend on it.
//
// instructions: HMMA LDSM LDGSTS

#include "attention_dropout.cl"
#include "values.cl"

#ifndef TIME
#define TIME time
#endif
#ifndef HEADS
#define HEADS heads
#endif
#ifndef CHANNELS
#define CHANNELS 64
#endif

#define SPAN 64
#define ITEMS 128
#define LINE_BYTES (CHANNELS * 2 + 16)
#define TILE_BYTES (SPAN * LINE_BYTES)
#define TILE_COPIES (SPAN * CHANNELS / 8 / ITEMS)
// Items that copy one line, neighbouring chunks at a time.
#define LINE_ITEMS (CHANNELS % 64 == 0 ? 8 : CHANNELS % 32 == 0 ? 4 : 2)
// Registers of sixteen lines as a left factor; sums of sixteen lines by CHANNELS.
#define FRAGMENTS (CHANNELS / 4)
#define SUMS (CHANNELS / 2)

// Batches of copies under way, and the copies of one that an item makes: for the emulation.
#define STAGES 2
#define BATCH_COPIES (2 * TILE_COPIES)

#include "tensor_core.cl"

// Loops over registers, which exist where the loops are unrolled alone. The emulation has barriers
// in them, and memory for registers.
#ifdef EMULATED
#define EACH_BLOCK _Pragma("unroll 1")
#else
#define EACH_BLOCK _Pragma("unroll")
#endif

#define TILES(count) TILE_MEMORY((count)*TILE_BYTES, ITEMS)

// MARK: Tiles

// Begins to copy SPAN lines from `first` of those below `end`, `stride` elements apart; zeros where
// there are none.
static inline void fetch_tile(Warp* warp, const uint part, __global const ushort* lines,
                              const int stride, const int first, const int end) {
  const int line = get_local_id(0) / LINE_ITEMS;
  const int chunk = get_local_id(0) % LINE_ITEMS;
  __global const ushort* from = lines + (first + line) * stride + chunk * 8;
  EACH_BLOCK
  for (int i = 0; i < SPAN * LINE_ITEMS / ITEMS; ++i) {
    const int later = i * (ITEMS / LINE_ITEMS);
    const bool inside = first + line + later < end;
    EACH_BLOCK
    for (int j = 0; j < CHANNELS / 8; j += LINE_ITEMS) {
      copy_later(warp, part + (line + later) * LINE_BYTES + (chunk + j) * 16,
                 inside ? from + later * stride + j * 8 : lines, inside);
    }
  }
}

// Sixteen lines of a tile as a left factor.
static inline void load_lines(Warp* warp, const uint part, const int line, uint* fragments) {
  const int lane = get_local_id(0) % WARP;
  EACH_BLOCK
  for (int k = 0; k < CHANNELS / 16; ++k) {
    load_matrices(warp, part + (line + lane % 16) * LINE_BYTES + (k * 2 + lane / 16) * 16,
                  fragments + k * 4);
  }
}

// sums[16, 16] += a·bᵀ over the channels, b being the sixteen lines of a tile from `line` on. The
// first four sums are those of the lower eight columns.
static inline void add_scores(Warp* warp, const uint* a, const uint part, const int line,
                              float* sums) {
  const int lane = get_local_id(0) % WARP;
  EACH_BLOCK
  for (int k = 0; k < CHANNELS / 16; ++k) {
    uint b[4];
    load_matrices(
        warp,
        part + (line + lane / 16 * 8 + lane % 8) * LINE_BYTES + (k * 2 + lane / 8 % 2) * 16, b);
    multiply_add(warp, sums, a + k * 4, b);
    multiply_add(warp, sums + 4, a + k * 4, b + 2);
  }
}

// sums[16, CHANNELS] += a·b for a [16, 16] and the sixteen lines b from `line` on.
static inline void add_lines(Warp* warp, const uint* a, const uint part, const int line,
                             float* sums) {
  const int lane = get_local_id(0) % WARP;
  converge();  // what a is made of may have taken branches
  EACH_BLOCK
  for (int j = 0; j < CHANNELS / 16; ++j) {
    uint b[4];
    load_matrices_turned(
        warp, part + (line + lane % 16) * LINE_BYTES + (j * 2 + lane / 16) * 16, b);
    multiply_add(warp, sums + j * 8, a, b);
    multiply_add(warp, sums + j * 8 + 4, a, b + 2);
  }
}

// Sums of 16 lines by 16 columns as a left factor.
static inline void pack_block(const float* sums, uint* fragments) {
  EACH_BLOCK
  for (int i = 0; i < 4; ++i) fragments[i] = packed_halves(sums[i * 2], sums[i * 2 + 1]);
}

// MARK: Where an item's values are

// Of the sixteen lines of its warp, an item has line() and the eighth after it; of a block of
// sixteen columns, column() and the next, and the eighth columns after those. The values of a block
// are in the order line, column; line + 8, column; line, column + 8; line + 8, column + 8, two
// columns each.
static inline int line(void) { return get_local_id(0) / WARP * 16 + get_local_id(0) % WARP / 4; }
static inline int column(void) { return get_local_id(0) % 4 * 2; }
#define LINE_OF(i) ((i) / 2 % 2)
#define COLUMN_OF(i) ((i) / 4 * 8 + (i) % 2)

// Writes a left factor of the group's steps from `first` on as rows `stride` elements apart, those
// below TIME.
static inline void store_lines(const uint* fragments, __global ushort* rows, const int stride,
                               const int first, const int time) {
  EACH_BLOCK
  for (int i = 0; i < FRAGMENTS; ++i) {
    const int t = first + line() + i % 2 * 8;
    if (t < TIME) {
      *(__global uint*)(rows + (size_t)t * stride + i / 2 * 8 + column()) = fragments[i];
    }
  }
}

// MARK: Probabilities

// exp(score - top): this accuracy is far beyond that of scores made of halves.
static inline float exponential(const float score, const float top) {
  return power_of_two((score - top) * 1.44269504f);
}

// Words of a row of the scores, whole tiles.
#define WORDS ((TIME + SPAN - 1) / SPAN * 2)

// Of a tile's bits, an item has word item % 2 of row item / 2; row t of matrix `index` is its own.
static inline size_t word_place(const uint index, const int t, const int first_s, const int time) {
  return ((size_t)index * TIME + t) * WORDS + first_s / 32 + get_local_id(0) % 2;
}

static inline uint read_word(__global const uint* bits, const uint index, const int first_t,
                             const int first_s, const int time) {
  const int t = first_t + get_local_id(0) / 2;
  return t < TIME ? bits[word_place(index, t, first_s, TIME)] : 0;
}

// Bit c of kept[2r + w] says whether element (first_t + r, first_s + 32w + c) stays. An item makes
// one word, which may begin within a Philox block.
static inline void keep_tile(__local uint* kept, const struct dropout* d, const uint index,
                             const int first_t, const int first_s, const int time) {
  const int t = first_t + get_local_id(0) / 2;
  const int s = first_s + get_local_id(0) % 2 * 32;
  const uint first = (index * TIME + t) * TIME + s;
  uint bits = 0xffffffffu;
  if (d->threshold != 0 && t < TIME && s < TIME) {
    ulong found = 0;
#pragma unroll 1
    for (int block = 0; block < 5; ++block) {
      const uint4 words = philox_block(first / 8 + block, d->stream, d->iteration, d->key);
      uint byte = 0;
#pragma unroll
      for (int lane = 0; lane < 8; ++lane) {
        byte |= (philox_lane(words, lane) >= d->threshold ? 1u : 0u) << lane;
      }
      found |= (ulong)byte << (block * 8);
    }
    bits = (uint)(found >> (first & 7));
  }
  kept[get_local_id(0)] = bits;
}
