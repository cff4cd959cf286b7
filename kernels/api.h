/* The mark of what liblikeness.so exports; all else in it is hidden. Public headers have it on every function. */
#ifndef KERNELS_API_H
#define KERNELS_API_H

#define LK_API __attribute__((visibility("default")))

#endif
