// What the host uploads for an epoch and what the steps leave for it: the structures of
// `ProgramTable`.

struct table_header {
  ulong first_iteration;  // step s trains iteration first_iteration + s, which Philox counts
  int augmentation_epoch;
  int earlier_rates;  // of iterations before the first, in front of the steps' in `rates`
};

struct sample_entry {
  int window;
  int partner;
  float lambda;
  short masked_channel;  // or -1
  ushort view;           // 0 original, 1 masked, 2 mixed
};

// Dynamic loss scaling: gradients are those of the loss times `scale`, a power of two. What holds for
// the step under way was copied from what holds for the next when it began, so that a kernel that
// makes the one reads the other alone.
struct loss_scale {
  float scale;
  uint good_steps;     // since the scale last changed
  uint skipped_steps;  // of all
  uint overflow;       // this step: a gradient is not a number
};
struct loss_scaling {
  struct loss_scale now;
  struct loss_scale next;
};

// In a build with LOSS_SCALING kernels take it as their first argument.
#ifdef LOSS_SCALING
#define SCALING __global struct loss_scaling *scaling,
#define NEXT_LOSS_SCALE scaling->next.scale
#define BEGIN_SCALED_STEP scaling->now = scaling->next
#else
#define SCALING
#define NEXT_LOSS_SCALE 1.0f
#define BEGIN_SCALED_STEP (void)0
#endif

// Whether a gradient is infinite or no number, which is where all bits of its exponent are set.
static inline bool overflows(const float gradient) {
  return (as_uint(gradient) & 0x7F800000u) == 0x7F800000u;
}

struct step_result {
  float loss;
  float penalty;
  int hits;
  int unused;
};
