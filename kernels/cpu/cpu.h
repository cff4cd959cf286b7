/* The CPU backend: it scans and rescores on all cores, with the best instruction set that the processor has. */
#ifndef KERNELS_CPU_CPU_H
#define KERNELS_CPU_CPU_H

#include "kernels/backend.h"

/* `device`: "cpu", or "cpu:" and the name of an instruction set. `threads` 0: as many as this process may run on. */
lk_status lk_cpu_open(const char *device, uint32_t threads, lk_backend **backend, lk_error *error);

#endif
