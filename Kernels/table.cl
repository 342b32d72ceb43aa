// What the host uploads for an epoch and what the steps leave for it: the structures of
// `ProgramTable`.

struct table_header {
  ulong first_iteration;  // step s trains iteration first_iteration + s, which Philox counts
  int augmentation_epoch;
  int unused;
};

struct sample_entry {
  int window;
  int partner;
  float lambda;
  short masked_channel;  // or -1
  ushort view;           // 0 original, 1 masked, 2 mixed
};

struct step_result {
  float loss;
  float penalty;
  int hits;
  int unused;
};
