// HDF5's macro "constants" are variables behind a call: they reach Swift as functions.
// The 1.10 interface is asked for by name, so that newer libraries offer the same.
#define H5_USE_110_API
#include <hdf5.h>

static inline hid_t semg_H5T_NATIVE_FLOAT(void) { return H5T_NATIVE_FLOAT; }
static inline hid_t semg_H5T_NATIVE_INT64(void) { return H5T_NATIVE_INT64; }
static inline hid_t semg_H5T_IEEE_F32LE(void) { return H5T_IEEE_F32LE; }
static inline hid_t semg_H5T_IEEE_F64LE(void) { return H5T_IEEE_F64LE; }
static inline hid_t semg_H5T_C_S1(void) { return H5T_C_S1; }
static inline hid_t semg_H5T_STD_I64LE(void) { return H5T_STD_I64LE; }
static inline hid_t semg_H5P_DEFAULT(void) { return H5P_DEFAULT; }
static inline hid_t semg_H5P_FILE_ACCESS(void) { return H5P_FILE_ACCESS; }
static inline hid_t semg_H5P_LINK_CREATE(void) { return H5P_LINK_CREATE; }
static inline hid_t semg_H5P_DATASET_CREATE(void) { return H5P_DATASET_CREATE; }
static inline hid_t semg_H5S_ALL(void) { return H5S_ALL; }
static inline unsigned semg_H5F_ACC_TRUNC(void) { return H5F_ACC_TRUNC; }
static inline unsigned semg_H5F_ACC_RDONLY(void) { return H5F_ACC_RDONLY; }
