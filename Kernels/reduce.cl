// Work-groups of GROUP_ITEMS items arranged as LANES rows of WIDTH columns, which are channels, and
// sums within them: item = LANE·WIDTH + COLUMN.

#ifndef SEMG_REDUCE
#define SEMG_REDUCE

#include "values.cl"

// 256, 128 or 64: what the device allows the kernels of a file.
#ifndef GROUP_ITEMS
#define GROUP_ITEMS 256
#endif

#ifdef WIDTH
#define BUILT_WIDTH WIDTH
#else
#define WIDTH width  // a power of two
#endif
#define LANES (GROUP_ITEMS / WIDTH)
#define LANE ((int)get_local_id(0) / WIDTH)
#define COLUMN ((int)get_local_id(0) & (WIDTH - 1))
// Of the items of a column, or of a row, which all have its sum, the one that writes it.
#define WRITES_COLUMN (LANE == 0)
#define WRITES_ROW (COLUMN == 0)

// The sum of a column over its lanes, for every item of the column, always in the same order. Every
// item of the group must call it; `sums` has GROUP_ITEMS places and may be used again at once.
static inline float column_sum(__local float* sums, const float value, const int width) {
  const int item = get_local_id(0);
  sums[item] = value;
  for (int reach = GROUP_ITEMS / 2; reach >= width; reach /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item < reach) sums[item] += sums[item + reach];
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  const float result = sums[item & (width - 1)];
  barrier(CLK_LOCAL_MEM_FENCE);
  return result;
}

// The sum of a row over its columns, for every item of the row; otherwise as `column_sum`.
static inline float row_sum(__local float* sums, const float value, const int width) {
  const int item = get_local_id(0);
  const int column = item & (width - 1);
  sums[item] = value;
  for (int reach = width / 2; reach >= 1; reach /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (column < reach) sums[item] += sums[item + reach];
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  const float result = sums[item - column];
  barrier(CLK_LOCAL_MEM_FENCE);
  return result;
}

#endif
