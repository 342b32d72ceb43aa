#ifndef SUPPORT_H
#define SUPPORT_H

#include <stdint.h>
#include <stdlib.h>

#include "CVectorLoops.h"

// What a loop reads and writes lies in heap blocks of exactly its size, so that the address
// sanitizer sees the first byte beyond. What is written is NaN before: a place left out shows.

/// Pseudorandom numbers in [-1, 1), the same in every run.
float *given(long count);
/// In [0.5, 1.5): variances and factors.
float *positive(long count);
float *unwritten(long count);
double *doubles(long count);
uint8_t *bytes(long count);
uint16_t *lanes(long count);
/// Zeroed, at a multiple of 64 bytes.
float *aligned(long count);

/// Requires numbers in every place, and the same as in the run on one thread, but for rounding.
void check(const char *what, const float *values, long count);
/// The same, and fails where a place is not what it must be.
void require(int holds, const char *what);

/// Parts that each loop is cut into.
extern int threads;

void check_elements(void);
void check_normalization(void);
void check_blocks(void);
void check_sequences(void);
void check_attention(void);
void check_batches(void);

#endif
