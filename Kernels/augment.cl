// Batches out of the recordings on the device: windows, views, labels, and noise.

// build: -DHALF_STORAGE=1

#include "common.cl"
#include "random.cl"
#include "table.cl"

enum { VIEW_ORIGINAL = 0, VIEW_MASKED = 1, VIEW_MIXED = 2 };

// targets `[B, classes]`, unsmoothed: one-hot, or lambda of one class and the rest of the other;
// weights `[B]`: the sum of target times class weight.
static inline void gather_target(const struct sample_entry entry, __global const int* labels,
                                 __global const float* class_weights, __global float* target,
                                 __global float* weight, const int classes,
                                 const int mixes_labels) {
  const int first = labels[entry.window];
  const int second = labels[entry.partner];
  const bool mixes = mixes_labels && entry.view == VIEW_MIXED;
  float sum = 0.0f;
  for (int c = 0; c < classes; ++c) {
    float y = c != first ? 0.0f : mixes ? entry.lambda : 1.0f;
    if (mixes && c == second) y += 1.0f - entry.lambda;
    target[c] = y;
    sum += y * class_weights[c];
  }
  *weight = sum;
}

// Sample b of step s is entry s·capacity + b of the table. `samples` is `[rows, channels]`, of
// which a window is `elements` = T·C values in a row. The masked view's noise is counted by the
// element of the window, the window and the epoch, so that a window has the same noise wherever in
// the epoch it is drawn. Where `noise_deviation` is above zero, the network's own noise is added, as
// `gaussian_noise` does; `elements` is a multiple of four then. One work item for four elements, a
// Philox block.
__kernel void gather_windows(__global const struct table_header* header,
                             __global const struct sample_entry* entries,
                             __global const float* samples, __global const int* starts,
                             __global const int* labels, __global const float* class_weights,
                             OUT(stored, batch), OUT(float, targets), OUT(float, weights),
                             const int elements, const int channels, const int classes,
                             const int mixes_labels, const float deviation, const uint stream,
                             const uint key0, const uint key1, const float noise_deviation,
                             const uint noise_stream, const int capacity, const int step,
                             const int live) {
  const int blocks = (elements + 3) / 4;
  const int item = get_global_id(0);
  const int b = item / blocks;
  if (b >= live) return;
  const int block = item - b * blocks;
  const struct sample_entry entry = entries[step * capacity + b];
  if (block == 0) {
    gather_target(entry, labels, class_weights, AT(targets) + b * classes, AT(weights) + b,
                  classes, mixes_labels);
  }
  __global const float* window = samples + (ulong)starts[entry.window] * channels;
  __global const float* partner = samples + (ulong)starts[entry.partner] * channels;
  __global stored* sample = AT(batch) + b * elements;
  float noise[4];  // of the masked view
  if (entry.view == VIEW_MASKED) {
    const ulong counted = (ulong)header->augmentation_epoch << 32 | (uint)entry.window;
    const uint4 words = philox_block(block, stream, counted, (uint2)(key0, key1));
    vstore4(deviation * philox_normals(words), 0, noise);
  }
  float network_noise[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  if (noise_deviation > 0.0f) {
    const uint4 words = philox_block(
        b * (elements / 4) + block, noise_stream, header->first_iteration + step,
        (uint2)(key0, key1));
    vstore4(noise_deviation * philox_normals(words), 0, network_noise);
  }
  for (int lane = 0; lane < 4; ++lane) {
    const int i = 4 * block + lane;
    if (i >= elements) break;
    float value = window[i];
    if (entry.view == VIEW_MASKED) {
      value = (i % channels == entry.masked_channel ? 0.0f : value) + noise[lane];
    } else if (entry.view == VIEW_MIXED) {
      value = entry.lambda * value + (1.0f - entry.lambda) * partner[i];
    }
    STORE(sample, i, value + network_noise[lane]);
  }
}

// y = x + deviation·normal, counted by the element of the live batch. One work item for four
// elements, a Philox block.
__kernel void gaussian_noise(__global const struct table_header* header, IN(stored, x),
                             OUT(stored, y), const float deviation, const uint stream,
                             const uint key0, const uint key1, const int step,
                             const int count) {
  const int block = get_global_id(0);
  if (4 * block >= count) return;
  float noise[4];
  vstore4(
      deviation * philox_normals(philox_block(
                      block, stream, header->first_iteration + step, (uint2)(key0, key1))),
      0, noise);
  for (int lane = 0; lane < 4; ++lane) {
    const int i = 4 * block + lane;
    if (i < count) STORE(AT(y), i, LOAD(AT(x), i) + noise[lane]);
  }
}
