/* Status codes and their descriptions. A function that fails returns a status and writes the reason into an lk_error
 * that the caller owns. Codes up to EEXIST also travel in replies, so their numbers never change. */
#ifndef LIKENESS_STATUS_H
#define LIKENESS_STATUS_H

#include <likeness/api.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LK_STATUS_MAP(X)                                                  \
  X(0, OK, "done")                                                        \
  X(1, PARTIAL, "some shards are missing from this result")               \
  X(2, EDEADLINE, "the deadline passed")                                  \
  X(3, EBUSY, "the queue is full, or another process holds the resource") \
  X(4, EDIM, "the dimension differs from the gallery's")                  \
  X(5, EVERSION, "this worker does not speak the protocol version")       \
  X(6, EMODEL, "the model differs from the gallery's")                    \
  X(7, EGALLERY, "no such gallery")                                       \
  X(8, EBADPROBE, "a probe cannot be searched for")                       \
  X(9, EPOLICY, "refused by policy")                                      \
  X(10, ECANCELLED, "cancelled")                                          \
  X(11, EPOISON, "the job was given up after repeated failures")          \
  X(12, EINTERNAL, "an internal error")                                   \
  X(13, EBADJOB, "a field of the job is missing or malformed")            \
  X(14, EEXIST, "already exists")                                         \
  X(32, EINVAL, "an argument is out of range")                            \
  X(33, ENOMEM, "out of memory")                                          \
  X(34, EIO, "a file operation failed")                                   \
  X(35, EFORMAT, "a file is not in the expected format")                  \
  X(36, ECORRUPT, "a file does not match its checksum")                   \
  X(38, ENOTFOUND, "not found")                                           \
  X(39, ENODEVICE, "no such device")

typedef enum lk_status {
#define LK_STATUS_ENUM(number, name, words) LK_##name = number,
  LK_STATUS_MAP(LK_STATUS_ENUM)
#undef LK_STATUS_ENUM
} lk_status;

/* What went wrong, in UTF-8, terminated; longer texts are cut. Only a function that fails writes it. */
typedef struct lk_error {
  char text[512];
} lk_error;

/* The name ("OK", "EDIM", ...) and the description of a status; "?" for any other number. Both strings are static. */
LK_API const char *lk_status_name(lk_status status);
LK_API const char *lk_status_words(lk_status status);

#ifdef __cplusplus
}
#endif

#endif
