// Softmax and the cross-entropy from logits, a row of classes at a time. Not a file of kernels.

#ifndef SEMG_SOFTMAX
#define SEMG_SOFTMAX

// The largest value of a row, and Σ exp(x − largest).
static inline float2 softmax_sums(__global const float* x, const int classes) {
  float largest = x[0];
  for (int c = 1; c < classes; ++c) largest = fmax(largest, x[c]);
  float sum = 0.0f;
  for (int c = 0; c < classes; ++c) sum += exp(x[c] - largest);
  return (float2)(largest, sum);
}

static inline float probability(const float x, const float2 of_row) {
  return exp(x - of_row.x) / of_row.y;
}

static inline float smoothed(const float target, const int classes, const float smoothing) {
  return target * (1.0f - smoothing) + smoothing / classes;
}

// weight·(p − target), where the targets are smoothed here.
static inline float loss_gradient(const float x, const float target, const float2 of_row,
                                  const float weight, const int classes, const float smoothing) {
  return weight * (probability(x, of_row) - smoothed(target, classes, smoothing));
}

// −weight·Σ target·log p of a row, and its probabilities.
static inline float row_loss(__global const float* x, __global const float* targets,
                             __global float* probabilities, const float2 of_row, const float weight,
                             const int classes, const float smoothing) {
  const float log_sum = of_row.x + log(of_row.y);
  float loss = 0.0f;
  for (int c = 0; c < classes; ++c) {
    probabilities[c] = probability(x[c], of_row);
    loss += weight * smoothed(targets[c], classes, smoothing) * (log_sum - x[c]);
  }
  return loss;
}

// Offset of the first of the largest values.
static inline int first_maximum(__global const float* row, const int classes) {
  int best = 0;
  for (int c = 1; c < classes; ++c) {
    if (row[c] > row[best]) best = c;
  }
  return best;
}

#endif
