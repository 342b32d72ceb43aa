#include "support.h"

static void windows(long time, long channels, long classes) {
  enum { live = 4, window_count = 3 };
  const long n = time * channels;
  int32_t starts[window_count] = {0, 1, 5}, labels[window_count];
  for (int i = 0; i < window_count; i++) labels[i] = (int32_t)(i % classes);
  const vl_sample entries[live] = {
      {.window = 0, .masked_channel = -1, .view = vl_view_original},
      {.window = 1, .masked_channel = (int16_t)(channels - 1), .view = vl_view_masked},
      {.window = 2, .masked_channel = -1, .view = vl_view_masked},
      {.window = 2, .partner = 1, .lambda = 0.25f, .masked_channel = -1, .view = vl_view_mixed}};
  vl_gather g = {
      .time = time, .channels = channels, .classes = classes, .samples = given((5 + time) * channels),
      .window_starts = starts, .labels = labels, .mixes_labels = 1, .deviation = 0.5f,
      .class_weights = positive(classes), .epoch = 2, .stream = 7, .key0 = 1, .key1 = 2,
      .batch = unwritten(live * n), .targets = unwritten(live * classes),
      .sample_weights = unwritten(live)};
  vl_gather_windows(threads, &g, entries, live);
  check("batch", g.batch, live * n);
  check("targets", g.targets, live * classes);
  check("weights of samples", g.sample_weights, live);
}

static void loss(long live, long classes) {
  const long n = live * classes;
  const float *logits = given(n), *targets = positive(n), *weights = positive(live);
  float *probabilities = unwritten(n), *gradient = unwritten(n);
  double *scratch = doubles(classes), total = 0;
  long hits = -1;
  vl_softmax(probabilities, logits, live, classes, scratch);
  check("softmax", probabilities, n);
  vl_softmax_cross_entropy(
      probabilities, gradient, &total, &hits, logits, targets, weights, 0.1f, live, classes,
      scratch);
  check("probabilities", probabilities, n);
  check("the logits' gradient", gradient, n);
  vl_softmax_cross_entropy(
      probabilities, NULL, &total, &hits, logits, targets, weights, 0.1f, live, classes, scratch);
  require(hits >= 0 && hits <= live, "hits");
}

void check_batches(void) {
  windows(1, 1, 1);
  windows(204, 8, 5);
  windows(1030, 1, 2);
  loss(1, 1);
  loss(5, 7);
}
