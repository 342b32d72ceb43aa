// Softmax, cross-entropy from logits, and the L2 penalty.

// build: -DLOSS_SCALING

#include "common.cl"
#include "softmax.cl"
#include "table.cl"

#define GROUP 64
// Of a group's items, which all have its sum, the one that writes it.
#define WRITES_GROUP (get_local_id(0) == 0)

// `[B, classes]`, one work item a row.
__kernel void softmax(IN(float, logits), OUT(float, probabilities), const int classes,
                      const int live) {
  const int b = get_global_id(0);
  if (b >= live) return;
  const float2 of_row = softmax_sums(AT(logits) + b * classes, classes);
  for (int c = 0; c < classes; ++c) {
    AT(probabilities)[b * classes + c] = probability(AT(logits)[b * classes + c], of_row);
  }
}

// The whole loss in one work-group: probabilities `[B, classes]`, the step's result, and, where
// asked for, the logits' gradient weight/live·(p − target), with which a step begins. The penalty is
// coefficient·Σ squares `[partials]`.
__kernel void softmax_cross_entropy(SCALING __global struct step_result* results, IN(float, logits),
                                    IN(float, targets), IN(float, weights),
                                    OUT(float, probabilities), OUT(float, gradient),
                                    IN(float, squares), const int partials,
                                    const float coefficient, const int classes,
                                    const float smoothing,
                                    const int writes_gradient, const int step,
                                    const int live) {
  __local float losses[GROUP];
  __local int hits[GROUP];
  __local float penalties[GROUP];
  const int item = get_local_id(0);
  const float scale = 1.0f / live;
  float loss = 0.0f;
  int hit = 0;
  for (int b = item; b < live; b += GROUP) {
    __global const float* x = AT(logits) + b * classes;
    __global const float* y = AT(targets) + b * classes;
    __global float* p = AT(probabilities) + b * classes;
    const float2 of_row = softmax_sums(x, classes);
    const float weight = AT(weights)[b];
    loss += row_loss(x, y, p, of_row, weight, classes, smoothing);
    for (int c = 0; writes_gradient && c < classes; ++c) {
      AT(gradient)[b * classes + c] =
          loss_gradient(x[c], y[c], of_row, weight * scale, classes, smoothing) *
          NEXT_LOSS_SCALE;
    }
    hit += first_maximum(p, classes) == first_maximum(y, classes) ? 1 : 0;
  }
  float penalty = 0.0f;
  for (int i = item; i < partials; i += GROUP) penalty += AT(squares)[i];
  losses[item] = loss;
  hits[item] = hit;
  penalties[item] = penalty;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int half_group = GROUP / 2; half_group > 0; half_group /= 2) {
    if (item < half_group) {
      losses[item] += losses[item + half_group];
      hits[item] += hits[item + half_group];
      penalties[item] += penalties[item + half_group];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (WRITES_GROUP) {
    if (writes_gradient) BEGIN_SCALED_STEP;
    results[step].loss = losses[0] * scale;
    results[step].penalty = coefficient * penalties[0];
    results[step].hits = hits[0];
  }
}

// Sum of a value of every item of a group of GROUP, in a fixed order.
static inline float group_sum(const float value, __local float* sums) {
  const int item = get_local_id(0);
  sums[item] = value;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int half_group = GROUP / 2; half_group > 0; half_group /= 2) {
    if (item < half_group) sums[item] += sums[item + half_group];
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  return sums[0];
}

// partial `[groups]` at `first`: each group's share of Σw² over `[count]`.
__kernel void sum_of_squares(IN(float, w), OUT(float, partial), const int first,
                             const int count) {
  __local float sums[GROUP];
  float sum = 0.0f;
  const int stride = get_global_size(0);
  for (int i = get_global_id(0); i < count; i += stride) sum += AT(w)[i] * AT(w)[i];
  const float total = group_sum(sum, sums);
  if (WRITES_GROUP) AT(partial)[first + get_group_id(0)] = total;
}

// The step's penalty gains coefficient·Σ partial. One work-group.
__kernel void add_penalty(__global struct step_result* results, IN(float, partial),
                          const int partials, const float coefficient, const int step) {
  __local float sums[GROUP];
  float sum = 0.0f;
  for (int i = get_local_id(0); i < partials; i += GROUP) sum += AT(partial)[i];
  const float total = group_sum(sum, sums);
  if (WRITES_GROUP) results[step].penalty += coefficient * total;
}
