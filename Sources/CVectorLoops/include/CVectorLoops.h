#ifndef CVECTORLOOPS_H
#define CVECTORLOOPS_H

// Loops that need wide vectors: compiled for several instruction sets, chosen at run time, and
// threaded over the batch or its time steps. The parts of a loop depend on `threads` alone and sums
// over parts are added in their order: the same threads give the same bits.
//
// Legend: B batch, T time, C channels; rows are B*T unless said otherwise. Arguments in order
// outputs, inputs, sizes, scratch. All floats are contiguous and row-major. What a loop writes
// overlaps nothing else that it is given; where it does all the same, the program ends.

#include <stdint.h>

// MARK: Threads

/// Whether libgomp's team was found; otherwise loops run on the calling thread.
int vl_has_team(void);
/// How many threads a loop gets that asks for so many: fewer where the environment allows no more
/// (OMP_THREAD_LIMIT), one without libgomp. Tried on a thread that ends, and its team with it.
int vl_team_size(int threads);
/// Threads of libgomp for the calling thread, oneDNN's included.
void vl_set_threads(int threads);
/// From here on the calling thread takes numbers too small for full precision as zero and makes none
/// of its own: x86 processors take a hundred times as long for each. Returns how it was before, for
/// `vl_restore_tiny`.
uint64_t vl_flush_tiny(void);
void vl_restore_tiny(uint64_t before);
/// The same for good on the threads of the calling thread's team, oneDNN's included: they run
/// nothing else.
void vl_flush_tiny_on_team(int threads);

// MARK: Random numbers

/// What Philox counts besides the element.
typedef struct {
  uint64_t step;
  uint32_t stream, key0, key1;
} vl_random;

/// Standard normals of elements first ..< first + count, first a multiple of 4; the buffer needs
/// room for count + 64.
void vl_normals(float *normals, long first, long count, const vl_random *random);
void vl_gaussian_noise(
    int threads, float *y, const float *x, float deviation, const vl_random *random, long count);
/// y = x * scale where the element's lane is at least the threshold, else 0.
void vl_dropout(
    int threads, float *y, const float *x, float scale, uint32_t threshold,
    const vl_random *random, long count);

// MARK: Kernels

/// A convolution's kernel as its backward pass applies it: taps [K, C, O] in reverse order, each
/// transposed to [K, O, C].
void vl_flip_kernel(
    int threads, float *flipped, const float *kernel, long taps, long inputs, long outputs);

// MARK: Elements

void vl_relu_forward(int threads, float *y, const float *x, long count);
void vl_relu_backward(int threads, float *dx, const float *y, const float *dy, long count);
void vl_sigmoid_forward(int threads, float *y, const float *x, long count);
void vl_sigmoid_backward(int threads, float *dx, const float *y, const float *dy, long count);
void vl_add(int threads, float *y, const float *a, const float *b, long count);
/// y = y + x.
void vl_add_to(int threads, float *y, const float *x, long count);
/// Rows of `width` floats between places whose rows lie `stride` floats apart.
void vl_copy_rows(
    int threads, float *y, long y_stride, const float *x, long x_stride, long width, long rows);
void vl_fill_rows(int threads, float *y, const float *row, long width, long rows);

// MARK: Normalization

/// Sums over the rows; scratch: threads * 2 * channels.
void vl_column_sums(
    int threads, float *y, const float *x, long rows, long channels, double *scratch);
/// Mean and population variance over the rows; scratch: threads * 2 * channels.
void vl_batch_statistics(
    int threads, float *mean, float *variance, const float *x, long rows, long channels,
    double *scratch);
void vl_move_statistics(
    float *moving_mean, float *moving_variance, const float *mean, const float *variance,
    double momentum, long channels);
/// gamma / sqrt(variance + epsilon).
void vl_batch_factors(
    float *factor, const float *gamma, const float *variance, float epsilon, long channels);
/// y = (x - mean) * factor + beta.
void vl_batch_norm_apply(
    int threads, float *y, const float *x, const float *mean, const float *factor,
    const float *beta, long rows, long channels);
/// scratch: threads * 2 * channels; factors: 3 * channels.
void vl_batch_norm_backward(
    int threads, float *dx, float *d_gamma, float *d_beta, const float *x, const float *dy,
    const float *gamma, const float *mean, const float *variance, float epsilon, long rows,
    long channels, double *scratch, float *factors);
void vl_layer_norm_forward(
    int threads, float *y, float *mean, float *variance, const float *x, const float *gamma,
    const float *beta, float epsilon, long rows, long channels);
/// scratch: threads * 2 * channels; row_scratch as many floats.
void vl_layer_norm_backward(
    int threads, float *dx, float *d_gamma, float *d_beta, const float *x, const float *dy,
    const float *gamma, const float *mean, const float *variance, float epsilon, long rows,
    long channels, double *scratch, float *row_scratch);

/// From the totals of dy and of dy * (x - mean): the gradients of gamma and beta, and what the
/// input's gradient (dy - offset - (x - mean) * slope) * factor needs.
void vl_batch_norm_gradients(
    float *d_gamma, float *d_beta, float *factor, float *offset, float *slope,
    const double *totals, const float *gamma, const float *variance, float epsilon, long rows,
    long channels);

// MARK: Batch norm, ReLU, dropout and max pool as one

/// input [B, T, C] -> output [B, T/size, C]; size 1: no pooling. The statistics are made before.
typedef struct {
  long time, channels, size;
  /// 0 for no dropout.
  uint32_t threshold;
  float keep_scale;
  vl_random random;
  const float *input, *mean, *factor, *beta;
  float *output;
  uint8_t *argmax;
  // Backward only.
  const float *output_gradient, *gamma, *variance;
  float epsilon;
  float *input_gradient, *gamma_gradient, *beta_gradient;
  /// threads * 2 * channels.
  double *partial;
  /// 3 * channels.
  float *factors;
  /// Forward only: threads * vl_norm_block_lanes.
  uint16_t *lanes;
} vl_norm_block;

long vl_norm_block_lanes(const vl_norm_block *a);
void vl_norm_block_forward(int threads, const vl_norm_block *a, long live);
void vl_norm_block_backward(int threads, const vl_norm_block *a, long live);

// MARK: A squeeze-excitation block as one

/// One convolution's output [B, T, channels] with its normalization; the statistics are made before.
typedef struct {
  long channels;
  const float *input, *mean, *factor, *beta;
  // Backward only.
  const float *gamma, *variance;
  float epsilon;
  float *input_gradient, *gamma_gradient, *beta_gradient;
  /// 3 * channels.
  float *factors;
} vl_squeeze_branch;

enum { vl_squeeze_branches = 4 };

/// Branches side by side [B, T, C], dropped out, squeezed to U units, excited, and added to a
/// shortcut. Kernels: squeeze [C, U], excite [U, C].
typedef struct {
  long time, channels, units, branch_count;
  vl_squeeze_branch branches[vl_squeeze_branches];
  /// 0 for no dropout.
  uint32_t threshold;
  float keep_scale;
  vl_random random;
  const float *shortcut, *squeeze_kernel, *squeeze_bias, *excite_kernel, *excite_bias;
  /// After dropout [B, T, C], its mean [B, C], the squeeze after ReLU [B, U], the scale [B, C].
  float *kept, *mean, *hidden, *scale;
  float *output;
  // Backward only.
  const float *output_gradient;
  float *squeeze_kernel_gradient, *squeeze_bias_gradient, *excite_kernel_gradient,
      *excite_bias_gradient;
  /// threads * 2 * C, and 2 * C.
  double *partial, *branch_totals;
  /// threads * vl_squeeze_block_floats.
  float *scratch;
  /// Forward only: threads * vl_squeeze_block_lanes.
  uint16_t *lanes;
} vl_squeeze_block;

long vl_squeeze_block_floats(const vl_squeeze_block *k);
long vl_squeeze_block_lanes(const vl_squeeze_block *k);
void vl_squeeze_block_forward(int threads, const vl_squeeze_block *k, long live);
void vl_squeeze_block_backward(int threads, const vl_squeeze_block *k, long live);

// MARK: Sequences

void vl_max_pool_forward(
    int threads, float *y, uint8_t *argmax, const float *x, long batch, long time, long channels,
    long size);
void vl_max_pool_backward(
    int threads, float *dx, const uint8_t *argmax, const float *dy, long batch, long time,
    long channels, long size);
void vl_average_pool_forward(
    int threads, float *y, const float *x, long batch, long time, long channels, long size);
void vl_average_pool_backward(
    int threads, float *dx, const float *dy, long batch, long time, long channels, long size);
void vl_mean_over_time_forward(
    int threads, float *y, const float *x, long batch, long time, long channels);
void vl_mean_over_time_backward(
    int threads, float *dx, const float *dy, long batch, long time, long channels);
void vl_scale_channels_forward(
    int threads, float *y, const float *x, const float *scale, long batch, long time,
    long channels);
void vl_scale_channels_backward(
    int threads, float *dx, float *d_scale, const float *x, const float *scale, const float *dy,
    long batch, long time, long channels);

// MARK: Attention, operation by operation

/// Q, K, V, context and their gradients [B, T, H, K], probabilities [B, H, T, T] before dropout.
typedef struct {
  long time, heads, key_size;
  float scale;
  /// 0 for no dropout.
  uint32_t threshold;
  float keep_scale;
  vl_random random;
  const float *query, *key, *value;
  float *probabilities, *context;
  const float *d_context;
  float *d_query, *d_key, *d_value;
  /// threads * 2 * time.
  float *rows;
  /// threads * (time + 256).
  uint16_t *lanes;
} vl_attention;

void vl_attention_forward(int threads, const vl_attention *a, long live);
void vl_attention_backward(int threads, const vl_attention *a, long live);

// MARK: Attention and mean over time, in the short form

/// input [B, T, C], output [B, O]: the mean over time. Kernels as Keras keeps them: query, key and
/// value [C, H, K], output [H, K, O]. W is C rounded up to 16.
typedef struct {
  long time, channels, heads, key_size, output_channels;
  /// 0 for no dropout.
  uint32_t threshold;
  float keep_scale;
  vl_random random;
  const float *input;
  float *output;
  const float *output_gradient;
  float *input_gradient;
  const float *query_kernel, *query_bias, *key_kernel, *value_kernel, *value_bias,
      *output_kernel, *output_bias;
  float *query_kernel_gradient, *query_bias_gradient, *key_kernel_gradient, *key_bias_gradient,
      *value_kernel_gradient, *value_bias_gradient, *output_kernel_gradient,
      *output_bias_gradient;
  /// [H, C, W] twice and [H, W], zero at first.
  float *products, *transposed_products, *offsets;
  /// threads * vl_short_attention_floats, aligned to 64 bytes.
  float *scratch;
  /// Backward only: threads * vl_short_attention_sums.
  float *sums;
} vl_short_attention;

long vl_short_attention_floats(const vl_short_attention *a);
long vl_short_attention_sums(const vl_short_attention *a);
void vl_short_attention_forward(int threads, const vl_short_attention *a, long live);
void vl_short_attention_backward(int threads, const vl_short_attention *a, long live);

// MARK: Batches

enum { vl_view_original = 0, vl_view_masked = 1, vl_view_mixed = 2 };

/// One sample of a batch.
typedef struct {
  int32_t window, partner;
  float lambda;
  int16_t masked_channel;
  uint8_t view;
} vl_sample;

/// A dataset, how windows are augmented, and where they go.
typedef struct {
  long time, channels, classes;
  const float *samples;
  const int32_t *window_starts, *labels;
  int mixes_labels;
  float deviation;
  /// One a class, or null.
  const float *class_weights;
  uint32_t epoch, stream, key0, key1;
  float *batch, *targets, *sample_weights;
} vl_gather;

void vl_gather_windows(int threads, const vl_gather *gather, const vl_sample *entries, long live);

// MARK: Loss and optimizer

/// scratch: classes.
void vl_softmax(float *y, const float *x, long rows, long classes, double *scratch);
/// d_logits may be null; scratch: classes.
void vl_softmax_cross_entropy(
    float *probabilities, float *d_logits, double *loss, long *hits, const float *logits,
    const float *targets, const float *weights, float smoothing, long live, long classes,
    double *scratch);
/// decay: 2 * l2, or 0.
void vl_adam(
    int threads, float *w, float *m, float *v, const float *g, float rate, float one_minus_beta1,
    float one_minus_beta2, float epsilon, float decay, long count);
/// scratch: threads.
double vl_sum_of_squares(int threads, const float *x, long count, double *scratch);

#endif
