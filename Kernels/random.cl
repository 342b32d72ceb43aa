// Philox4x32-10 (Salmon et al., SC 2011): the same bits as every other backend.

// Ten rounds; counter (block, stream, step low, step high), key (seed low, seed high).
static inline uint4 philox(uint4 c, uint2 k) {
  for (int round = 0; round < 10; ++round) {
    if (round > 0) k += (uint2)(0x9E3779B9u, 0xBB67AE85u);
    c = (uint4)(mul_hi(0xCD9E8D57u, c.z) ^ c.y ^ k.x, 0xCD9E8D57u * c.z,
                mul_hi(0xD2511F53u, c.x) ^ c.w ^ k.y, 0xD2511F53u * c.x);
  }
  return c;
}

static inline uint4 philox_block(uint block, uint stream, ulong step, uint2 key) {
  return philox((uint4)(block, stream, (uint)step, (uint)(step >> 32)), key);
}

static inline uint philox_word(uint4 words, int index) {
  return index == 0 ? words.x : index == 1 ? words.y : index == 2 ? words.z : words.w;
}

// The 16-bit lane of an element: eight to a block, word lane/2, low half first.
static inline uint philox_lane(uint4 words, int lane) {
  const uint word = philox_word(words, lane >> 1);
  return (lane & 1) ? word >> 16 : word & 0xFFFFu;
}

// Two standard normals of a pair of words (Box-Muller): the upper 24 bits are the uniforms.
static inline float2 normal_pair(uint a, uint b) {
  const float u1 = (float)((a >> 8) + 1u) * 5.9604644775390625e-8f;
  const float u2 = (float)(b >> 8) * 5.9604644775390625e-8f;
  const float radius = sqrt(-2.0f * log(u1));
  const float angle = 6.283185307179586f * u2;
  // Not sincos, whose pointer Oclgrind cannot follow.
  return (float2)(radius * cos(angle), radius * sin(angle));
}

// The four standard normals of a block. By their components: Oclgrind dies of joined vectors.
static inline float4 philox_normals(uint4 words) {
  const float2 a = normal_pair(words.x, words.y), b = normal_pair(words.z, words.w);
  return (float4)(a.x, a.y, b.x, b.y);
}
