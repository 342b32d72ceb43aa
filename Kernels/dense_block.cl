// Small dense layers with what stands around them, where a launch costs as much as its work: for
// each row of x [R, I], with weights W [I, O],
//   y = dropout(ReLU(x·W + b))  [R, O],
// and backward. A group's items are LANES rows of WIDTH columns (reduce.cl); each takes ROWS rows of
// x or of the result, so that a weight that was read serves several. Several jobs share a launch:
// groups below a number that does not depend on the batch do one, the others the other, and all meet
// the same barriers.
//
// build: -DINPUTS=512 -DOUTPUTS=512 -DWIDTH=32
// build: -DINPUTS=512 -DOUTPUTS=5 -DWIDTH=8

#include "common.cl"
#include "random.cl"
#include "reduce.cl"
#include "table.cl"

#ifndef INPUTS
#define INPUTS inputs
#define OUTPUTS outputs
#endif
#define ROWS 4

// y; `activates`: through ReLU and dropout. The first `square_groups` groups leave sums of squares of
// `decayed` [decayed_count] instead, which the penalty is made of: WIDTH each.
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1))) void dense_block_forward(
    __global const struct table_header* header, IN(float, x), IN(float, w), IN(float, bias),
    OUT(float, y), IN(float, decayed), OUT(float, squares), const int decayed_count,
    const int square_groups, const int activates, const uint threshold, const float keep_scale,
    const uint stream, const uint key0, const uint key1, const int inputs, const int outputs,
    const int width, const int step, const int rows) {
  __local float sums[GROUP_ITEMS];
  const int across = (OUTPUTS + WIDTH - 1) / WIDTH;
  const int is_product = (int)get_group_id(0) >= square_groups;
  const int group = is_product ? (int)get_group_id(0) - square_groups : 0;
  const int o = group % across * WIDTH + COLUMN;
  const int first = group / across * ROWS;
  const int end = is_product && o < OUTPUTS && first < rows ? INPUTS : 0;
  float totals[ROWS] = {0.0f, 0.0f, 0.0f, 0.0f};
  for (int i = LANE; i < end; i += LANES) {
    const float weight = AT(w)[i * OUTPUTS + o];
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      totals[r] += AT(x)[within(first + r, rows) * INPUTS + i] * weight;
    }
  }
  const int last = is_product || rows == 0 ? 0 : decayed_count;
  float squared = 0.0f;
  for (int i = get_global_id(0); i < last; i += square_groups * GROUP_ITEMS) {
    squared += AT(decayed)[i] * AT(decayed)[i];
  }
  totals[0] += squared;
  // Of the row that is this item's to write.
  float mine = 0.0f;
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    const float total = column_sum(sums, totals[r], WIDTH);
    if (LANE == r) mine = total;
  }
  const int row = first + LANE;
  if (WRITES_COLUMN && last > 0) AT(squares)[get_group_id(0) * WIDTH + COLUMN] = mine;
  if (end == 0 || LANE >= ROWS || row >= rows) return;
  const int i = row * OUTPUTS + o;
  float value = mine + AT(bias)[o];
  if (activates) value = relu(value) * keep_scale;
  if (threshold) {
    const uint4 words = philox_block(
        i >> 3, stream, header->first_iteration + step, (uint2)(key0, key1));
    if (philox_lane(words, i & 7) < threshold) value = 0.0f;
  }
  AT(y)[i] = value;
}

// Through the layer behind a block, whose output is h [R, I], and whose gradient at that layer's sums
// is g [R, O]: dw [I, O] = hᵀ·g, db [O], and at the block's own sums dx [R, I] = g·Wᵀ·keep_scale where
// h is above zero. Groups first for dw and db, a column an element; then for dx, an item an element.
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1))) void dense_block_backward(
    IN(float, h), IN(float, w), IN(float, g), OUT(float, dw), OUT(float, db), OUT(float, dx),
    const float keep_scale, const int inputs, const int outputs, const int width,
    const int rows) {
  __local float sums[GROUP_ITEMS];
  const int kernels = ((INPUTS + 1) * OUTPUTS + WIDTH - 1) / WIDTH;
  const int group = get_group_id(0);
  const int element = group * WIDTH + COLUMN;
  const int i = element / OUTPUTS, o = element % OUTPUTS;
  const int end = group < kernels && i <= INPUTS ? rows : 0;
  float sum = 0.0f;
  for (int r = LANE; r < end; r += LANES) {
    sum += (i < INPUTS ? AT(h)[r * INPUTS + i] : 1.0f) * AT(g)[r * OUTPUTS + o];
  }
  sum = column_sum(sums, sum, WIDTH);
  if (WRITES_COLUMN && end > 0) {
    if (i < INPUTS) AT(dw)[element] = sum;
    else AT(db)[o] = sum;
  }
  const int place = (group - kernels) * GROUP_ITEMS + (int)get_local_id(0);
  if (group < kernels || place >= rows * INPUTS) return;
  __global const float* weights = AT(w) + place % INPUTS * OUTPUTS;
  __global const float* gradients = AT(g) + place / INPUTS * OUTPUTS;
  float through = 0.0f;
  for (int k = 0; k < OUTPUTS; ++k) through += gradients[k] * weights[k];
  AT(dx)[place] = AT(h)[place] > 0.0f ? through * keep_scale : 0.0f;
}

// dw [I, O] = xᵀ·g, db [O], and dx [R, I] = g·Wᵀ. Groups first for dw and, as its row I, db: an item
// makes ROWS rows of a column; then for dx: the columns of a lane share the sum of one of its
// elements, for ROWS rows.
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1))) void dense_backward(
    IN(float, x), IN(float, w), IN(float, g), OUT(float, dw), OUT(float, db), OUT(float, dx),
    const int inputs, const int outputs, const int width, const int rows) {
  __local float sums[GROUP_ITEMS];
  const int across = (OUTPUTS + WIDTH - 1) / WIDTH;
  const int kernels = (INPUTS + ROWS * LANES) / (ROWS * LANES) * across;
  const int group = get_group_id(0), is_kernel = group < kernels;
  const int o = group % across * WIDTH + COLUMN;
  const int top = (group / across * LANES + LANE) * ROWS;
  float totals[ROWS] = {0.0f, 0.0f, 0.0f, 0.0f};
  const int end = is_kernel && o < OUTPUTS && top <= INPUTS ? rows : 0;
  for (int b = 0; b < end; ++b) {
    const float gradient = AT(g)[b * OUTPUTS + o];
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      totals[r] += (top + r < INPUTS ? AT(x)[b * INPUTS + top + r] : 1.0f) * gradient;
    }
  }
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    if (end > 0 && top + r < INPUTS) AT(dw)[(top + r) * OUTPUTS + o] = totals[r];
    if (end > 0 && top + r == INPUTS) AT(db)[o] = totals[r];
  }

  const int tall = (INPUTS + LANES - 1) / LANES;
  const int rest = is_kernel ? 0 : group - kernels;
  const int i = rest % tall * LANES + LANE;
  const int first = rest / tall * ROWS;
  const int last = is_kernel ? 0 : OUTPUTS;
  float shares[ROWS] = {0.0f, 0.0f, 0.0f, 0.0f};
  for (int k = COLUMN; k < last; k += WIDTH) {
    const float weight = AT(w)[within(i, INPUTS) * OUTPUTS + k];
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      shares[r] += AT(g)[within(first + r, rows) * OUTPUTS + k] * weight;
    }
  }
  float mine = 0.0f;
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    const float total = row_sum(sums, shares[r], WIDTH);
    if (COLUMN == r) mine = total;
  }
  const int row = first + COLUMN;
  if (!is_kernel && i < INPUTS && COLUMN < ROWS && row < rows) AT(dx)[row * INPUTS + i] = mine;
}
