/* Status codes and their words. Functions return a status; the text of what went wrong goes to an lk_error
 * that the caller owns. Codes up to EINTERNAL also travel in replies, so their numbers never change. */
#ifndef KERNELS_STATUS_H
#define KERNELS_STATUS_H

#define LK_STATUS_MAP(X)                                               \
  X(0, OK, "done")                                                     \
  X(1, PARTIAL, "some shards are missing from this result")            \
  X(2, EDEADLINE, "the deadline passed")                               \
  X(3, EBUSY, "too much is queued, or another process holds it")       \
  X(4, EDIM, "the dimension differs from the gallery's")               \
  X(5, EVERSION, "a protocol version that this worker does not speak") \
  X(6, EMODEL, "the model differs from the gallery's")                 \
  X(7, EGALLERY, "no such gallery")                                    \
  X(8, EBADPROBE, "a probe that cannot be searched for")               \
  X(9, EPOLICY, "refused by policy")                                   \
  X(10, ECANCELLED, "cancelled by the client")                         \
  X(11, EPOISON, "the job was given up after repeated failures")       \
  X(12, EINTERNAL, "an internal error")                                \
  X(13, EBADJOB, "a field of the job is missing or malformed")         \
  X(32, EINVAL, "an argument is out of range")                         \
  X(33, ENOMEM, "out of memory")                                       \
  X(34, EIO, "the operating system refused a file operation")          \
  X(35, EFORMAT, "a file is not in the format it should be")           \
  X(36, ECORRUPT, "a file does not check out against its checksum")    \
  X(37, EEXIST, "it exists already")                                   \
  X(38, ENOTFOUND, "not found")                                        \
  X(39, ENODEVICE, "no such device")

typedef enum lk_status {
#define LK_STATUS_ENUM(number, name, words) LK_##name = number,
  LK_STATUS_MAP(LK_STATUS_ENUM)
#undef LK_STATUS_ENUM
} lk_status;

typedef struct lk_error {
  char text[512];
} lk_error;

/* "OK", "EDIM", ...; "?" for a number that is no status. */
const char *lk_status_name(lk_status status);
const char *lk_status_words(lk_status status);

/* Formats into `error` (which may be NULL, and may be an argument of its own format) and returns `status`. */
lk_status lk_fail(lk_error *error, lk_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The usual words for an allocation that failed. */
lk_status lk_fail_memory(lk_error *error);

#endif
