/* HDF5 files. libhdf5 runs in a child process: a file that makes the library fail takes only the child with it, and the
 * library's state is nobody else's. What the child says is checked like any other file's header. */
#include <string.h>

#include "base/fail.h"
#include "index/formats/element.h"
#include "index/formats/vectors/child.h"
#include "index/formats/vectors/hdf5_dataset.h"

/* For the search of a dataset, and then for each block of its rows. */
static const lk_child limits = {.processor_s = 10, .wait_ms = 60000};

typedef struct task {
  const lk_vector_source *source;
  lk_scratch *scratch;
} task;

typedef struct answer {
  lk_status status;
  lk_error error;
  lk_hdf5_dataset dataset;
} answer;
_Static_assert(sizeof(answer) <= LK_CHILD_ANSWER_MOST, "an answer fits");

static void go_on(void *child) { lk_child_go_on(child); }

static void work(lk_child *child, const void *context, void *to) {
  const task *wanted = context;
  answer *a = to;
  lk_hdf5_going going = {.on = go_on, .context = child};
  a->status = lk_hdf5_dataset_read(wanted->source, wanted->scratch, &going, &a->dataset, &a->error);
}

/* What a damaged process may say. */
static bool is_sane(answer *a) {
  unsigned char big_endian;
  memcpy(&big_endian, &a->dataset.big_endian, sizeof big_endian);
  a->error.text[sizeof a->error.text - 1] = '\0';
  return (unsigned)a->dataset.element <= LK_I64 && big_endian <= 1 && strcmp(lk_status_name(a->status), "?") != 0;
}

static lk_status ask_child(const lk_vector_source *source, lk_scratch *scratch, lk_hdf5_dataset *dataset,
                           lk_error *error) {
  const task wanted = {.source = source, .scratch = scratch};
  answer a = {0};
  lk_status status = lk_child_run(source->name, &limits, work, &wanted, &a, sizeof a, error);
  if (status != LK_OK) return status;
  if (!is_sane(&a))
    return lk_fail(error, LK_EFORMAT, "%s: its library failed on this file: it is damaged", source->name);
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
  lk_scratch_open(source->name, &scratch);
  lk_status status = take_dataset(source, &scratch, decoded, vectors, error);
  lk_scratch_close(&scratch);
  return status;
}

const lk_vector_format lk_hdf5_format = {
    .name = "HDF5 file",
    .endings = ".h5 .hdf5 .hdf",
    .magic = "\x89HDF\r\n\x1a\n",
    .magic_bytes = 8,
    .mark_moves = 512,
    .has_members = true,
    .holds = "datasets of the shapes and numbers of .npy, but no records; contiguous, chunked or packed: the only one "
             "of rows "
             "x elements, or `FILE:NAME`; of ann-benchmarks' files `train` is enrolled, and `test` has the probes",
    .open = open_hdf5};
