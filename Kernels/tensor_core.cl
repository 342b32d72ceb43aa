// The tensor cores of NVIDIA's GPUs from compute capability 8.0 on, by their PTX instructions. Not
// a file of kernels: the files that include it declare them.
//
// A warp of 32 neighbouring items makes a product of 16×16 by 16×8 halves, with sums in single
// precision, from registers: which item holds which elements, PTX ISA §9.7.14 tells (mma.m16n8k16,
// ldmatrix), and tensor_core_emulated.cl in plain OpenCL C. That file stands in for this one in
// builds with EMULATED: whatever device there is runs the same kernels, and what they do with the
// instructions is tested without such a GPU. Whether a device has them, tensor_core_probe.cl finds
// out.
//
// Local memory is meant by bytes from the beginning of the group's tiles; halves are ushort here,
// since nothing else is done with them, and pairs of them uint, the first in the low bits.
// All items of a work-group call all functions that take a Warp, in the same order.
//
// instructions: HMMA LDSM LDGSTS

#define WARP 32

#ifdef EMULATED
#define HAS_TENSOR_CORES 1
#include "tensor_core_emulated.cl"
#elif !defined(__NV_CL_C_VERSION) && !defined(cl_nv_pragma_unroll) && !defined(__NVPTX__)
// A compiler that does not know PTX would take it for instructions of its own machine.
#define HAS_TENSOR_CORES 0
#else
#define HAS_TENSOR_CORES 1

// What the functions below work with.
typedef struct {
  uint tiles;  // address in shared memory
} Warp;

// Declares, in a kernel, local memory of so many bytes for the tiles of a group of `items` items.
#define TILE_MEMORY(bytes, items)       \
  __local uint4 tiles[(bytes) / 16];    \
  Warp warp = warp_on((__local const void*)tiles)

// Whether something was written behind that memory: the emulation finds it out.
#define IS_OVERRUN(warp) false

// Brings the items of a warp together, which need not go on together where the ways of a branch on
// something of their own have met again: what multiplies or loads matrices is undefined for some of
// a warp. To be called between any such branch and the next of those, by whole warps.
static inline void converge(void) { asm volatile("bar.warp.sync 0xffffffff;" : : : "memory"); }

// A condition that all items of a warp share, which are together then. The emulation goes where it
// does not hold, too, since all items of the group must meet all barriers.
#define WHERE_WARP(condition) if (together(condition))

static inline bool together(const bool condition) {
  converge();
  return condition;
}

// A __local pointer as a number is an address within shared memory, or, should a compiler take
// it for one, a generic address in the window where shared memory lies.
static inline Warp warp_on(__local const void* tiles) {
  Warp warp;
  asm volatile(
      "{\n\t"
      ".reg .pred generic;\n\t"
      ".reg .u64 address;\n\t"
      "isspacep.shared generic, %1;\n\t"
      "cvta.to.shared.u64 address, %1;\n\t"
      "selp.b64 address, address, %1, generic;\n\t"
      "cvt.u32.u64 %0, address;\n\t"
      "}"
      : "=r"(warp.tiles)
      : "l"((ulong)tiles));
  return warp;
}

// Begins to copy 16 bytes, which lie at a multiple of 16 on both sides, or to write zeros where not
// `inside`: nothing is read then.
static inline void copy_later(Warp* warp, const uint at, __global const ushort* from,
                              const bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(warp->tiles + at), "l"(from), "r"(inside ? 16 : 0)
               : "memory");
}

// Ends a batch of copies.
static inline void end_batch(Warp* warp) { asm volatile("cp.async.commit_group;" : : : "memory"); }

// Waits for this item's copies, but for those of the latest `count` batches. `count` is a constant.
#define AWAIT_COPIES(warp, count) \
  asm volatile("cp.async.wait_group %0;" : : "n"(count) : "memory")

// Four matrices of 8×8 halves: items 8j … 8j + 7 say where the rows of matrix j begin. Of each
// matrix an item is given elements 2(i % 4) and the next of row i / 4, for i its place in the warp.
static inline void load_matrices(Warp* warp, const uint at, uint* registers) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(warp->tiles + at)
               : "memory");
}

// The same of the turned matrices: rows 2(i % 4) and the next of column i / 4.
static inline void load_matrices_turned(Warp* warp, const uint at, uint* registers) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(warp->tiles + at)
               : "memory");
}

// sums += a · b, 16×8 of them, four an item; a in four registers, b in two.
static inline void multiply_add(Warp* warp, float* sums, const uint* a, const uint* b) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// 2 to a power, within 2^-22 of itself.
static inline float power_of_two(const float exponent) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(exponent));
  return power;
}

// Rounded to the nearest halves, to even between two.
static inline uint packed_halves(const float first, const float second) {
  uint pair;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
}

static inline float2 two_halves(const uint pair) {
  float first;
  float second;
  asm("{\n\t"
      ".reg .b16 low, high;\n\t"
      "mov.b32 {low, high}, %2;\n\t"
      "cvt.f32.f16 %0, low;\n\t"
      "cvt.f32.f16 %1, high;\n\t"
      "}"
      : "=f"(first), "=f"(second)
      : "r"(pair));
  return (float2)(first, second);
}
#endif
