// Small functions of indices and values that many kernels share.

#ifndef SEMG_VALUES
#define SEMG_VALUES

// An index below `count` for an item that may have nothing of its own to read: it reads along with a
// neighbour, and has no place to write to.
static inline int within(const int i, const int count) { return max(min(i, count - 1), 0); }

// The comparison is such that NaN stays NaN, as in the reference.
static inline float relu(const float x) { return x < 0.0f ? 0.0f : x; }

#endif
