// The instructions of tensor_core.cl in plain OpenCL C, for tests: items lay open in local memory
// what they hold, and each picks what PTX ISA §9.7.14 gives it.
//
// Behind the tiles lies a guard, which nobody is to write.
//
// Copies come as late as the kernel allows: when it waits for them (EMULATED 2), or as early as the
// hardware might make them, at once (EMULATED 1). What the hardware would refuse, or would do
// slowly, gives NaN: addresses that are no multiples of 16, places outside of the tiles, and eight
// rows of a matrix that share a memory bank.

#ifndef WARP
#define WARP 32
#endif
#define NOT_A_NUMBER 0x7e007e00u
// 16-byte chunks of the guard, and what is in them.
#define GUARD_CHUNKS 64
#define GUARD 0x5eed5eedu
// Values that an item lays open: those of its four and two registers.
#define EXCHANGED 12

typedef struct {
  __local uchar* tiles;
  __local float* exchange;  // EXCHANGED of each item
  uint size;                // bytes of the tiles
#if EMULATED == 2
  uint4 held[STAGES * BATCH_COPIES];
  uint places[STAGES * BATCH_COPIES];
  int begun;    // copies
  int ended;    // batches
  int arrived;  // batches
  int ends[STAGES];
#endif
} Warp;

#define TILE_MEMORY(bytes, items)                   \
  __local uint4 tiles[(bytes) / 16 + GUARD_CHUNKS]; \
  __local float exchange[(items) * EXCHANGED];      \
  Warp warp;                                        \
  warp_on(&warp, (__local uchar*)tiles, exchange, bytes)
#define IS_OVERRUN(warp) is_overrun(warp)
#define WHERE_WARP(condition) (void)(condition);

static inline void converge(void) {}

// Not as a value: a struct that is returned is marked as nobody else's, and where such a function is
// inlined Oclgrind 21.10 does not know the marks (llvm.experimental.noalias.scope.decl).
static inline void warp_on(Warp* warp, __local uchar* tiles, __local float* exchange,
                           const uint size) {
  warp->tiles = tiles;
  warp->exchange = exchange;
  warp->size = size;
#if EMULATED == 2
  warp->begun = 0;
  warp->ended = 0;
  warp->arrived = 0;
#endif
  __local uint* guard = (__local uint*)(tiles + size);
  for (int i = get_local_id(0); i < GUARD_CHUNKS * 4; i += get_local_size(0)) guard[i] = GUARD;
  barrier(CLK_LOCAL_MEM_FENCE);
}

// Whether any word of the guard was written: each item looks at its share.
static inline bool is_overrun(const Warp* warp) {
  barrier(CLK_LOCAL_MEM_FENCE);
  if (get_local_id(0) == 0) warp->exchange[0] = 0.0f;
  barrier(CLK_LOCAL_MEM_FENCE);
  __local const uint* guard = (__local const uint*)(warp->tiles + warp->size);
#pragma unroll 1
  for (int i = get_local_id(0); i < GUARD_CHUNKS * 4; i += get_local_size(0)) {
    if (guard[i] != GUARD) warp->exchange[0] = 1.0f;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  return warp->exchange[0] != 0.0f;
}

static inline void copy_later(Warp* warp, const uint at, __global const ushort* from,
                              const bool inside) {
  uint4 chunk = 0;
  if (inside) {
    chunk = ((ulong)from & 15) == 0 ? *(__global const uint4*)from : (uint4)(NOT_A_NUMBER);
  }
#if EMULATED == 2
  warp->held[warp->begun % (STAGES * BATCH_COPIES)] = chunk;
  warp->places[warp->begun % (STAGES * BATCH_COPIES)] = at;
  warp->begun += 1;
#else
  if (at + 16 <= warp->size) *(__local uint4*)(warp->tiles + at) = chunk;
#endif
}

static inline void end_batch(Warp* warp) {
#if EMULATED == 2
  warp->ends[warp->ended % STAGES] = warp->begun;
  warp->ended += 1;
#else
  (void)warp;
#endif
}

static inline void await_copies(Warp* warp, const int count) {
#if EMULATED == 2
  while (warp->arrived < warp->ended - count) {
    int i = warp->arrived == 0 ? 0 : warp->ends[(warp->arrived - 1) % STAGES];
    for (; i < warp->ends[warp->arrived % STAGES]; ++i) {
      const uint at = warp->places[i % (STAGES * BATCH_COPIES)];
      if (at + 16 <= warp->size) {
        *(__local uint4*)(warp->tiles + at) = warp->held[i % (STAGES * BATCH_COPIES)];
      }
    }
    warp->arrived += 1;
  }
#else
  (void)warp;
  (void)count;
#endif
}

#define AWAIT_COPIES(warp, count) await_copies(warp, count)

// Whether the rows of matrix `matrix` can be read at once: eight times 16 bytes from 32 banks.
static inline bool is_readable(const Warp* warp, __local const uint* rows) {
  uint banks = 0;
  bool lies_well = true;
#pragma unroll 1
  for (int row = 0; row < 8; ++row) {
    banks |= 1u << (rows[row] / 16 % 8);
    lies_well = lies_well && rows[row] % 16 == 0 && rows[row] + 16 <= warp->size;
  }
  return lies_well && banks == 255;
}

static inline void exchange_matrices(Warp* warp, const uint at, uint* registers,
                                     const bool turned) {
  const int lane = get_local_id(0) % WARP;
  __local uint* rows = (__local uint*)warp->exchange + get_local_id(0) / WARP * WARP;
  rows[lane] = at;
  barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll 1
  for (int matrix = 0; matrix < 4; ++matrix) {
    uint found = NOT_A_NUMBER;
    if (is_readable(warp, rows + matrix * 8)) {
      const int row = turned ? lane % 4 * 2 : lane / 4;
      const int column = turned ? lane / 4 : lane % 4 * 2;
      const uint first = rows[matrix * 8 + row];
      const uint second = turned ? rows[matrix * 8 + row + 1] : first + 2;
      found = *(__local const ushort*)(warp->tiles + first + column * 2)
          | (uint) * (__local const ushort*)(warp->tiles + second + column * 2) << 16;
    }
    registers[matrix] = found;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}

static inline void load_matrices(Warp* warp, const uint at, uint* registers) {
  exchange_matrices(warp, at, registers, false);
}

static inline void load_matrices_turned(Warp* warp, const uint at, uint* registers) {
  exchange_matrices(warp, at, registers, true);
}

static inline float2 two_halves(const uint pair) {
  return vload_half2(0, (const half*)&pair);
}

// a[row, k] is in register (row ≥ 8) + 2 · (k ≥ 8) of item row % 8 · 4 + k % 8 / 2, b[k, column] in
// register (k ≥ 8) of item column · 4 + k % 8 / 2, and an item's sums are those of row i / 4 and of
// the eighth row after it, two neighbouring columns from 2(i % 4) on of each.
static inline void multiply_add(Warp* warp, float* sums, const uint* a, const uint* b) {
  const int lane = get_local_id(0) % WARP;
  __local float* held = warp->exchange + get_local_id(0) / WARP * WARP * EXCHANGED;
#pragma unroll 1
  for (int i = 0; i < 6; ++i) {
    vstore2(two_halves(i < 4 ? a[i] : b[i - 4]), i, held + lane * EXCHANGED);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll 1
  for (int i = 0; i < 4; ++i) {
    const int row = lane / 4 + i / 2 * 8;
    const int column = lane % 4 * 2 + i % 2;
    float sum = sums[i];
#pragma unroll 1
    for (int k = 0; k < 16; ++k) {
      const int pair = k % 8 / 2;
      sum += held[(row % 8 * 4 + pair) * EXCHANGED + (row / 8 + k / 8 * 2) * 2 + k % 2]
             * held[(column * 4 + pair) * EXCHANGED + (4 + k / 8) * 2 + k % 2];
    }
    sums[i] = sum;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}

static inline float power_of_two(const float exponent) { return exp2(exponent); }

static inline uint packed_halves(const float first, const float second) {
  uint pair;
  vstore_half2_rte((float2)(first, second), 0, (half*)&pair);
  return pair;
}
