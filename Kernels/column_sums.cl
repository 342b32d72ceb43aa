// Sums of the columns of a matrix, in a fixed order.
//
// build: -DLOSS_SCALING

#include "common.cl"
#include "table.cl"

// Columns of a group of items, and how many items share a column.
#ifndef GROUP_ITEMS
#define GROUP_ITEMS 256
#endif
#define ACROSS 32
#define DOWN (GROUP_ITEMS / ACROSS)

// y[j] = Σ_r x[r, j] for x [R, columns] with `stride` elements a row, R = ⌈count / per⌉: in group row
// g over `span` rows from g·span on, into row g of y. Columns from `split` on go to `rest` instead,
// from its beginning (one group row alone). Item (j, i) of a group adds every DOWN-th row from the
// i-th on; then the DOWN sums are added in order.
__kernel __attribute__((reqd_work_group_size(ACROSS, DOWN, 1))) void column_sums(
    IN(float, x), OUT(float, y), OUT(float, rest), const int count, const int per, const int span,
    const int stride, const int columns, const int split) {
  __local float sums[DOWN * ACROSS];
  const int across = get_local_id(0);
  const int down = get_local_id(1);
  const int column = get_group_id(0) * ACROSS + across;
  const int first = get_group_id(1) * span;
  const int end = min((count + per - 1) / per, first + span);
  float sum = 0.0f;
  if (column < columns) {
    __global const float* place = AT(x) + column;
    for (int row = first + down; row < end; row += DOWN) sum += place[(size_t)row * stride];
  }
  sums[down * ACROSS + across] = sum;
  barrier(CLK_LOCAL_MEM_FENCE);
  if (down > 0 || column >= columns || first >= end) return;
  for (int i = 1; i < DOWN; ++i) sum += sums[i * ACROSS + across];
  if (column < split) {
    AT(y)[get_group_id(1) * (size_t)split + column] = sum;
  } else {
    AT(rest)[column - split] = sum;
  }
}

// The last stage of many such sums, from one buffer into another: entry e of the table is
// (first group, place in x, place in y, that of the rest, columns, split, stride, span, time), its
// rows R = ⌈live·time / span⌉; otherwise as above, and the same bits.
//
// In a build with LOSS_SCALING the sums are gradients, of which it is noted where one overflows; and
// of an entry without time, of the `columns` gradients that there are in y already: SEARCHED of them a
// group.
#define FIELDS 9
#define SEARCHED 4096
__kernel __attribute__((reqd_work_group_size(ACROSS, DOWN, 1))) void column_sums_of_table(
    SCALING IN(float, x), OUT(float, y), __global const int* table, const int entries,
    const int live) {
  __local float sums[DOWN * ACROSS];
  const int across = get_local_id(0);
  const int down = get_local_id(1);
  const int group = get_group_id(0);
  int place = 0;
  for (int e = 1; e < entries; ++e) place += group >= table[e * FIELDS];
  __global const int* entry = table + place * FIELDS;
  const int column = (group - entry[0]) * ACROSS + across;
  const int rows = column < entry[4] ? (live * entry[8] + entry[7] - 1) / entry[7] : 0;
  __global const float* from = AT(x) + entry[1] + column;
  float sum = 0.0f;
  for (int row = down; row < rows; row += DOWN) sum += from[(size_t)row * entry[6]];
  sums[down * ACROSS + across] = sum;
  barrier(CLK_LOCAL_MEM_FENCE);
#ifdef LOSS_SCALING
  const int first = (group - entry[0]) * SEARCHED;
  const int end = entry[8] == 0 ? min(entry[4], first + SEARCHED) : first;
  uint found = 0;
  for (int i = first + down * ACROSS + across; i < end; i += DOWN * ACROSS) {
    found |= overflows(AT(y)[entry[2] + i]);
  }
  if (found) scaling->now.overflow = 1;
#endif
  if (down > 0 || rows == 0) return;
  for (int i = 1; i < DOWN; ++i) sum += sums[i * ACROSS + across];
  const int split = entry[5];
  AT(y)[column < split ? entry[2] + column : entry[3] + column - split] = sum;
#ifdef LOSS_SCALING
  if (overflows(sum)) scaling->now.overflow = 1;
#endif
}
