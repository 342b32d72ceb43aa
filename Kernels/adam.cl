// Adam over a run of the parameter arena.

#include "common.cl"

// m += (g − m)(1 − β₁), v += (g² − v)(1 − β₂), w −= rate·m/(√v + ε), where g gains decay·w first for
// the weights before `decayed`.
// `rates` holds the step sizes of the epoch, bias correction included. One work item a weight.
__kernel void adam(__global const float* rates, INOUT(float, w), IN(float, gradient),
                   INOUT(float, m), INOUT(float, v), const float one_minus_beta1,
                   const float one_minus_beta2, const float epsilon, const float decay,
                   const int decayed, const int count, const int step, const int live) {
  const int i = get_global_id(0);
  // No live sample: the kernel is only being compiled.
  if (i >= count || live == 0) return;
  const float weight = AT(w)[i];
  const float g = AT(gradient)[i] + (i < decayed ? decay : 0.0f) * weight;
  const float first = AT(m)[i] + (g - AT(m)[i]) * one_minus_beta1;
  const float second = AT(v)[i] + (g * g - AT(v)[i]) * one_minus_beta2;
  AT(m)[i] = first;
  AT(v)[i] = second;
  AT(w)[i] = weight - rates[step] * first / (sqrt(second) + epsilon);
}
