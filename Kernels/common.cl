// What every kernel file begins with.
//
// A tensor is passed as its arena and the element at which it begins there: IN, OUT and INOUT
// declare the two arguments, AT(name) is the tensor's first element. Shapes in the comments are
// row-major, `[B, T, C]`; B counts the live samples alone.
//
// Sizes are arguments too. A build for one shape defines their names in capitals, which the bodies
// use, so that the compiler sees constants; a generic build leaves them to the arguments.

#define IN(type, name) __global const type* name##_arena, const ulong name##_at
#define OUT(type, name) __global type* name##_arena, const ulong name##_at
#define INOUT(type, name) OUT(type, name)
#define AT(name) (name##_arena + name##_at)
