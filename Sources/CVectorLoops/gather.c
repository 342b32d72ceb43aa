#include "internal.h"

// Windows cut out of the recordings, augmented, with their targets.

typedef struct {
  const vl_gather *g;
  const vl_sample *entries;
} gather_job;

static VL_CLONES void copy_window(float *restrict y, const float *x, long n) {
  for (long i = 0; i < n; i++) y[i] = x[i];
}

static VL_CLONES void mix_window(
    float *restrict y, const float *x, const float *other, float lambda, long n) {
  for (long i = 0; i < n; i++) y[i] = lambda * x[i] + (1.f - lambda) * other[i];
}

static VL_CLONES void add_noise(
    float *restrict y, const float *normals, float deviation, long n) {
  for (long i = 0; i < n; i++) y[i] += deviation * normals[i];
}

static void mask_view(const vl_gather *g, const vl_sample *e, float *y, const float *x) {
  enum { piece = 1024 };
  float normals[piece + 64];
  const long n = g->time * g->channels;
  const vl_random random = {
      .step = (uint32_t)e->window | (uint64_t)g->epoch << 32, .stream = g->stream,
      .key0 = g->key0, .key1 = g->key1};
  copy_window(y, x, n);
  if (e->masked_channel >= 0) {
    for (long t = 0; t < g->time; t++) y[t * g->channels + e->masked_channel] = 0;
  }
  for (long start = 0; start < n; start += piece) {
    const long count = vl_min(piece, n - start);
    vl_normals(normals, start, count, &random);
    add_noise(y + start, normals, g->deviation, count);
  }
}

static void gather_one(const vl_gather *g, const vl_sample *e, long slot) {
  const long n = g->time * g->channels;
  const float *x = g->samples + (long)g->window_starts[e->window] * g->channels;
  float *y = g->batch + slot * n;
  float *target = g->targets + slot * g->classes;
  memset(target, 0, (size_t)g->classes * sizeof(float));
  const int32_t label = g->labels[e->window];
  if (e->view == vl_view_mixed) {
    const float *other = g->samples + (long)g->window_starts[e->partner] * g->channels;
    mix_window(y, x, other, e->lambda, n);
  } else if (e->view == vl_view_masked) {
    mask_view(g, e, y, x);
  } else {
    copy_window(y, x, n);
  }
  if (e->view == vl_view_mixed && g->mixes_labels) {
    target[label] += e->lambda;
    target[g->labels[e->partner]] += 1.f - e->lambda;
  } else {
    target[label] = 1.f;
  }
  float weight = g->class_weights ? 0.f : 1.f;
  for (long k = 0; g->class_weights && k < g->classes; k++) {
    weight += target[k] * g->class_weights[k];
  }
  g->sample_weights[slot] = weight;
}

static void gather_body(const void *context, long part, long first, long last) {
  const gather_job *job = context;
  (void)part;
  for (long slot = first; slot < last; slot++) gather_one(job->g, &job->entries[slot], slot);
}

void vl_gather_windows(int threads, const vl_gather *gather, const vl_sample *entries, long live) {
  gather_job job = {gather, entries};
  vl_for(threads, live, 1, gather_body, &job);
}
