#include "index/formats/vectors/hdf5_dataset.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "index/formats/element.h"
#include "index/formats/vectors/hdf5_library.h"
#include "index/formats/vectors/zip.h"

enum { RANK_MOST = 3, BLOCK_BYTES = 4 << 20, BLOCK_MOST = 1 << 28 };

/* The names of a file's datasets that could be vectors. */
typedef struct listing {
  char only[256], text[256]; /* of the last that has rows of numbers; of all, for messages */
  size_t used;
  uint32_t tables, lists; /* with two or more dimensions; with one */
  bool has_train, has_test;
  bool elsewhere; /* there is one whose rows lie in other files */
} listing;

typedef struct handles {
  hid_t file, dataset, type, space, plist;
} handles;

enum { READ_ONLY = 0 }; /* H5F_ACC_RDONLY, which as a macro calls the library */

static const char rows_elsewhere[] = "its rows lie in other files";

static lk_hdf5_library h5;

static lk_status fail(const lk_vector_source *source, const char *what, lk_error *error) {
  return lk_fail(error, LK_EFORMAT, "%s: %s", source->name, what);
}

/* The innermost of the library's errors is the first one. */
static herr_t keep_first(unsigned number, const H5E_error2_t *each, void *context) {
  const char **text = context;
  if (number == 0 && each->desc != NULL) *text = each->desc;
  return 0;
}

static lk_status fail_inside(const lk_vector_source *source, const char *what, lk_error *error) {
  const char *text = "no reason is given";
  h5.H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &text);
  return lk_fail(error, LK_EFORMAT, "%s: %s: %s", source->name, what, text);
}

static bool is_number(hid_t type) {
  H5T_class_t class = h5.H5Tget_class(type);
  return class == H5T_INTEGER || class == H5T_FLOAT;
}

/* Also H5Dget_space opens those files, and would wait for a FIFO. So this is asked before anything else. */
static bool is_elsewhere(hid_t dataset) {
  hid_t plist = h5.H5Dget_create_plist(dataset);
  bool elsewhere = plist < 0 || h5.H5Pget_layout(plist) == H5D_VIRTUAL || h5.H5Pget_external_count(plist) != 0;
  if (plist >= 0) h5.H5Pclose(plist);
  return elsewhere;
}

static void note(listing *all, const char *name, hid_t dataset) {
  if (is_elsewhere(dataset)) {
    all->elsewhere = true;
    return;
  }
  hid_t type = h5.H5Dget_type(dataset), space = h5.H5Dget_space(dataset);
  int rank = h5.H5Sget_simple_extent_ndims(space);
  if (is_number(type) && rank >= 1) {
    bool first = all->tables + all->lists == 0;
    if (all->tables == 0 || rank > 1) snprintf(all->only, sizeof all->only, "%s", name);
    all->tables += rank > 1;
    all->lists += rank == 1;
    all->used = lk_text_append(all->text, sizeof all->text, all->used, "%s%s", first ? "" : ", ", name);
    all->has_train = all->has_train || strcmp(name, "train") == 0;
    all->has_test = all->has_test || strcmp(name, "test") == 0;
  }
  if (type >= 0) h5.H5Tclose(type);
  if (space >= 0) h5.H5Sclose(space);
}

static herr_t visit(hid_t root, const char *name, const H5O_info_t *info, void *context) {
  if (info->type != H5O_TYPE_DATASET) return 0;
  hid_t dataset = h5.H5Dopen2(root, name, H5P_DEFAULT);
  if (dataset >= 0) note(context, name, dataset);
  if (dataset >= 0) h5.H5Dclose(dataset);
  return 0;
}

static lk_status choose(const lk_vector_source *source, hid_t file, char name[256], lk_error *error) {
  listing all = {0};
  if (h5.H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, visit, &all, H5O_INFO_BASIC) < 0)
    return fail_inside(source, "its datasets cannot be listed", error);
  if (all.has_train && all.has_test)
    strcpy(name, source->role == LK_ROLE_PROBES ? "test" : "train");
  else if (all.tables == 1 || (all.tables == 0 && all.lists == 1))
    memcpy(name, all.only, sizeof all.only);
  else if (all.tables + all.lists == 0)
    return fail(source, all.elsewhere ? rows_elsewhere : "it has no dataset of numbers", error);
  else
    return lk_fail(error, LK_EFORMAT, "%s: it has several datasets; name one, as FILE.h5:NAME: %s", source->name,
                   all.text);
  return LK_OK;
}

/* IEEE's floats, which h5py also writes with 2 bytes. */
static bool is_ieee(hid_t type, size_t size) {
  static const struct {
    size_t size, sign, exponent, exponent_size, mantissa_size, bias;
  } kinds[] = {{2, 15, 10, 5, 10, 15}, {4, 31, 23, 8, 23, 127}, {8, 63, 52, 11, 52, 1023}};
  size_t sign, exponent, exponent_size, mantissa, mantissa_size;
  if (h5.H5Tget_fields(type, &sign, &exponent, &exponent_size, &mantissa, &mantissa_size) < 0) return false;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (kinds[i].size == size)
      return kinds[i].sign == sign && kinds[i].exponent == exponent && kinds[i].exponent_size == exponent_size &&
             mantissa == 0 && kinds[i].mantissa_size == mantissa_size && kinds[i].bias == h5.H5Tget_ebias(type);
  return false;
}

static lk_status find_element(const lk_vector_source *source, hid_t type, lk_hdf5_dataset *dataset, lk_error *error) {
  static const lk_element whole[2][9] = {{[1] = LK_U8, [2] = LK_U16, [4] = LK_U32, [8] = LK_U64},
                                         {[1] = LK_I8, [2] = LK_I16, [4] = LK_I32, [8] = LK_I64}};
  static const lk_element floats[9] = {[2] = LK_F16, [4] = LK_F32, [8] = LK_F64};
  H5T_class_t class = h5.H5Tget_class(type);
  size_t size = h5.H5Tget_size(type);
  H5T_order_t order = h5.H5Tget_order(type);
  if (class == H5T_ENUM)
    return fail(source, "its elements are an enumeration, such as truth values; save numbers", error);
  if (!is_number(type)) return fail(source, "its elements are not numbers", error);
  bool known = (size == 1 || size == 2 || size == 4 || size == 8) && (order == H5T_ORDER_LE || order == H5T_ORDER_BE) &&
               h5.H5Tget_precision(type) == 8 * size && h5.H5Tget_offset(type) == 0;
  if (!known || (class == H5T_FLOAT && !is_ieee(type, size)))
    return fail(source, "its elements are numbers of an unusual type; save them as float32", error);
  dataset->element = class == H5T_FLOAT ? floats[size] : whole[h5.H5Tget_sign(type) != H5T_SGN_NONE][size];
  dataset->big_endian = order == H5T_ORDER_BE;
  return LK_OK;
}

/* As an .npy file has them: (d) is one row, and (n, 1, d) and (1, n, d) are n. */
static lk_status find_shape(const lk_vector_source *source, hid_t space, hsize_t shape[RANK_MOST], int *rank,
                            lk_hdf5_dataset *dataset, lk_error *error) {
  *rank = h5.H5Sget_simple_extent_ndims(space);
  if (*rank < 1 || *rank > RANK_MOST || h5.H5Sget_simple_extent_dims(space, shape, NULL) < 0 ||
      (*rank == 3 && shape[0] != 1 && shape[1] != 1))
    return lk_fail(error, LK_EFORMAT, "%s: has %d dimensions; two are needed, rows x elements", source->name, *rank);
  dataset->dim = shape[*rank - 1];
  dataset->rows = *rank == 1 ? 1 : *rank == 2 || shape[0] != 1 ? shape[0] : shape[1];
  return lk_vector_format_check_dim(source->name, dataset->dim, error);
}

/* Called before the file of an external link is opened. */
static herr_t refuse_link(const char *from, const char *group, const char *to, const char *object, unsigned *flags,
                          hid_t access, void *context) {
  (void)from, (void)group, (void)to, (void)object, (void)access;
  bool *met = context;
  *met = true;
  *flags = READ_ONLY;
  return -1;
}

static lk_status open_named(const lk_vector_source *source, const char *name, handles *h, lk_error *error) {
  bool linked = false;
  hid_t access = h5.H5Pcreate(h5.dataset_access);
  if (access >= 0 && h5.H5Pset_elink_cb(access, refuse_link, &linked) >= 0)
    h->dataset = h5.H5Dopen2(h->file, name, access);
  lk_status status = LK_OK;
  if (h->dataset < 0)
    status = linked ? fail(source, rows_elsewhere, error) : fail_inside(source, "the dataset cannot be opened", error);
  if (access >= 0) h5.H5Pclose(access);
  return status;
}

/* By the descriptor, since the path may name another file by now. */
static lk_status open_dataset(const lk_vector_source *source, handles *h, lk_error *error) {
  char name[256], path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", source->fd);
  h->file = h5.H5Fopen(path, READ_ONLY, H5P_DEFAULT);
  if (h->file < 0) return fail_inside(source, "the HDF5 file cannot be opened", error);
  lk_status status = source->member == NULL ? choose(source, h->file, name, error) : LK_OK;
  if (status == LK_OK) status = open_named(source, source->member != NULL ? source->member : name, h, error);
  if (status != LK_OK) return status;
  if (is_elsewhere(h->dataset)) return fail(source, rows_elsewhere, error);
  h->plist = h5.H5Dget_create_plist(h->dataset);
  h->type = h5.H5Dget_type(h->dataset);
  h->space = h5.H5Dget_space(h->dataset);
  if (h->type < 0 || h->space < 0 || h->plist < 0) return fail_inside(source, "the dataset cannot be opened", error);
  return LK_OK;
}

static void close_all(const handles *h) {
  if (h->type >= 0) h5.H5Tclose(h->type);
  if (h->space >= 0) h5.H5Sclose(h->space);
  if (h->plist >= 0) h5.H5Pclose(h->plist);
  if (h->dataset >= 0) h5.H5Dclose(h->dataset);
  if (h->file >= 0) h5.H5Fclose(h->file);
}

/* What says how much there is must be possible for a file of this size: deflate, the usual filter, packs at the most
 * 1032 bytes into one. `*block`: rows to be read at once, as many as whole chunks have. */
static lk_status find_block(const lk_vector_source *source, const handles *h, const lk_hdf5_dataset *dataset,
                            uint64_t row_bytes, uint64_t *block, lk_error *error) {
  hsize_t chunk[H5S_MAX_RANK] = {0};
  uint64_t bytes, chunk_rows = 1, chunk_bytes = lk_element_bytes(dataset->element);
  int rank = h5.H5Pget_layout(h->plist) == H5D_CHUNKED ? h5.H5Pget_chunk(h->plist, H5S_MAX_RANK, chunk) : 0;
  for (int i = 0; i < rank; i++)
    if (__builtin_mul_overflow(chunk_bytes, chunk[i], &chunk_bytes)) chunk_bytes = UINT64_MAX;
  for (int i = 0; i + 1 < rank; i++) chunk_rows = chunk[i] > chunk_rows ? chunk[i] : chunk_rows;
  if (__builtin_mul_overflow(dataset->rows, row_bytes, &bytes)) bytes = UINT64_MAX;
  if (bytes / LK_DEFLATE_MOST > source->file.size || (bytes > 0 && h5.H5Dget_storage_size(h->dataset) == 0))
    return fail(source, "it cannot have as many rows as it says", error);
  if (chunk_bytes / LK_DEFLATE_MOST > source->file.size || chunk_bytes > BLOCK_MOST)
    return fail(source, "its chunks are too large", error);
  uint64_t most = BLOCK_MOST / row_bytes;
  *block = BLOCK_BYTES / row_bytes / chunk_rows * chunk_rows;
  if (*block < chunk_rows) *block = chunk_rows < most ? chunk_rows : most;
  if (*block == 0) *block = 1;
  return LK_OK;
}

static lk_status check_filters(const lk_vector_source *source, hid_t plist, lk_error *error) {
  for (int i = 0, filters = h5.H5Pget_nfilters(plist); i < filters; i++) {
    char name[64] = "";
    unsigned flags;
    size_t values = 0;
    H5Z_filter_t filter = h5.H5Pget_filter2(plist, (unsigned)i, &flags, &values, NULL, sizeof name, name, NULL);
    if (filter < 0 || h5.H5Zfilter_avail(filter) <= 0)
      return lk_fail(error, LK_EFORMAT,
                     "%s: its rows are packed by a filter that libhdf5 has not here: '%s'; save them with gzip",
                     source->name, name);
  }
  return LK_OK;
}

static lk_status copy_rows(const lk_vector_source *source, const handles *h, const hsize_t shape[RANK_MOST], int rank,
                           const lk_hdf5_dataset *dataset, uint64_t block, lk_scratch *scratch, lk_hdf5_going *going,
                           lk_error *error) {
  uint64_t row_bytes = dataset->dim * lk_element_bytes(dataset->element);
  if (block > dataset->rows) block = dataset->rows;
  void *rows = malloc(block * row_bytes + 1);
  if (rows == NULL) return lk_fail_memory(error);
  lk_status status = LK_OK;
  int axis = rank == 3 && shape[0] == 1 ? 1 : 0;
  for (uint64_t first = 0; status == LK_OK && first < dataset->rows; first += block) {
    hsize_t start[RANK_MOST] = {0}, count[RANK_MOST] = {1, 1, 1};
    uint64_t some = dataset->rows - first < block ? dataset->rows - first : block;
    going->on(going->context);
    if (rank > 1) start[axis] = first, count[axis] = some;
    count[rank - 1] = dataset->dim;
    hid_t memory = h5.H5Screate_simple(rank, count, NULL);
    if (memory < 0 || h5.H5Sselect_hyperslab(h->space, H5S_SELECT_SET, start, NULL, count, NULL) < 0 ||
        h5.H5Dread(h->dataset, h->type, memory, h->space, H5P_DEFAULT, rows) < 0)
      status = fail_inside(source, "its rows cannot be read", error);
    if (memory >= 0) h5.H5Sclose(memory);
    if (status == LK_OK) status = lk_scratch_write(scratch, rows, some * row_bytes, error);
  }
  free(rows);
  return status;
}

static lk_status read_dataset(const lk_vector_source *source, handles *h, lk_scratch *scratch, lk_hdf5_going *going,
                              lk_hdf5_dataset *dataset, lk_error *error) {
  hsize_t shape[RANK_MOST] = {0};
  int rank = 0;
  uint64_t block = 1;
  lk_status status = open_dataset(source, h, error);
  if (status == LK_OK) status = find_element(source, h->type, dataset, error);
  if (status == LK_OK) status = find_shape(source, h->space, shape, &rank, dataset, error);
  if (status == LK_OK) status = check_filters(source, h->plist, error);
  uint64_t row_bytes = status == LK_OK ? dataset->dim * lk_element_bytes(dataset->element) : 0;
  if (status == LK_OK) status = find_block(source, h, dataset, row_bytes, &block, error);
  if (status != LK_OK) return status;
  haddr_t offset = h5.H5Pget_layout(h->plist) == H5D_CONTIGUOUS && h5.H5Pget_nfilters(h->plist) == 0
                       ? h5.H5Dget_offset(h->dataset)
                       : HADDR_UNDEF;
  dataset->offset = offset != HADDR_UNDEF ? offset : LK_HDF5_COPIED;
  if (dataset->offset != LK_HDF5_COPIED) return LK_OK;
  return copy_rows(source, h, shape, rank, dataset, block, scratch, going, error);
}

lk_status lk_hdf5_dataset_read(const lk_vector_source *source, lk_scratch *scratch, lk_hdf5_going *going,
                               lk_hdf5_dataset *dataset, lk_error *error) {
  handles h = {-1, -1, -1, -1, -1};
  lk_status status = lk_hdf5_library_open(source->name, &h5, error);
  if (status != LK_OK) return status;
  status = read_dataset(source, &h, scratch, going, dataset, error);
  close_all(&h);
  return status;
}
