// The products of dense.cl on tensor cores, of one matrix each: factors are halves, biases, column
// sums and the results of products over rows floats, other results halves or floats (HALF_RESULT).
// Strides, and the widths along which factors are read, are multiples of eight (see
// tensor_core_product.cl).
//
// instructions: HMMA LDSM LDGSTS
// build: -DPART=2
// build: -DPART=3
// build: -DPART=1 -DHALF_RESULT=0 -DRESULT_CHUNKS=1
// build: -DPART=1 -DTILE_ROWS=128 -DTILE_COLUMNS=128 -DWARPS_DOWN=2 -DWARPS_ACROSS=4 -DRESULT_CHUNKS=1
// build: -DPART=2 -DTILE_ROWS=64 -DTILE_COLUMNS=64 -DWARPS_DOWN=2 -DWARPS_ACROSS=2 -DHALF_RESULT=0
// build: -DPART=3 -DTILE_ROWS=64 -DTILE_COLUMNS=64 -DWARPS_DOWN=2 -DWARPS_ACROSS=2 -DRESULT_CHUNKS=1

#include "common.cl"
#include "tensor_core_product.cl"

#define MATRIX(access, type, name) access(type, name), const int name##_stride

#define ROWS_PRODUCT                                                                        \
  TILES;                                                                                    \
  const Sequences left = {AT(a), a_stride, INT_MAX, 1, depth, 0, 0};                        \
  const Factor right = {AT(b), b_stride, columns};                                          \
  rows_product(&warp, tiles, left, right, has_bias ? AT(bias) : 0, 0, scale, AT(c), c_stride, \
               rows, 0)

#if PART == 1
// c[r, n] = bias[n] + scale · Σ_k a[r, k] · b[k, n]; bias where has_bias says so.
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1), vec_type_hint(float4)))
void matrix_product(
    MATRIX(IN, ushort, a), MATRIX(IN, ushort, b), IN(float, bias), const int has_bias,
    MATRIX(OUT, RESULT, c), const float scale, const int rows, const int columns, const int depth) {
  ROWS_PRODUCT;
}
#endif

#if PART == 2
// c[r, n] = bias[n] + scale · Σ_k a[r, k] · b[n, k]
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1), vec_type_hint(float4)))
void matrix_product_turned(
    MATRIX(IN, ushort, a), MATRIX(IN, ushort, b), IN(float, bias), const int has_bias,
    MATRIX(OUT, RESULT, c), const float scale, const int rows, const int columns, const int depth) {
  ROWS_PRODUCT;
}
#endif

#if PART == 3
// c[m, n] = scale · Σ_r a[r, m] · b[r, n], rows r below `depth`, and sums[n] = Σ_r b[r, n] where
// has_sums says so; cut into spans as in dense.cl, multiples of TILE_DEPTH.
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1), vec_type_hint(float4)))
void matrix_columns_product(
    MATRIX(IN, ushort, a), MATRIX(IN, ushort, b), OUT(float, sums), const int has_sums,
    MATRIX(OUT, float, c), const float scale, const int rows, const int columns, const int depth,
    const int span, const int part) {
  TILES;
  const int first = get_group_id(2) * span;
  const size_t place = get_group_id(2) * (size_t)part;
  const Sequences left = {AT(a), a_stride, INT_MAX, 1, rows, 0, 0};
  const Factor right = {AT(b), b_stride, columns};
  columns_product(&warp, tiles, left, right, scale, AT(c) + place, c_stride,
                  has_sums ? AT(sums) + place : 0, false, get_group_id(0) * TILE_ROWS,
                  get_group_id(1) * TILE_COLUMNS, first, min(depth, first + span));
}
#endif
