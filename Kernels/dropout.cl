// Dropout: inverted, by the 16-bit lane of each element of the live batch `[count]`.

// build: -DHALF_STORAGE=1

#include "common.cl"
#include "random.cl"
#include "table.cl"

// Forward and backward alike: y = lane >= threshold ? x·scale : 0. One work item a Philox block,
// which is eight elements.
__kernel void dropout(__global const struct table_header* header, IN(stored, x), OUT(stored, y),
                      const uint threshold, const float scale, const uint stream,
                      const uint key0, const uint key1, const int step, const int count) {
  const int block = get_global_id(0);
  if (8 * block >= count) return;
  const uint4 words = philox_block(
      block, stream, header->first_iteration + step, (uint2)(key0, key1));
  for (int lane = 0; lane < 8; ++lane) {
    const int i = 8 * block + lane;
    if (i >= count) break;
    STORE(AT(y), i, philox_lane(words, lane) >= threshold ? LOAD(AT(x), i) * scale : 0.0f);
  }
}
