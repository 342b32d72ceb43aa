// Weights rounded to halves, for kernels that read them so.

#include "common.cl"

#ifndef GROUP_ITEMS
#define GROUP_ITEMS 256
#endif

// copies[to + i] = weights[from + i] for i < count: group g does what entry g of the table says,
// (from, to, count).
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1))) void copy_weights(
    IN(float, weights), OUT(half, copies), __global const int* table) {
  __global const int* entry = table + get_group_id(0) * 3;
  for (int i = get_local_id(0); i < entry[2]; i += GROUP_ITEMS) {
    vstore_half_rte(AT(weights)[entry[0] + i], entry[1] + i, AT(copies));
  }
}
