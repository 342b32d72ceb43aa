// Products of plain matrices, one or one a sample and head: dense layers, and attention's
// projections and scores, where CLBlast does not make them. The products are those of product.cl
// with one tap.
//
// Matrices are row-major with a stride a row. Matrix (b, h) of a batch, sample b of `samples`, head
// h of `heads`, begins b·sample + h·head elements after the first; a product of one matrix has one
// of each. The third dimension of the groups counts heads, then samples. Without a live sample there
// are no rows, in place of a return: PoCL 3.1 makes wrong sums of one before these barriers.
//
// build: -DPART=1 -DTILE_ROWS=128 -DTILE_COLUMNS=64 -DITEM_ROWS=8 -DVECTORS=1
// build: -DPART=2 -DTILE_ROWS=64 -DTILE_COLUMNS=64 -DITEM_ROWS=4 -DVECTORS=1
// build: -DPART=3 -DTILE_ROWS=32 -DTILE_COLUMNS=32 -DITEM_ROWS=4 -DVECTORS=1
// build: -DPART=1 -DTILE_ROWS=128 -DTILE_COLUMNS=64 -DITEM_ROWS=8 -DVECTORS=1 -DLEFT_HALVES=1 -DRIGHT_HALVES=0 -DRESULT_HALVES=0
// build: -DPART=2 -DTILE_ROWS=64 -DTILE_COLUMNS=64 -DITEM_ROWS=4 -DVECTORS=1 -DLEFT_HALVES=0 -DRIGHT_HALVES=0 -DRESULT_HALVES=1
// build: -DPART=3 -DTILE_ROWS=64 -DTILE_COLUMNS=64 -DITEM_ROWS=4 -DVECTORS=1 -DHALF_STORAGE=1

#include "common.cl"
#include "product.cl"

#ifndef PART
#define PART 0
#endif

// Which of the matrices are stored as halves, each by itself: products of activations with a time
// axis, of others, and of both.
#if LEFT_HALVES
#define LEFT half
#else
#define LEFT float
#endif
#if RIGHT_HALVES
#define RIGHT half
#else
#define RIGHT float
#endif
#if RESULT_HALVES
#define RESULT half
#else
#define RESULT float
#endif

#define MATRIX(type, element, name) \
  type(element, name), const int name##_stride, const int name##_sample, const int name##_head
#define BATCH_OFFSET(name) \
  ((size_t)(z / heads) * name##_sample + (size_t)(z % heads) * name##_head)

#if PART == 0 || PART == 1
// c[r, n] = bias[n] + scale · Σ_k a[r, k] · b[k, n]; bias where has_bias says so.
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1), vec_type_hint(float4)))
void matrix_product(
    MATRIX(IN, LEFT, a), MATRIX(IN, float, b), IN(float, bias), const int has_bias,
    MATRIX(OUT, RESULT, c),
    const float scale, const int rows, const int columns, const int depth, const int samples,
    const int heads) {
  TILES;
  const int z = get_group_id(2);
  rows_product(AT(a) + BATCH_OFFSET(a), a_stride, AT(b) + BATCH_OFFSET(b), b_stride, false,
               has_bias ? AT(bias) : 0, 0, scale, AT(c) + BATCH_OFFSET(c), c_stride,
               z < samples * heads ? rows : 0, columns, INT_MAX, 1, depth, 0, 0, left_tile,
               right_tile);
}
#endif

#if PART == 0 || PART == 2
// c[r, n] = bias[n] + scale · Σ_k a[r, k] · b[n, k]
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1), vec_type_hint(float4)))
void matrix_product_turned(
    MATRIX(IN, LEFT, a), MATRIX(IN, float, b), IN(float, bias), const int has_bias,
    MATRIX(OUT, RESULT, c),
    const float scale, const int rows, const int columns, const int depth, const int samples,
    const int heads) {
  TILES;
  const int z = get_group_id(2);
  rows_product(AT(a) + BATCH_OFFSET(a), a_stride, AT(b) + BATCH_OFFSET(b), b_stride, true,
               has_bias ? AT(bias) : 0, 0, scale, AT(c) + BATCH_OFFSET(c), c_stride,
               z < samples * heads ? rows : 0, columns, INT_MAX, 1, depth, 0, 0, left_tile,
               right_tile);
}
#endif

#if PART == 0 || PART == 3
// c[m, n] = scale · Σ_r a[r, m] · b[r, n], rows r below `depth`, and sums[n] = Σ_r b[r, n] where
// has_sums says so. The rows may be cut into spans of which each leaves its part, as in conv1d.cl;
// then there is one sample and head, and the third dimension counts the spans.
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1), vec_type_hint(float4)))
void matrix_columns_product(
    MATRIX(IN, LEFT, a), MATRIX(IN, RIGHT, b), OUT(float, sums), const int has_sums,
    MATRIX(OUT, float, c),
    const float scale, const int rows, const int columns, const int depth, const int samples,
    const int heads, const int span, const int part) {
  TILES;
  const int spans = span < depth ? get_num_groups(2) : 1;
  const int z = get_group_id(2) / spans;
  const int first = get_group_id(2) % spans * span;
  const size_t place = get_group_id(2) % spans * (size_t)part;
  columns_product(AT(a) + BATCH_OFFSET(a), a_stride, AT(b) + BATCH_OFFSET(b), b_stride, scale,
                  AT(c) + BATCH_OFFSET(c) + place, c_stride, has_sums ? AT(sums) + place : 0,
                  false, first, z < samples * heads ? min(depth, first + span) : 0, columns,
                  INT_MAX, 1, rows, 0, 0, left_tile, right_tile);
}
#endif

// c[r, n] = bias[n]: what a product of CLBlast is then added to.
__kernel void fill_rows(IN(float, bias), OUT(float, c), const int c_stride, const int columns,
                        const int rows) {
  const int i = get_global_id(0);
  if (i < rows * columns) AT(c)[(size_t)(i / columns) * c_stride + i % columns] = AT(bias)[i % columns];
}
