// One product on the tensor cores, by all the instructions of tensor_core.cl: a device on which
// this compiles, and leaves the product, can run the kernels of the other tensor_core files. A
// driver that took a pointer for something else would end the context in which this runs: give it
// its own. A compiler that does not know PTX makes a kernel that leaves nothing.
//
// instructions: HMMA LDSM LDGSTS

#define STAGES 2
#define BATCH_COPIES 2
#include "common.cl"
#include "tensor_core.cl"

// c[r, n] = Σ_k a[r, k] · b[k, n] for a [16, 16], b [16, 8] halves and c [16, 8] floats; and
// rounded to halves in `rounded`. Chunks of eight halves lie line under line in local memory, those
// of a's first eight columns before the others.
__kernel __attribute__((reqd_work_group_size(WARP, 1, 1), vec_type_hint(float4)))
void tensor_core_probe(
    IN(ushort, a), IN(ushort, b), OUT(float, c), OUT(uint, rounded)) {
#if HAS_TENSOR_CORES
  TILE_MEMORY(768, WARP);
  const int lane = get_local_id(0);
  copy_later(&warp, lane * 16, AT(a) + lane % 16 * 16 + lane / 16 * 8, true);
  copy_later(&warp, 512 + lane % 16 * 16, AT(b) + lane % 16 * 8, true);
  end_batch(&warp);
  AWAIT_COPIES(&warp, 0);
  barrier(CLK_LOCAL_MEM_FENCE);
  uint left[4];
  uint right[4];
  load_matrices(&warp, lane * 16, left);
  load_matrices_turned(&warp, 512 + lane % 16 * 16, right);
  float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  multiply_add(&warp, sums, left, right);
  for (int i = 0; i < 2; ++i) {
    const int place = (lane / 4 + i * 8) * 8 + lane % 4 * 2;
    AT(c)[place] = sums[2 * i];
    AT(c)[place + 1] = sums[2 * i + 1];
    AT(rounded)[place / 2] = packed_halves(sums[2 * i], sums[2 * i + 1]);
  }
#endif
}
