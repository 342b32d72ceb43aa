// Softmax, cross-entropy from logits, and the L2 penalty.

// build: -DLOSS_SCALING

#include "common.cl"
#include "table.cl"

#define GROUP 64
// Of a group's items, which all have its sum, the one that writes it.
#define WRITES_GROUP (get_local_id(0) == 0)

// p = exp(x − max) / Σ exp(x − max) of a row; returns log Σ exp(x).
static inline float softmax_row(__global const float* x, __global float* p, const int classes) {
  float largest = x[0];
  for (int c = 1; c < classes; ++c) largest = fmax(largest, x[c]);
  float sum = 0.0f;
  for (int c = 0; c < classes; ++c) sum += exp(x[c] - largest);
  for (int c = 0; c < classes; ++c) p[c] = exp(x[c] - largest) / sum;
  return largest + log(sum);
}

// `[B, classes]`, one work item a row.
__kernel void softmax(IN(float, logits), OUT(float, probabilities), const int classes,
                      const int live) {
  const int b = get_global_id(0);
  if (b >= live) return;
  softmax_row(AT(logits) + b * classes, AT(probabilities) + b * classes, classes);
}

// Offset of the first of the largest values.
static inline int first_maximum(__global const float* row, const int classes) {
  int best = 0;
  for (int c = 1; c < classes; ++c) {
    if (row[c] > row[best]) best = c;
  }
  return best;
}

// The whole loss in one work-group: probabilities `[B, classes]`, the step's result, and, where
// asked for, the logits' gradient weight/live·(p − target). Targets are smoothed here. The penalty is
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
    const float log_sum = softmax_row(x, p, classes);
    const float weight = AT(weights)[b];
    for (int c = 0; c < classes; ++c) {
      const float target = y[c] * (1.0f - smoothing) + smoothing / classes;
      loss += weight * target * (log_sum - x[c]);
      if (writes_gradient) {
        AT(gradient)[b * classes + c] = weight * scale * (p[c] - target) * LOSS_SCALE;
      }
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
