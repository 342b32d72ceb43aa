// Adam over a run of the parameter arena. Where the loss is scaled: gradients are divided by the
// scale, and a step in which one of them overflows is left out.
//
// build: -DLOSS_SCALING
// build: -DLOSS_SCALING -DWEIGHT_COPIES

#include "common.cl"
#include "table.cl"

// In a build with WEIGHT_COPIES some weights have copies that are rounded to halves, which are
// written with them. The table says first for each work-group in which piece of the run it begins;
// then for each piece where it ends, and how far beyond its weights in the run its copies are
// among the copies, or NO_COPY.
#define NO_COPY INT_MIN
#ifdef WEIGHT_COPIES
#define COPIES , OUT(half, copies), __global const int* table
#else
#define COPIES
#endif

#ifdef LOSS_SCALING
#define SCHEDULE , const int growth_steps, const float largest
#define LOSS_SCALE scaling->now.scale
#define OVERFLOWS scaling->now.overflow
#define SKIPPED_STEPS (int)scaling->now.skipped_steps

// What holds after a step: the scale is halved where it overflowed, and doubled after so many good
// steps, as long as it is below `largest`.
static inline struct loss_scale after_step(const struct loss_scale now, const int growth_steps,
                                           const float largest) {
  const uint good_steps = now.overflow ? 0 : now.good_steps + 1;
  const bool grows = good_steps >= (uint)growth_steps;
  struct loss_scale next;
  next.scale = now.overflow                      ? fmax(0.5f * now.scale, 1.0f)
               : grows && now.scale < largest ? 2.0f * now.scale
                                                 : now.scale;
  next.good_steps = grows ? 0 : good_steps;
  next.skipped_steps = now.skipped_steps + now.overflow;
  next.overflow = 0;
  return next;
}
#else
#define SCHEDULE
#define LOSS_SCALE 1.0f
#define OVERFLOWS false
#define SKIPPED_STEPS 0
#endif

// m += (g − m)(1 − β₁), v += (g² − v)(1 − β₂), w −= rate·m/(√v + ε), where g gains decay·w first for
// the weights before `decayed`.
// `rates` holds the step sizes of the epoch, bias correction included. A step that was left out
// does not count: the next takes its rate. One work item a weight; the first says how the loss is
// scaled next.
__kernel void adam(SCALING __global const struct table_header* header,
                   __global const float* rates, INOUT(float, w), IN(float, gradient),
                   INOUT(float, m), INOUT(float, v), const float one_minus_beta1,
                   const float one_minus_beta2, const float epsilon, const float decay,
                   const int decayed, const int count, const int step, const int live SCHEDULE COPIES) {
  const int i = get_global_id(0);
  // No live sample: the kernel is only being compiled.
  if (i >= count || live == 0) return;
#ifdef LOSS_SCALING
  if (i == 0) scaling->next = after_step(scaling->now, growth_steps, largest);
#endif
  if (OVERFLOWS) return;
  const float weight = AT(w)[i];
  const float g = AT(gradient)[i] / LOSS_SCALE + (i < decayed ? decay : 0.0f) * weight;
  const float first = AT(m)[i] + (g - AT(m)[i]) * one_minus_beta1;
  const float second = AT(v)[i] + (g * g - AT(v)[i]) * one_minus_beta2;
  AT(m)[i] = first;
  AT(v)[i] = second;
  const float rate = rates[max(0, header->earlier_rates + step - SKIPPED_STEPS)];
  const float updated = weight - rate * first / (sqrt(second) + epsilon);
  AT(w)[i] = updated;
#ifdef WEIGHT_COPIES
  __global const int* pieces = table + get_num_groups(0);
  int piece = table[get_group_id(0)];
  while (i >= pieces[2 * piece]) ++piece;
  const int shift = pieces[2 * piece + 1];
  if (shift != NO_COPY) vstore_half_rte(updated, i + shift, AT(copies));
#endif
}

// Sets `overflow` where a gradient overflows. Whoever sets it, sets it to the same.
__kernel void find_overflow(__global struct loss_scaling* scaling, IN(float, gradient),
                            const int count) {
  uint found = 0;
  for (int i = get_global_id(0); i < count; i += get_global_size(0)) {
    found |= overflows(AT(gradient)[i]);
  }
  if (found) scaling->now.overflow = 1;
}

// Where the loss is not made before. One work item.
__kernel void begin_scaled_step(__global struct loss_scaling* scaling) {
  scaling->now = scaling->next;
}
