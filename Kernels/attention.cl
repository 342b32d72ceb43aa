// The rows of softmax in self-attention, where every intermediate tensor is written. For each sample
// and head, with q, k, v [T, K] the projections of the input X [T, C]:
//   S[t, s] = Σ_j q[t, j]·k[s, j] / √K,  P = softmax over s,  D = dropout(P),
//   context[t, j] = Σ_s D[t, s]·v[s, j],  output = context·Wo + bo.
// Tensors with heads lie as [B, T, H, K] and [B, H, T, T]. The products are those of dense.cl or of
// CLBlast, dropout is that of dropout.cl.

#include "common.cl"
#include "reduce.cl"

#define ACROSS 64  // items that share a row; a group has GROUP_ITEMS / ACROSS rows

// The largest value of a row, for every item of the row; otherwise as `row_sum`.
static inline float row_largest(__local float* values, const float value) {
  const int item = get_local_id(0), column = item % ACROSS;
  values[item] = value;
  for (int reach = ACROSS / 2; reach >= 1; reach /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (column < reach) values[item] = fmax(values[item], values[item + reach]);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  const float result = values[item - column];
  barrier(CLK_LOCAL_MEM_FENCE);
  return result;
}

// Softmax of each of `rows` rows of scores [rows, time], in place.
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1))) void attention_softmax(
    INOUT(float, scores), const int time, const int rows) {
  __local float shared[GROUP_ITEMS];
  const int row = get_global_id(0) / ACROSS, first = get_local_id(0) % ACROSS;
  const int end = row < rows ? time : 0;
  __global float* values = AT(scores) + (ulong)row * time;
  float top = -INFINITY;
  for (int s = first; s < end; s += ACROSS) top = fmax(top, values[s]);
  top = row_largest(shared, top);
  float total = 0.0f;
  for (int s = first; s < end; s += ACROSS) {
    const float e = exp(values[s] - top);
    values[s] = e;
    total += e;
  }
  total = row_sum(shared, total, ACROSS);
  for (int s = first; s < end; s += ACROSS) values[s] /= total;
}

// Gradient of the scores from that of the probabilities, in place:
// d ← P ∘ (d − Σ_s P∘d), both [rows, time].
__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1))) void attention_softmax_backward(
    IN(float, probabilities), INOUT(float, gradient), const int time, const int rows) {
  __local float shared[GROUP_ITEMS];
  const int row = get_global_id(0) / ACROSS, first = get_local_id(0) % ACROSS;
  const int end = row < rows ? time : 0;
  __global const float* p = AT(probabilities) + (ulong)row * time;
  __global float* d = AT(gradient) + (ulong)row * time;
  float inner = 0.0f;
  for (int s = first; s < end; s += ACROSS) inner += p[s] * d[s];
  inner = row_sum(shared, inner, ACROSS);
  for (int s = first; s < end; s += ACROSS) d[s] = p[s] * (d[s] - inner);
}
