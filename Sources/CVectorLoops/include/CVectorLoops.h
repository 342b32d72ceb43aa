#ifndef CVECTORLOOPS_H
#define CVECTORLOOPS_H

// Loops that need wide vectors: compiled for several instruction sets, chosen at run time.

#endif
