#include "support.h"

static void plain(long batch, long time, long heads, long key_size, uint32_t threshold) {
  const long n = batch * time * heads * key_size, weights = batch * heads * time * time;
  vl_attention a = {
      .time = time, .heads = heads, .key_size = key_size, .scale = 0.5f, .threshold = threshold,
      .keep_scale = threshold ? 2.f : 1.f, .random = {.step = 1, .stream = 2}};
  a.query = given(n);
  a.key = given(n);
  a.value = given(n);
  a.probabilities = unwritten(weights);
  a.context = unwritten(n);
  a.rows = unwritten(threads * 2 * time);
  a.lanes = lanes(threads * (time + 256));
  vl_attention_forward(threads, &a, batch);
  check("attention's weights", a.probabilities, weights);
  check("attention", a.context, n);
  a.d_context = given(n);
  a.d_query = unwritten(n);
  a.d_key = unwritten(n);
  a.d_value = unwritten(n);
  vl_attention_backward(threads, &a, batch);
  check("the query's gradient", a.d_query, n);
  check("the key's gradient", a.d_key, n);
  check("the value's gradient", a.d_value, n);
}

static void in_short(long batch, long time, long C, long H, long K, long O, uint32_t threshold) {
  const long W = (C + 15) / 16 * 16;
  vl_short_attention a = {
      .time = time, .channels = C, .heads = H, .key_size = K, .output_channels = O,
      .threshold = threshold, .keep_scale = threshold ? 2.f : 1.f,
      .random = {.step = 1, .stream = 2}};
  a.input = given(batch * time * C);
  a.output = unwritten(batch * O);
  a.query_kernel = given(C * H * K);
  a.query_bias = given(H * K);
  a.key_kernel = given(C * H * K);
  a.value_kernel = given(C * H * K);
  a.value_bias = given(H * K);
  a.output_kernel = given(H * K * O);
  a.output_bias = given(O);
  a.products = aligned(H * C * W);
  a.transposed_products = aligned(H * C * W);
  a.offsets = aligned(H * W);
  a.scratch = aligned(threads * vl_short_attention_floats(&a));
  vl_short_attention_forward(threads, &a, batch);
  check("short attention", a.output, batch * O);
  a.output_gradient = given(batch * O);
  a.input_gradient = unwritten(batch * time * C);
  a.query_kernel_gradient = unwritten(C * H * K);
  a.query_bias_gradient = unwritten(H * K);
  a.key_kernel_gradient = unwritten(C * H * K);
  a.key_bias_gradient = unwritten(H * K);
  a.value_kernel_gradient = unwritten(C * H * K);
  a.value_bias_gradient = unwritten(H * K);
  a.output_kernel_gradient = unwritten(H * K * O);
  a.output_bias_gradient = unwritten(O);
  a.sums = aligned(threads * vl_short_attention_sums(&a));
  vl_short_attention_backward(threads, &a, batch);
  check("the input's gradient", a.input_gradient, batch * time * C);
  check("the query kernel's gradient", a.query_kernel_gradient, C * H * K);
  check("the query bias's gradient", a.query_bias_gradient, H * K);
  check("the key kernel's gradient", a.key_kernel_gradient, C * H * K);
  check("the key bias's gradient", a.key_bias_gradient, H * K);
  check("the value kernel's gradient", a.value_kernel_gradient, C * H * K);
  check("the value bias's gradient", a.value_bias_gradient, H * K);
  check("the output kernel's gradient", a.output_kernel_gradient, H * K * O);
  check("the output bias's gradient", a.output_bias_gradient, O);
}

void check_attention(void) {
  const uint32_t thresholds[] = {0, 1 << 15};
  for (int i = 0; i < 2; i++) {
    plain(1, 1, 1, 1, thresholds[i]);
    plain(3, 13, 2, 5, thresholds[i]);
    in_short(1, 1, 1, 1, 1, 1, thresholds[i]);
    in_short(3, 13, 7, 2, 5, 3, thresholds[i]);
    in_short(2, 33, 17, 3, 4, 17, thresholds[i]);
  }
}
