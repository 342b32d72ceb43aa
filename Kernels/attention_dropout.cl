// What is dropped of attention's probabilities, for the kernels that make them again from the scores:
// element (t, s) of matrix b·H + h of [B·H, T, T] counts. Not a file of kernels.

#include "common.cl"
#include "random.cl"
#include "table.cl"

#define LOWEST -1e30f  // below every score

struct dropout {
  uint threshold, stream;
  uint2 key;
  ulong iteration;
};

#define DROPOUT                                                                       \
  __global const struct table_header *header, const uint threshold, const float scale, \
      const uint stream, const uint key0, const uint key1, const int step
#define DROPOUT_OF_STEP                     \
  {                                         \
    threshold, stream, (uint2)(key0, key1), header->first_iteration + step \
  }
