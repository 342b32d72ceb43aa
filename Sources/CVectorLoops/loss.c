#include <math.h>

#include "internal.h"

// Softmax and cross-entropy in double precision: a few hundred numbers a step.

static void softmax_row(const float *x, double *p, long n, double *log_total) {
  double top = (double)x[0], total = 0;
  for (long i = 1; i < n; i++) top = (double)x[i] > top ? (double)x[i] : top;
  for (long i = 0; i < n; i++) {
    p[i] = exp((double)x[i] - top);
    total += p[i];
  }
  for (long i = 0; i < n; i++) p[i] /= total;
  *log_total = top + log(total);
}

void vl_softmax(float *y, const float *x, long rows, long classes, double *scratch) {
  double log_total;
  for (long r = 0; r < rows; r++) {
    softmax_row(x + r * classes, scratch, classes, &log_total);
    for (long i = 0; i < classes; i++) y[r * classes + i] = (float)scratch[i];
  }
}

static long highest(const float *x, long n) {
  long best = 0;
  for (long i = 1; i < n; i++) best = x[i] > x[best] ? i : best;
  return best;
}

void vl_softmax_cross_entropy(
    float *probabilities, float *d_logits, double *loss, long *hits, const float *logits,
    const float *targets, const float *weights, float smoothing, long live, long classes,
    double *scratch) {
  double total = 0;
  long correct = 0;
  for (long b = 0; b < live; b++) {
    const float *x = logits + b * classes, *y = targets + b * classes;
    double log_total, entropy = 0, mass = 0;
    softmax_row(x, scratch, classes, &log_total);
    for (long i = 0; i < classes; i++) {
      const double q = (double)y[i] * (1 - (double)smoothing) + (double)smoothing / (double)classes;
      entropy -= q * ((double)x[i] - log_total);
      mass += q;
      probabilities[b * classes + i] = (float)scratch[i];
    }
    const double share = (double)weights[b] / (double)live;
    for (long i = 0; d_logits && i < classes; i++) {
      const double q = (double)y[i] * (1 - (double)smoothing) + (double)smoothing / (double)classes;
      d_logits[b * classes + i] = (float)(share * (scratch[i] * mass - q));
    }
    total += (double)weights[b] * entropy;
    correct += highest(probabilities + b * classes, classes) == highest(y, classes);
  }
  *loss = total / (double)live;
  *hits = correct;
}
