// Small dense layers with what stands around them, where a launch costs as much as its work: for
// each row of x [R, I], with weights W [I, O],
//   y = dropout(ReLU(x·W + b))  [R, O],
// and backward. A group's items are LANES rows of WIDTH columns (reduce.cl); each takes ROWS rows of
// x or of the result, so that a weight that was read serves several. Several jobs share a launch:
// groups below a number that does not depend on the batch do one, the others the other, and all meet
// the same barriers.
//
// build: -DWIDTH=32
// build: -DWIDTH=8
// build: -DWIDTH=8 -DLOSS_SCALING
// build: -DWIDTH=32 -DLOSS_SCALING

#include "common.cl"
#include "random.cl"
#include "reduce.cl"
#include "softmax.cl"
#include "table.cl"

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
  const int across = (outputs + WIDTH - 1) / WIDTH;
  const int is_product = (int)get_group_id(0) >= square_groups;
  const int group = is_product ? (int)get_group_id(0) - square_groups : 0;
  const int o = group % across * WIDTH + COLUMN;
  const int first = group / across * ROWS;
  const int end = is_product && o < outputs && first < rows ? inputs : 0;
  float totals[ROWS] = {0.0f, 0.0f, 0.0f, 0.0f};
  for (int i = LANE; i < end; i += LANES) {
    const float weight = AT(w)[i * outputs + o];
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      totals[r] = mad(AT(x)[within(first + r, rows) * inputs + i], weight, totals[r]);
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
  const int i = row * outputs + o;
  float value = mine + AT(bias)[o];
  if (activates) value = relu(value) * keep_scale;
  if (threshold) {
    const uint4 words = philox_block(
        i >> 3, stream, header->first_iteration + step, (uint2)(key0, key1));
    if (philox_lane(words, i & 7) < threshold) value = 0.0f;
  }
  AT(y)[i] = value;
}

// The loss of the last layer's logits [R, O], and through that layer and the block before it, whose
// output is h [R, I]: with the gradient at the logits g [R, O], dw [I, O] = hᵀ·g, db [O], and at the
// block's own sums dx [R, I] = g·Wᵀ·keep_scale where h is above zero. The first group makes the loss,
// as `softmax_cross_entropy` does; then come those for dw and db, a column an element; then those for
// dx, an item an element. Each group makes what it needs of g from the logits: all go through the
// rows, as many as there are items at a time, of which each leaves its row's sums.
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1))) void dense_loss_backward(
    SCALING __global struct step_result* results, IN(float, logits), IN(float, targets),
    IN(float, weights), OUT(float, probabilities), IN(float, squares), const int partials,
    const float coefficient, const float smoothing, IN(float, h), IN(float, w), OUT(float, dw),
    OUT(float, db), OUT(float, dx), const float keep_scale, const int inputs, const int outputs,
    const int width, const int step, const int rows) {
  __local float sums[GROUP_ITEMS];
  __local float2 of_rows[GROUP_ITEMS];
  const int kernels = ((inputs + 1) * outputs + WIDTH - 1) / WIDTH;
  const int group = (int)get_group_id(0) - 1, item = get_local_id(0);
  const int element = max(group, 0) * WIDTH + COLUMN;
  const int i = element / outputs, o = element % outputs;
  const bool is_loss = group < 0, is_kernel = !is_loss && group < kernels && i <= inputs;
  const int place = (group - kernels) * GROUP_ITEMS + item;
  const int own_row = group < kernels ? rows : place / inputs;
  __global const float* own_weights = AT(w) + max(place, 0) % inputs * outputs;
  const float share = 1.0f / rows;

  float sum = 0.0f, through = 0.0f, loss = 0.0f, hits = 0.0f;
  for (int first = 0; first < rows; first += GROUP_ITEMS) {
    const int b = first + item, last = min(rows, first + GROUP_ITEMS);
    const float2 of_row = softmax_sums(AT(logits) + within(b, rows) * outputs, outputs);
    barrier(CLK_LOCAL_MEM_FENCE);
    of_rows[item] = of_row;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (is_loss && b < rows) {
      __global const float* y = AT(targets) + b * outputs;
      __global float* p = AT(probabilities) + b * outputs;
      loss += row_loss(AT(logits) + b * outputs, y, p, of_row, AT(weights)[b], outputs, smoothing);
      hits += first_maximum(p, outputs) == first_maximum(y, outputs) ? 1.0f : 0.0f;
    }
    const int end = is_kernel ? last : first;
    for (int r = first + LANE; r < end; r += LANES) {
      const float g = loss_gradient(AT(logits)[r * outputs + o], AT(targets)[r * outputs + o],
                                    of_rows[r - first], AT(weights)[r] * share, outputs, smoothing);
      sum = mad(i < inputs ? AT(h)[r * inputs + i] : 1.0f, g * NEXT_LOSS_SCALE, sum);
    }
    const int outputs_end = own_row >= first && own_row < last ? outputs : 0;
    for (int k = 0; k < outputs_end; ++k) {
      const int at = own_row * outputs + k;
      const float g = loss_gradient(AT(logits)[at], AT(targets)[at], of_rows[own_row - first],
                                    AT(weights)[own_row] * share, outputs, smoothing);
      through = mad(g * NEXT_LOSS_SCALE, own_weights[k], through);
    }
  }
  sum = column_sum(sums, sum, WIDTH);
  float penalty = 0.0f;
  const int squares_end = is_loss ? partials : 0;
  for (int k = item; k < squares_end; k += GROUP_ITEMS) penalty += AT(squares)[k];
  loss = column_sum(sums, loss, 1);
  hits = column_sum(sums, hits, 1);
  penalty = column_sum(sums, penalty, 1);
  if (is_loss && item == 0 && rows > 0) {
    BEGIN_SCALED_STEP;
    results[step].loss = loss * share;
    results[step].penalty = coefficient * penalty;
    results[step].hits = (int)hits;
  }
  if (WRITES_COLUMN && is_kernel && rows > 0) {
    if (i < inputs) AT(dw)[element] = sum;
    else AT(db)[o] = sum;
  }
  if (own_row < rows) AT(dx)[place] = AT(h)[place] > 0.0f ? through * keep_scale : 0.0f;
}

// dw [I, O] = xᵀ·g, db [O], and dx [R, I] = g·Wᵀ. Groups first for dw and, as its row I, db: an item
// makes ROWS rows of a column; then for dx: the columns of a lane share the sum of one of its
// elements, for ROWS rows.
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1))) void dense_backward(
    IN(float, x), IN(float, w), IN(float, g), OUT(float, dw), OUT(float, db), OUT(float, dx),
    const int inputs, const int outputs, const int width, const int rows) {
  __local float sums[GROUP_ITEMS];
  const int across = (outputs + WIDTH - 1) / WIDTH;
  const int kernels = (inputs + ROWS * LANES) / (ROWS * LANES) * across;
  const int group = get_group_id(0), is_kernel = group < kernels;
  const int o = group % across * WIDTH + COLUMN;
  const int top = (group / across * LANES + LANE) * ROWS;
  float totals[ROWS] = {0.0f, 0.0f, 0.0f, 0.0f};
  const int end = is_kernel && o < outputs && top <= inputs ? rows : 0;
  for (int b = 0; b < end; ++b) {
    const float gradient = AT(g)[b * outputs + o];
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      const float factor = top + r < inputs ? AT(x)[b * inputs + top + r] : 1.0f;
      totals[r] = mad(factor, gradient, totals[r]);
    }
  }
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    if (end > 0 && top + r < inputs) AT(dw)[(top + r) * outputs + o] = totals[r];
    if (end > 0 && top + r == inputs) AT(db)[o] = totals[r];
  }

  const int tall = (inputs + LANES - 1) / LANES;
  const int rest = is_kernel ? 0 : group - kernels;
  const int i = rest % tall * LANES + LANE;
  const int first = rest / tall * ROWS;
  const int last = is_kernel ? 0 : outputs;
  float shares[ROWS] = {0.0f, 0.0f, 0.0f, 0.0f};
  for (int k = COLUMN; k < last; k += WIDTH) {
    const float weight = AT(w)[within(i, inputs) * outputs + k];
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      shares[r] = mad(AT(g)[within(first + r, rows) * outputs + k], weight, shares[r]);
    }
  }
  float mine = 0.0f;
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    const float total = row_sum(sums, shares[r], WIDTH);
    if (COLUMN == r) mine = total;
  }
  const int row = first + COLUMN;
  if (!is_kernel && i < inputs && COLUMN < ROWS && row < rows) AT(dx)[row * inputs + i] = mine;
}
