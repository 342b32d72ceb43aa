// Two figures of each channel over [rows, C] come in two stages: every work-group leaves those of a
// chunk of rows, partial[chunk] = (first [C], second [C]), and whoever needs them merges the
// chunks, always in the same order.

#ifndef SEMG_CHUNKS
#define SEMG_CHUNKS

#include "reduce.cl"

// Whether a batch's statistics move the moving ones: where halves overflow they are no numbers, and
// would stay so. Floats are as they are: a training whose loss is NaN or infinite ends.
#if HALF_STORAGE
#define FINITE(x) ((as_uint(x) & 0x7F800000u) != 0x7F800000u)
#define MOVES(mean, variance) (FINITE(mean) && FINITE(variance))
#else
#define MOVES(mean, variance) true
#endif

static inline int chunk_count(const int rows, const int chunk) {
  return (rows + chunk - 1) / chunk;
}

// Sums of both figures, for every item of the column; all items of the group must call it, those
// without a channel for one that there is, or with no chunks.
static inline float2 merged_sums(__local float* sums, __global const float* partial,
                                 const int chunks, const int channels, const int width) {
  const ulong stride = 2 * (ulong)channels;
  float first = 0.0f;
  float second = 0.0f;
  for (int i = (int)get_local_id(0) / width; i < chunks; i += GROUP_ITEMS / width) {
    first += partial[i * stride];
    second += partial[i * stride + channels];
  }
  first = column_sum(sums, first, width);
  second = column_sum(sums, second, width);
  return (float2)(first, second);
}

// Mean and variance where the figures are the mean of the chunk and the squares about it (Chan,
// Golub and LeVeque 1983). Means are given less one value of the channel, the same for all chunks,
// and so is the result: it is rounded as finely as deviations are.
static inline float2 merged_statistics(__local float* sums, __global const float* partial,
                                       const int rows, const int chunk, const int chunks,
                                       const int channels, const int width) {
  const ulong stride = 2 * (ulong)channels;
  const int lane = (int)get_local_id(0) / width;
  const int lanes = GROUP_ITEMS / width;
  float sum = 0.0f;
  for (int i = lane; i < chunks; i += lanes) {
    sum += min(chunk, rows - i * chunk) * partial[i * stride];
  }
  const float mean = column_sum(sums, sum, width) / rows;
  float total = 0.0f;
  for (int i = lane; i < chunks; i += lanes) {
    const float apart = partial[i * stride] - mean;
    total += partial[i * stride + channels] + min(chunk, rows - i * chunk) * apart * apart;
  }
  return (float2)(mean, column_sum(sums, total, width) / rows);
}

#endif
