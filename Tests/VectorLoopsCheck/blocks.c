#include "support.h"

static void norm_block(long batch, long time, long channels, long size, uint32_t threshold) {
  const long in = batch * time * channels, out = batch * (time / size) * channels;
  vl_norm_block a = {
      .time = time, .channels = channels, .size = size, .threshold = threshold,
      .keep_scale = threshold ? 2.f : 1.f, .random = {.step = 1, .stream = 2}};
  a.input = given(in);
  a.mean = given(channels);
  a.factor = positive(channels);
  a.beta = given(channels);
  a.gamma = given(channels);
  a.variance = positive(channels);
  a.epsilon = 1e-3f;
  a.output = unwritten(out);
  // As its callers have it: without pooling there is none.
  a.argmax = size > 1 ? bytes(out) : NULL;
  a.lanes = lanes(threads * vl_norm_block_lanes(&a));
  vl_norm_block_forward(threads, &a, batch);
  check("norm block", a.output, out);
  a.output_gradient = given(out);
  a.input_gradient = unwritten(in);
  a.gamma_gradient = unwritten(channels);
  a.beta_gradient = unwritten(channels);
  a.factors = unwritten(3 * channels);
  a.partial = doubles(threads * 2 * channels);
  vl_norm_block_backward(threads, &a, batch);
  check("norm block's gradient", a.input_gradient, in);
  check("gamma's gradient", a.gamma_gradient, channels);
  check("beta's gradient", a.beta_gradient, channels);
}

static void squeeze_block(long batch, long time, const long *widths, long count, long units,
                          uint32_t threshold) {
  vl_squeeze_block k = {
      .time = time, .units = units, .branch_count = count, .threshold = threshold,
      .keep_scale = threshold ? 2.f : 1.f, .random = {.step = 1, .stream = 2}};
  for (long i = 0; i < count; i++) {
    const long c = widths[i], n = batch * time * c;
    k.channels += c;
    k.branches[i] = (vl_squeeze_branch){
        .channels = c, .input = given(n), .mean = given(c), .factor = positive(c),
        .beta = given(c), .gamma = given(c), .variance = positive(c), .epsilon = 1e-3f,
        .input_gradient = unwritten(n), .gamma_gradient = unwritten(c),
        .beta_gradient = unwritten(c), .factors = unwritten(3 * c)};
  }
  const long C = k.channels, n = batch * time * C;
  k.shortcut = given(n);
  k.squeeze_kernel = given(C * units);
  k.squeeze_bias = given(units);
  k.excite_kernel = given(units * C);
  k.excite_bias = given(C);
  k.kept = unwritten(n);
  k.mean = unwritten(batch * C);
  k.hidden = unwritten(batch * units);
  k.scale = unwritten(batch * C);
  k.output = unwritten(n);
  k.scratch = unwritten(threads * vl_squeeze_block_floats(&k));
  k.lanes = lanes(threads * vl_squeeze_block_lanes(&k));
  vl_squeeze_block_forward(threads, &k, batch);
  check("squeeze block", k.output, n);
  k.output_gradient = given(n);
  k.squeeze_kernel_gradient = unwritten(C * units);
  k.squeeze_bias_gradient = unwritten(units);
  k.excite_kernel_gradient = unwritten(units * C);
  k.excite_bias_gradient = unwritten(C);
  k.partial = doubles(threads * 2 * C);
  k.branch_totals = doubles(2 * C);
  vl_squeeze_block_backward(threads, &k, batch);
  for (long i = 0; i < count; i++) {
    const long c = widths[i];
    check("a branch's gradient", k.branches[i].input_gradient, batch * time * c);
    check("gamma's gradient", k.branches[i].gamma_gradient, c);
    check("beta's gradient", k.branches[i].beta_gradient, c);
  }
  check("the squeeze kernel's gradient", k.squeeze_kernel_gradient, C * units);
  check("the squeeze bias's gradient", k.squeeze_bias_gradient, units);
  check("the excite kernel's gradient", k.excite_kernel_gradient, units * C);
  check("the excite bias's gradient", k.excite_bias_gradient, C);
}

void check_blocks(void) {
  const uint32_t thresholds[] = {0, 1 << 15};
  for (int i = 0; i < 2; i++) {
    for (long size = 1; size <= 3; size++) {
      norm_block(1, size, 1, size, thresholds[i]);
      norm_block(3, 11, 67, size, thresholds[i]);
    }
    // One row has more channels than are drawn at once, and an odd number.
    norm_block(2, 3, 2051, 1, thresholds[i]);
    squeeze_block(1, 1, (long[]){1}, 1, 1, thresholds[i]);
    squeeze_block(3, 7, (long[]){5, 17}, 2, 3, thresholds[i]);
    squeeze_block(3, 5, (long[]){3, 1, 2, 7}, 4, 5, thresholds[i]);
    squeeze_block(2, 2, (long[]){2051}, 1, 2, thresholds[i]);
  }
}
