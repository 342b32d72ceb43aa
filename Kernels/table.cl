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

// Dynamic loss scaling: gradients are those of the loss times `scale`, a power of two.
struct loss_scaling {
  float scale;
  uint good_steps;     // since the scale last changed
  uint skipped_steps;  // of all
  uint overflow;       // this step: a gradient is no number
};

// In a build with LOSS_SCALING kernels take it as their first argument.
#ifdef LOSS_SCALING
#define SCALING __global const struct loss_scaling *scaling,
#define LOSS_SCALE scaling->scale
#define OVERFLOWS scaling->overflow
#define SKIPPED_STEPS (int)scaling->skipped_steps
#else
#define SCALING
#define LOSS_SCALE 1.0f
#define OVERFLOWS false
#define SKIPPED_STEPS 0
#endif

struct step_result {
  float loss;
  float penalty;
  int hits;
  int unused;
};
