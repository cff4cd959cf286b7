/* HDF5 files. libhdf5 runs in a child process, which sends its answer through a pipe: a file that makes the library
 * fail takes only the child with it, and the library's state is nobody else's. What the child says is checked against
 * the file's length like any other file's header. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fail.h"
#include "index/formats/element.h"
#include "index/formats/vectors/hdf5_dataset.h"

enum { SEARCH_S = 10 /* of the child's time, before it reads rows */ };

typedef struct answer {
  lk_status status;
  lk_error error;
  lk_hdf5_dataset dataset;
} answer;

static void limit_time(rlim_t seconds) {
  struct rlimit limit;
  getrlimit(RLIMIT_CPU, &limit);
  limit.rlim_cur = seconds < limit.rlim_max ? seconds : limit.rlim_max;
  setrlimit(RLIMIT_CPU, &limit);
}

static void end_limit(void) { limit_time(RLIM_INFINITY); }

/* Of what the parent handles; and what the C library would say of a damaged heap goes nowhere. */
static void leave_parent(void) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU};
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) signal(signals[i], SIG_DFL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere >= 0) dup2(nowhere, STDERR_FILENO);
  const struct rlimit no_core = {0};
  setrlimit(RLIMIT_CORE, &no_core);
  limit_time(SEARCH_S);
}

/* The child. It ends without running what the parent has registered for its own end. */
static void run_child(const lk_vector_source *source, lk_scratch *scratch, int to) {
  answer a = {0};
  leave_parent();
  a.status = lk_hdf5_dataset_read(source, scratch, end_limit, &a.dataset, &a.error);
  ssize_t written = write(to, &a, sizeof a);
  (void)written; /* the parent knows what it was sent */
  raise(SIGKILL);
}

/* The answer fits a pipe, so it arrives whole or not at all. */
static bool take_answer(int from, answer *a) {
  ssize_t got;
  do got = read(from, a, sizeof *a);
  while (got < 0 && errno == EINTR);
  return got == sizeof *a;
}

static lk_status ask_child(const lk_vector_source *source, lk_scratch *scratch, lk_hdf5_dataset *dataset,
                           lk_error *error) {
  int ends[2];
  answer a;
  if (pipe2(ends, O_CLOEXEC) != 0) return lk_fail(error, LK_EIO, "cannot make a pipe: %s", strerror(errno));
  pid_t child = fork();
  if (child == 0) run_child(source, scratch, ends[1]);
  close(ends[1]);
  bool answered = child > 0 && take_answer(ends[0], &a);
  close(ends[0]);
  while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
  if (child < 0) return lk_fail(error, LK_EIO, "cannot start a process: %s", strerror(errno));
  if (!answered)
    return lk_fail(error, LK_EFORMAT, "%s: the HDF5 library failed on this file: it is damaged", source->name);
  *dataset = a.dataset;
  return a.status == LK_OK ? LK_OK : lk_fail(error, a.status, "%s", a.error.text);
}

static lk_status check(const lk_vector_source *source, const lk_hdf5_dataset *d, const lk_file *rows, lk_error *error) {
  uint64_t bytes, offset = d->offset == LK_HDF5_COPIED ? 0 : d->offset;
  lk_status status = lk_vector_format_check_dim(source->name, d->dim, error);
  if (status != LK_OK) return status;
  if (__builtin_mul_overflow(d->rows, d->dim * lk_element_bytes(d->element), &bytes) || offset > rows->size ||
      bytes > rows->size - offset)
    return lk_fail(error, LK_EFORMAT, "%s: the dataset's rows are not within the file", source->name);
  return LK_OK;
}

static lk_status take_dataset(const lk_vector_source *source, lk_scratch *scratch, lk_file *decoded,
                              lk_vectors *vectors, lk_error *error) {
  lk_hdf5_dataset d;
  lk_status status = ask_child(source, scratch, &d, error);
  bool copied = status == LK_OK && d.offset == LK_HDF5_COPIED;
  if (copied) status = lk_scratch_map(scratch, decoded, error);
  const lk_file *rows = copied ? decoded : &source->file;
  if (status == LK_OK) status = check(source, &d, rows, error);
  if (status != LK_OK) return status;
  *vectors = (lk_vectors){.name = source->name,
                          .data = d.rows > 0 ? (const char *)rows->data + (copied ? 0 : d.offset) : NULL,
                          .rows = d.rows,
                          .dim = (uint32_t)d.dim,
                          .element = d.element,
                          .big_endian = d.big_endian};
  return LK_OK;
}

static lk_status open_hdf5(const lk_vector_source *source, lk_file *decoded, lk_vectors *vectors, lk_error *error) {
  lk_scratch scratch;
  lk_status status = lk_scratch_open(source->name, &scratch, error);
  if (status == LK_OK) status = take_dataset(source, &scratch, decoded, vectors, error);
  lk_scratch_close(&scratch);
  return status;
}

const lk_vector_format lk_hdf5_format = {
    .name = "HDF5 file",
    .endings = ".h5 .hdf5 .hdf",
    .magic = "\x89HDF\r\n\x1a\n",
    .magic_bytes = 8,
    .has_members = true,
    .holds =
        "datasets of the shapes and types of .npy, contiguous, chunked or packed: the only one of rows x elements, "
        "or `FILE:NAME`; of ann-benchmarks' files `train` is enrolled, and `test` has the probes",
    .open = open_hdf5};
