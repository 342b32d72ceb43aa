// Dropout's lanes for work-groups of WIDTH channels by LANES rows: a Philox block serves eight
// consecutive elements, so the group's items draw the blocks of a tile together.

#ifndef SEMG_LANES
#define SEMG_LANES

#include "random.cl"
#include "reduce.cl"

// Rows of a tile that one item takes, and rows of a tile.
#define ITEM_ROWS 4
#define TILE_ROWS (ITEM_ROWS * LANES)
// Blocks that `width` consecutive elements may touch.
#define BLOCKS_OF(width) (((width) + 6) / 8 + 1)
#define ROW_BLOCKS BLOCKS_OF(WIDTH)
// Room for the blocks of a tile at any width: at width 1 there are the most.
#ifdef BUILT_WIDTH
#define TILE_BLOCKS (ITEM_ROWS * (GROUP_ITEMS / BUILT_WIDTH) * BLOCKS_OF(BUILT_WIDTH))
#else
#define TILE_BLOCKS (ITEM_ROWS * GROUP_ITEMS)
#endif

// Draws what `count` elements from `start` touch into the blocks of row k.
static inline void draw_block(__local uint4* blocks, const int k, const int slot, const int width,
                              const int start, const int count, const uint stream, const ulong step,
                              const uint2 key) {
  const int block = (start >> 3) + slot;
  if (block <= (start + count - 1) >> 3) {
    blocks[k * BLOCKS_OF(width) + slot] = philox_block(block, stream, step, key);
  }
}

// The lane of element i of row k, whose first element of the tile is `start`.
static inline uint drawn_lane(__local const uint4* blocks, const int k, const int width,
                              const int start, const int i) {
  const int slot = (i >> 3) - (start >> 3);
  __local const uint* words = (__local const uint*)(blocks + k * BLOCKS_OF(width) + slot);
  const uint word = words[(i & 7) >> 1];
  return (i & 1) ? word >> 16 : word & 0xFFFFu;
}

#endif
