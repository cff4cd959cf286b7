/* LK_INLINE: a function in a header that host and device code share. */
#ifndef KERNELS_PORTABLE_H
#define KERNELS_PORTABLE_H

#ifdef __CUDACC__
#define LK_INLINE static __host__ __device__ inline
#else
#define LK_INLINE static inline
#endif

#endif
