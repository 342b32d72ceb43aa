#include "internal.h"

// Self-attention whose output is only averaged over time, with the products that the average makes
// needless left out. For each sample and head, with M = Wq Wk' / sqrt(K) and m = bq Wk' / sqrt(K):
//   scores S[t, s] = (X M + m)[t] . X[s]   (terms constant in s fall out of the softmax)
//   P = softmax over s, then dropout; p[s] = mean over t of P[t, s]
//   output = sum over heads of ((p X) Wv + (sum p) bv) Wo + bo
// T x T values stay in a core's cache. The backward pass makes the same bits again. The key bias
// has no effect and no gradient.
// Legend: C channels, W = C rounded up to 16, T time, N = T rounded up to 16, H heads, K key size.

typedef struct {
  float *x;          // [T, W]
  float *transposed; // [C, N]
  float *query;      // [T, W]: X M + m
  float *scores;     // [T, N]
  float *product;    // [T, W]
  float *dx;         // [T, W]
  float *mean;       // [N]: p
  float *d_mean;     // [N]
  float *z;          // [W]: p X
  float *dz;         // [W]
  float *context;    // [K]
  float *g;          // [K]
  uint16_t *lanes;
} scratch;

enum { rows_at_once = 12 };

static long round16(long n) { return (n + 15) / 16 * 16; }

long vl_short_attention_floats(const vl_short_attention *a) {
  const long W = round16(a->channels), N = round16(a->time), T = a->time;
  return T * W * 4 + a->channels * N + T * N + 2 * N + 2 * W + 2 * round16(a->key_size) +
         (rows_at_once * T + 512) / 2;
}

static scratch place(const vl_short_attention *a, long part) {
  const long W = round16(a->channels), N = round16(a->time), T = a->time;
  float *p = a->scratch + part * vl_short_attention_floats(a);
  scratch s;
  s.x = p, p += T * W;
  s.query = p, p += T * W;
  s.product = p, p += T * W;
  s.dx = p, p += T * W;
  s.transposed = p, p += a->channels * N;
  s.scores = p, p += T * N;
  s.mean = p, p += N;
  s.d_mean = p, p += N;
  s.z = p, p += W;
  s.dz = p, p += W;
  s.context = p, p += round16(a->key_size);
  s.g = p, p += round16(a->key_size);
  s.lanes = (uint16_t *)(void *)p;
  return s;
}

// MARK: The weights' products

// Row (h, c) of M [H, C, W], its transpose, and, once a head, m [H, W].
static VL_CLONES void prepare_part(const vl_short_attention *a, long first, long last) {
#pragma clang fp reassociate(on)
  const long C = a->channels, W = round16(C), H = a->heads, K = a->key_size;
  const float scale = 1.f / __builtin_elementwise_sqrt((float)K);
  for (long i = first; i < last; i++) {
    const long h = i / C, c = i % C;
    const float *q = a->query_kernel + (c * H + h) * K;
    for (long d = 0; d < W; d++) a->products[i * W + d] = 0;
    for (long d = 0; d < C; d++) {
      const float *k = a->key_kernel + (d * H + h) * K;
      float sum = 0;
      for (long j = 0; j < K; j++) sum += q[j] * k[j];
      a->products[i * W + d] = sum * scale;
      a->transposed_products[(h * C + d) * W + c] = sum * scale;
    }
    const float *k = a->key_kernel + (c * H + h) * K, *b = a->query_bias + h * K;
    float sum = 0;
    for (long j = 0; j < K; j++) sum += b[j] * k[j];
    a->offsets[h * W + c] = sum * scale;
  }
}

static void prepare_body(const void *context, long part, long first, long last) {
  (void)part;
  prepare_part(context, first, last);
}

// MARK: One sample

VL_INLINE void load_sample(const vl_short_attention *a, const scratch *s, long b) {
  const long C = a->channels, W = round16(C), T = a->time, N = round16(T);
  const float *x = a->input + b * T * C;
  for (long t = 0; t < T; t++) {
    for (long c = 0; c < C; c++) s->x[t * W + c] = x[t * C + c];
    for (long c = C; c < W; c++) s->x[t * W + c] = 0;
  }
  for (long c = 0; c < C; c++) {
    for (long t = 0; t < T; t++) s->transposed[c * N + t] = x[t * C + c];
    for (long t = T; t < N; t++) s->transposed[c * N + t] = 0;
  }
}

static void project(const vl_short_attention *a, const scratch *s, long h) {
  const long C = a->channels, W = round16(C);
  const vl_product p = {
      .a = s->x, .a_row = W, .a_step = 1, .b = a->products + h * C * W, .ldb = W,
      .bias = a->offsets + h * W, .c = s->query, .ldc = W, .m = a->time, .n = W, .depth = C};
  vl_multiply(&p);
}

static void score(const vl_short_attention *a, const scratch *s, long t, long rows, float *to) {
  const long C = a->channels, W = round16(C), N = round16(a->time);
  const vl_product p = {
      .a = s->query + t * W, .a_row = W, .a_step = 1, .b = s->transposed, .ldb = N, .c = to,
      .ldc = N, .m = rows, .n = N, .depth = C};
  vl_multiply(&p);
}

// exp(row - its maximum) in place; returns one over the sum.
VL_INLINE float exponentials(float *restrict row, long T, long N) {
#pragma clang fp reassociate(on)
  for (long i = T; i < N; i++) row[i] = -1e30f;
  float tops[16], total = 0;
  for (int j = 0; j < 16; j++) tops[j] = row[j];
  for (long i = 16; i < N; i += 16) {
    for (int j = 0; j < 16; j++) tops[j] = row[i + j] > tops[j] ? row[i + j] : tops[j];
  }
  float top = tops[0];
  for (int j = 1; j < 16; j++) top = tops[j] > top ? tops[j] : top;
  for (long i = 0; i < N; i++) {
    row[i] = vl_exp(row[i] - top);
    total += row[i];
  }
  return 1.f / total;
}

// p X, its sum, and with them the head's context.
VL_INLINE float weigh_values(const vl_short_attention *a, const scratch *s, long h) {
#pragma clang fp reassociate(on)
  const long C = a->channels, W = round16(C), T = a->time, H = a->heads, K = a->key_size;
  float sum = 0;
  for (long c = 0; c < W; c++) s->z[c] = 0;
  for (long t = 0; t < T; t++) {
    const float p = s->mean[t];
    sum += p;
    for (long c = 0; c < W; c++) s->z[c] += p * s->x[t * W + c];
  }
  for (long k = 0; k < K; k++) s->context[k] = sum * a->value_bias[h * K + k];
  for (long c = 0; c < C; c++) {
    const float *v = a->value_kernel + (c * H + h) * K;
    for (long k = 0; k < K; k++) s->context[k] += s->z[c] * v[k];
  }
  return sum;
}

// MARK: Forward

VL_INLINE void average_row(
    const vl_short_attention *a, const scratch *s, const float *e, const uint16_t *lanes,
    float factor) {
  const long N = round16(a->time);
  float *restrict mean = s->mean;
  const uint32_t threshold = a->threshold;
  for (long i = 0; i < N; i++) {
    mean[i] += (uint32_t)lanes[i] >= threshold ? e[i] * factor : 0.f;
  }
}

VL_INLINE void forward_head(const vl_short_attention *a, const scratch *s, long b, long h) {
  const long T = a->time, N = round16(T);
  for (long i = 0; i < N; i++) s->mean[i] = 0;
  project(a, s, h);
  for (long t = 0; t < T; t += rows_at_once) {
    const long rows = vl_min(rows_at_once, T - t);
    score(a, s, t, rows, s->scores);
    const uint16_t *lanes = s->lanes;
    if (a->threshold) {
      lanes = vl_lanes(s->lanes, ((b * a->heads + h) * T + t) * T, rows * T, &a->random);
    }
    for (long r = 0; r < rows; r++) {
      const float inverse = exponentials(s->scores + r * N, T, N);
      average_row(
          a, s, s->scores + r * N, lanes + (a->threshold ? r * T : 0),
          inverse * a->keep_scale / (float)T);
    }
  }
}

static VL_CLONES void forward_part(const vl_short_attention *a, long part, long first, long last) {
  const long H = a->heads, K = a->key_size, O = a->output_channels;
  const scratch s = place(a, part);
  for (long b = first; b < last; b++) {
    float *restrict y = a->output + b * O;
    for (long o = 0; o < O; o++) y[o] = a->output_bias[o];
    load_sample(a, &s, b);
    for (long h = 0; h < H; h++) {
      forward_head(a, &s, b, h);
      weigh_values(a, &s, h);
      for (long k = 0; k < K; k++) {
        const float *w = a->output_kernel + (h * K + k) * O;
        for (long o = 0; o < O; o++) y[o] += s.context[k] * w[o];
      }
    }
  }
}

static void forward_body(const void *context, long part, long first, long last) {
  forward_part(context, part, first, last);
}

void vl_short_attention_forward(int threads, const vl_short_attention *a, long live) {
  VL_APART(
      2, VL_FLOATS(a->output, live * a->output_channels),
      VL_FLOATS(a->scratch, threads * vl_short_attention_floats(a)),
      VL_FLOATS(a->input, live * a->time * a->channels),
      VL_FLOATS(a->output_bias, a->output_channels),
      VL_FLOATS(a->output_kernel, a->heads * a->key_size * a->output_channels));
  vl_for(threads, a->heads * a->channels, 1, prepare_body, a);
  vl_for(threads, live, 1, forward_body, a);
}

// MARK: Backward

// A part's sums over its samples: [H, C, W] of M, [H, W] of m, [C, H, K] of Wv, [H, K] of bv,
// [H, K, O] of Wo, [O] of bo.
typedef struct {
  float *products, *offsets, *value_kernel, *value_bias, *output_kernel, *output_bias;
} sums;

long vl_short_attention_sums(const vl_short_attention *a) {
  const long C = a->channels, W = round16(C), H = a->heads, K = a->key_size;
  const long O = a->output_channels;
  return H * C * W + H * W + C * H * K + H * K + H * K * O + O;
}

static sums place_sums(const vl_short_attention *a, long part) {
  const long C = a->channels, W = round16(C), H = a->heads, K = a->key_size;
  sums t;
  t.products = a->sums + part * vl_short_attention_sums(a);
  t.offsets = t.products + H * C * W;
  t.value_kernel = t.offsets + H * W;
  t.value_bias = t.value_kernel + C * H * K;
  t.output_kernel = t.value_bias + H * K;
  t.output_bias = t.output_kernel + H * K * a->output_channels;
  return t;
}

// From the output's gradient u: g = Wo u, dz = Wv g, and of each p[s]: (X dz + bv . g)[s].
VL_INLINE void gradient_of_mean(
    const vl_short_attention *a, const scratch *s, const float *u, long h) {
#pragma clang fp reassociate(on)
  const long C = a->channels, N = round16(a->time), H = a->heads, K = a->key_size;
  const long O = a->output_channels;
  float bias = 0;
  for (long k = 0; k < K; k++) {
    const float *w = a->output_kernel + (h * K + k) * O;
    float sum = 0;
    for (long o = 0; o < O; o++) sum += w[o] * u[o];
    s->g[k] = sum;
    bias += a->value_bias[h * K + k] * sum;
  }
  for (long i = 0; i < N; i++) s->d_mean[i] = bias;
  for (long c = 0; c < C; c++) {
    const float *v = a->value_kernel + (c * H + h) * K;
    float sum = 0;
    for (long k = 0; k < K; k++) sum += v[k] * s->g[k];
    s->dz[c] = sum;
    for (long i = 0; i < N; i++) s->d_mean[i] += sum * s->transposed[c * N + i];
  }
}

// Turns a row of exponentials into the gradient of its scores.
VL_INLINE void gradient_row(
    const vl_short_attention *a, const scratch *s, float *restrict row, const uint16_t *lanes,
    float inverse) {
#pragma clang fp reassociate(on)
  const long N = round16(a->time);
  const float share = a->keep_scale / (float)a->time;
  float *restrict mean = s->mean;
  const float *restrict d_mean = s->d_mean;
  const uint32_t threshold = a->threshold;
  float inner = 0;
  for (long i = 0; i < N; i++) {
    const float kept = (uint32_t)lanes[i] >= threshold ? row[i] * inverse * share : 0.f;
    mean[i] += kept;
    inner += kept * d_mean[i];
  }
  for (long i = 0; i < N; i++) {
    const float d = (uint32_t)lanes[i] >= threshold ? d_mean[i] * share : 0.f;
    row[i] = row[i] * inverse * (d - inner);
  }
}

VL_INLINE void backward_scores(const vl_short_attention *a, const scratch *s, long b, long h) {
  const long T = a->time, N = round16(T);
  for (long i = 0; i < N; i++) s->mean[i] = 0;
  for (long t = 0; t < T; t += rows_at_once) {
    const long rows = vl_min(rows_at_once, T - t);
    float *block = s->scores + t * N;
    score(a, s, t, rows, block);
    const uint16_t *lanes = s->lanes;
    if (a->threshold) {
      lanes = vl_lanes(s->lanes, ((b * a->heads + h) * T + t) * T, rows * T, &a->random);
    }
    for (long r = 0; r < rows; r++) {
      const float inverse = exponentials(block + r * N, T, N);
      gradient_row(a, s, block + r * N, lanes + (a->threshold ? r * T : 0), inverse);
    }
  }
}

// Through S = Q X' with Q = X M + m: U = dS X, dX += U M' + dS' Q, dM += X' U, dm += sum of U.
VL_INLINE void backward_products(
    const vl_short_attention *a, const scratch *s, const sums *t, long h) {
  const long C = a->channels, W = round16(C), T = a->time, N = round16(T);
  const vl_product u = {.a = s->scores, .a_row = N, .a_step = 1, .b = s->x, .ldb = W,
                        .c = s->product, .ldc = W, .m = T, .n = W, .depth = T};
  vl_multiply(&u);
  const vl_product through_query = {
      .a = s->product, .a_row = W, .a_step = 1, .b = a->transposed_products + h * C * W,
      .ldb = W, .c = s->dx, .ldc = W, .m = T, .n = W, .depth = C, .accumulates = 1};
  vl_multiply(&through_query);
  const vl_product through_key = {
      .a = s->scores, .a_row = 1, .a_step = N, .b = s->query, .ldb = W, .c = s->dx, .ldc = W,
      .m = T, .n = W, .depth = T, .accumulates = 1};
  vl_multiply(&through_key);
  const vl_product weights = {
      .a = s->x, .a_row = 1, .a_step = W, .b = s->product, .ldb = W,
      .c = t->products + h * C * W, .ldc = W, .m = C, .n = W, .depth = T, .accumulates = 1};
  vl_multiply(&weights);
  float *restrict offsets = t->offsets + h * W;
  for (long i = 0; i < T; i++) {
    for (long c = 0; c < W; c++) offsets[c] += s->product[i * W + c];
  }
}

// Through the values and the output projection.
VL_INLINE void backward_values(
    const vl_short_attention *a, const scratch *s, const sums *t, const float *u, long h) {
  const long C = a->channels, W = round16(C), T = a->time, H = a->heads, K = a->key_size;
  const long O = a->output_channels;
  for (long i = 0; i < T; i++) {
    const float p = s->mean[i];
    for (long c = 0; c < C; c++) s->dx[i * W + c] += p * s->dz[c];
  }
  const float sum = weigh_values(a, s, h);
  for (long k = 0; k < K; k++) t->value_bias[h * K + k] += sum * s->g[k];
  for (long c = 0; c < C; c++) {
    float *restrict v = t->value_kernel + (c * H + h) * K;
    for (long k = 0; k < K; k++) v[k] += s->z[c] * s->g[k];
  }
  for (long k = 0; k < K; k++) {
    float *restrict w = t->output_kernel + (h * K + k) * O;
    for (long o = 0; o < O; o++) w[o] += s->context[k] * u[o];
  }
}

static VL_CLONES void backward_part(
    const vl_short_attention *a, long part, long first, long last) {
  const long C = a->channels, W = round16(C), T = a->time, O = a->output_channels;
  const scratch s = place(a, part);
  const sums t = place_sums(a, part);
  memset(t.products, 0, (size_t)vl_short_attention_sums(a) * sizeof(float));
  for (long b = first; b < last; b++) {
    const float *u = a->output_gradient + b * O;
    for (long o = 0; o < O; o++) t.output_bias[o] += u[o];
    load_sample(a, &s, b);
    memset(s.dx, 0, (size_t)(T * W) * sizeof(float));
    for (long h = 0; h < a->heads; h++) {
      project(a, &s, h);
      gradient_of_mean(a, &s, u, h);
      backward_scores(a, &s, b, h);
      backward_products(a, &s, &t, h);
      backward_values(a, &s, &t, u, h);
    }
    for (long i = 0; i < T; i++) {
      memcpy(a->input_gradient + (b * T + i) * C, s.dx + i * W, (size_t)C * sizeof(float));
    }
  }
}

static void backward_body(const void *context, long part, long first, long last) {
  backward_part(context, part, first, last);
}

// The product rule for M and m, a row (c, h) of the kernels at a time.
static VL_CLONES void finish_part(const vl_short_attention *a, long first, long last) {
  const long C = a->channels, W = round16(C), H = a->heads, K = a->key_size;
  const float scale = 1.f / __builtin_elementwise_sqrt((float)K);
  const sums t = place_sums(a, 0);
  for (long i = first; i < last; i++) {
    const long c = i / H, h = i % H;
    float *restrict dq = a->query_kernel_gradient + i * K;
    float *restrict dk = a->key_kernel_gradient + i * K;
    const float *bias = a->query_bias + h * K;
    const float offset = t.offsets[h * W + c] * scale;
    for (long k = 0; k < K; k++) {
      dq[k] = 0;
      dk[k] = offset * bias[k];
    }
    for (long d = 0; d < C; d++) {
      const float row = t.products[(h * C + c) * W + d] * scale;
      const float column = t.products[(h * C + d) * W + c] * scale;
      const float *wq = a->query_kernel + (d * H + h) * K;
      const float *wk = a->key_kernel + (d * H + h) * K;
      for (long k = 0; k < K; k++) {
        dq[k] += row * wk[k];
        dk[k] += column * wq[k];
      }
    }
  }
}

static void finish_body(const void *context, long part, long first, long last) {
  (void)part;
  finish_part(context, first, last);
}

static VL_CLONES void add_sums(float *restrict total, const float *restrict part, long n) {
  for (long i = 0; i < n; i++) total[i] += part[i];
}

void vl_short_attention_backward(int threads, const vl_short_attention *a, long live) {
  const long C = a->channels, W = round16(C), H = a->heads, K = a->key_size;
  const long O = a->output_channels, n = vl_short_attention_sums(a);
  const float scale = 1.f / __builtin_elementwise_sqrt((float)K);
  VL_APART(
      4, VL_FLOATS(a->scratch, threads * vl_short_attention_floats(a)),
      VL_FLOATS(a->sums, threads * n), VL_FLOATS(a->query_kernel_gradient, C * H * K),
      VL_FLOATS(a->key_kernel_gradient, C * H * K), VL_FLOATS(a->query_kernel, C * H * K),
      VL_FLOATS(a->key_kernel, C * H * K), VL_FLOATS(a->query_bias, H * K),
      VL_FLOATS(a->output_gradient, live * O), VL_FLOATS(a->input, live * a->time * C));
  vl_for(threads, H * C, 1, prepare_body, a);
  vl_for(threads, live, 1, backward_body, a);
  for (long part = 1; part < threads; part++) add_sums(a->sums, a->sums + part * n, n);
  vl_for(threads, C * H, 1, finish_body, a);
  const sums t = place_sums(a, 0);
  memcpy(a->value_kernel_gradient, t.value_kernel, (size_t)(C * H * K) * sizeof(float));
  memcpy(a->value_bias_gradient, t.value_bias, (size_t)(H * K) * sizeof(float));
  memcpy(a->output_kernel_gradient, t.output_kernel, (size_t)(H * K * O) * sizeof(float));
  memcpy(a->output_bias_gradient, t.output_bias, (size_t)O * sizeof(float));
  for (long h = 0; h < H; h++) {
    for (long k = 0; k < K; k++) {
      float sum = 0;
      for (long c = 0; c < C; c++) {
        sum += t.offsets[h * W + c] * a->key_kernel[(c * H + h) * K + k];
      }
      a->query_bias_gradient[h * K + k] = sum * scale;
      a->key_bias_gradient[h * K + k] = 0;
    }
  }
}
