#ifndef CVECTORLOOPS_INTERNAL_H
#define CVECTORLOOPS_INTERNAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "CVectorLoops.h"

// A loop compiled for three instruction sets; the loader picks one.
#if defined(__x86_64__)
#define VL_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VL_CLONES
#endif

#define VL_INLINE static inline __attribute__((always_inline))

// Memory that a loop writes or reads; none where it is null.
typedef struct {
  const void *start;
  long bytes;
} vl_span;

// Ends the program where one of the first `written` spans meets another. The loops take what they
// write as `restrict`: where it overlaps, they would be wrong in silence.
void vl_apart(const char *function, int written, int count, const vl_span *spans);

#define VL_FLOATS(p, n) {(p), (long)sizeof(float) * (n)}
#define VL_BYTES(p, n) {(p), (n)}
#define VL_APART(written, ...)                                                   \
  do {                                                                           \
    const vl_span spans[] = {__VA_ARGS__};                                       \
    vl_apart(__func__, (written), (int)(sizeof spans / sizeof *spans), spans);   \
  } while (0)

typedef void (*vl_body)(const void *context, long part, long first, long last);

// Runs `body` on `threads` parts of [0, count), cut at multiples of `grain`. Which part covers what
// depends on `threads` alone, so that sums over a part come out the same in every run.
void vl_for(int threads, long count, long grain, vl_body body, const void *context);

// A product on one thread: c[m, n] = a . b, n a multiple of 16, b and c with rows of n floats at
// least; on top of c where it accumulates, else of the bias row, if any.
typedef struct {
  const float *a, *b, *bias;
  float *c;
  long a_row, a_step;  // a's element (i, k) lies at i*a_row + k*a_step
  long ldb, ldc, m, n, depth;
  int accumulates;
} vl_product;

void vl_multiply(const vl_product *product);

VL_INLINE long vl_min(long a, long b) { return a < b ? a : b; }

VL_INLINE uint32_t vl_bits(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

VL_INLINE float vl_float(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}

// e^x within 2 units in the last place; 0 below -87.3, finite above 88. Cephes' polynomial.
VL_INLINE float vl_exp(float x) {
  const float magic = 12582912.f;  // 1.5 * 2^23: adding it rounds to an integer
  const float low = x < -87.3f ? -87.3f : x;
  const float clamped = low > 88.f ? 88.f : low;
  const float shifted = clamped * 1.44269504088896341f + magic;
  const float n = shifted - magic;
  float r = clamped - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.f;
  const float scale = vl_float((vl_bits(shifted) + 127u) << 23);
  return x < -87.3f ? 0.f : p * scale;
}

// ln x for normal positive x, within 2 units in the last place. Cephes' polynomial.
VL_INLINE float vl_log(float x) {
  const uint32_t bits = vl_bits(x);
  int32_t exponent = (int32_t)(bits >> 23) - 126;
  float m = vl_float((bits & 0x007fffffu) | 0x3f000000u);  // [0.5, 1)
  const int small = m < 0.70710678f;
  exponent = small ? exponent - 1 : exponent;
  m = (small ? m + m : m) - 1.f;
  const float e = (float)exponent;
  const float z = m * m;
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  float y = p * m * z;
  y = y - 2.12194440e-4f * e - 0.5f * z;
  return m + y + 0.693359375f * e;
}

VL_INLINE float vl_sigmoid(float x) { return 1.f / (1.f + vl_exp(-x)); }

// sin and cos of 2*pi*u, u in [0, 1): quadrants are cut off exactly, then Cephes' polynomials.
VL_INLINE void vl_sincos_turn(float u, float *sine, float *cosine) {
  const float magic = 12582912.f;
  const float shifted = u * 4.f + magic;
  const uint32_t quadrant = vl_bits(shifted) & 3u;
  const float f = (u * 4.f - (shifted - magic)) * 1.57079632679489662f;
  const float z = f * f;
  float s = -1.9515295891e-4f;
  s = s * z + 8.3321608736e-3f;
  s = s * z - 1.6666654611e-1f;
  s = s * z * f + f;
  float c = 2.443315711809948e-5f;
  c = c * z - 1.388731625493765e-3f;
  c = c * z + 4.166664568298827e-2f;
  c = c * z * z - 0.5f * z + 1.f;
  const float a = (quadrant & 1u) ? c : s;
  const float b = (quadrant & 1u) ? s : c;
  *sine = (quadrant & 2u) ? -a : a;
  *cosine = ((quadrant + 1u) & 2u) ? -b : b;
}

// Philox4x32-10 (Salmon et al., SC 2011), sixteen counters at once.

typedef uint32_t vl_u32x16 __attribute__((vector_size(64)));
typedef uint64_t vl_u64x8 __attribute__((vector_size(64)));

VL_INLINE void vl_multiply_wide(
    const vl_u32x16 *x, uint64_t m, vl_u32x16 *high, vl_u32x16 *low) {
  const vl_u64x8 pairs = (vl_u64x8)*x;
  const vl_u64x8 even = (pairs & 0xffffffffull) * m;
  const vl_u64x8 odd = (pairs >> 32) * m;
  *low = (vl_u32x16)((even & 0xffffffffull) | (odd << 32));
  *high = (vl_u32x16)((even >> 32) | (odd & 0xffffffff00000000ull));
}

// Words of blocks `block ..< block + 16` in memory order: 64 words, which are 128 16-bit lanes.
VL_INLINE void vl_philox16(
    void *words, uint32_t block, uint32_t stream, uint32_t c2, uint32_t c3, uint32_t k0,
    uint32_t k1) {
  const vl_u32x16 ramp = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const vl_u32x16 zero = {0};
  vl_u32x16 w0 = ramp + block, w1 = zero + stream, w2 = zero + c2, w3 = zero + c3;
  for (int round = 0; round < 10; round++) {
    vl_u32x16 high0, low0, high1, low1;
    vl_multiply_wide(&w0, 0xD2511F53ull, &high0, &low0);
    vl_multiply_wide(&w2, 0xCD9E8D57ull, &high1, &low1);
    w0 = high1 ^ w1 ^ k0;
    w2 = high0 ^ w3 ^ k1;
    w1 = low1;
    w3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
#define VL_LOW_PAIRS 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define VL_HIGH_PAIRS 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
  const vl_u64x8 a = (vl_u64x8)__builtin_shufflevector(w0, w1, VL_LOW_PAIRS);
  const vl_u64x8 b = (vl_u64x8)__builtin_shufflevector(w0, w1, VL_HIGH_PAIRS);
  const vl_u64x8 c = (vl_u64x8)__builtin_shufflevector(w2, w3, VL_LOW_PAIRS);
  const vl_u64x8 d = (vl_u64x8)__builtin_shufflevector(w2, w3, VL_HIGH_PAIRS);
  const vl_u64x8 out[4] = {
      __builtin_shufflevector(a, c, 0, 8, 1, 9, 2, 10, 3, 11),
      __builtin_shufflevector(a, c, 4, 12, 5, 13, 6, 14, 7, 15),
      __builtin_shufflevector(b, d, 0, 8, 1, 9, 2, 10, 3, 11),
      __builtin_shufflevector(b, d, 4, 12, 5, 13, 6, 14, 7, 15)};
  memcpy(words, out, sizeof out);
}

// The 16-bit lanes of elements `first ..< first + count` of a dropout, in `buffer`, which needs
// room for count + 256 lanes; returns where the first one lies.
VL_INLINE const uint16_t *vl_lanes(
    uint16_t *buffer, long first, long count, const vl_random *r) {
  const uint32_t block = (uint32_t)(first / 8);
  const long end = first % 8 + count;
  for (long lane = 0; lane < end; lane += 128) {
    vl_philox16(
        buffer + lane, block + (uint32_t)(lane / 8), r->stream,
        (uint32_t)r->step, (uint32_t)(r->step >> 32), r->key0, r->key1);
  }
  return buffer + first % 8;
}

#endif
