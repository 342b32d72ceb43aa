// What every kernel file begins with.
//
// A tensor is passed as its arena and the element at which it begins there: IN, OUT and INOUT
// declare the two arguments, AT(name) is the tensor's first element. Shapes in the comments are
// row-major, `[B, T, C]`; B counts the live samples alone.
//
// Sizes are arguments too. A build for one shape defines their names in capitals, which the bodies
// use, so that the compiler sees constants; a generic build leaves them to the arguments.

#ifndef SEMG_COMMON
#define SEMG_COMMON

#define IN(type, name) __global const type* name##_arena, const ulong name##_at
#define OUT(type, name) __global type* name##_arena, const ulong name##_at
#define INOUT(type, name) OUT(type, name)
#define AT(name) (name##_arena + name##_at)

// Arrays of `stored` are floats, or halves in a build with HALF_STORAGE: activations that have a
// time axis, and their gradients. All arithmetic is in float either way; vload_half and vstore_half
// are there without cl_khr_fp16. A kernel's `stored` arguments are all the one or all the other.
#ifndef HALF_STORAGE
#define HALF_STORAGE 0
#endif
#if HALF_STORAGE
#define stored half
#define LOAD(p, i) vload_half(i, p)
#define STORE(p, i, value) vstore_half_rte(value, i, p)
#else
#define stored float
#define LOAD(p, i) ((p)[i])
#define STORE(p, i, value) ((p)[i] = (value))
#endif

// Elements of an array of floats or of halves, whichever `halves` says, for functions that are
// given both: it is a constant wherever these are called.

static inline __global const void* element(__global const void* array, size_t i, bool halves) {
  return (__global const char*)array + i * (halves ? 2 : 4);
}

static inline float load_element(__global const void* p, int i, bool halves) {
  return halves ? vload_half(i, (__global const half*)p) : ((__global const float*)p)[i];
}

static inline void store_element(__global void* p, int i, float value, bool halves) {
  if (halves) {
    vstore_half_rte(value, i, (__global half*)p);
  } else {
    ((__global float*)p)[i] = value;
  }
}

#endif
