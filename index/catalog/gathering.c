#include "index/catalog/gathering.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

lk_status lk_gathering_open(lk_gathering *gathering, uint64_t room, lk_error *error) {
  *gathering = (lk_gathering){.templates = malloc((room + 1) * sizeof *gathering->templates),
                              .rows = malloc((room + 1) * sizeof *gathering->rows),
                              .faults = malloc((room + 1) * sizeof *gathering->faults),
                              .subjects = malloc((room + 1) * sizeof *gathering->subjects),
                              .room = (uint32_t)room};
  if (gathering->templates != NULL && gathering->rows != NULL && gathering->faults != NULL &&
      gathering->subjects != NULL)
    return LK_OK;
  lk_gathering_free(gathering);
  return lk_fail_memory(error);
}

void lk_gathering_free(lk_gathering *gathering) {
  free(gathering->templates);
  free(gathering->rows);
  free(gathering->faults);
  free(gathering->subjects);
  *gathering = (lk_gathering){0};
}

void lk_gathering_add(lk_gathering *gathering, const lk_template *template, const void *row) {
  gathering->templates[gathering->count] = *template;
  gathering->subjects[gathering->count] = LK_SUBJECT_UNKNOWN;
  gathering->rows[gathering->count++] = row;
}

void lk_gathering_add_part(lk_gathering *gathering, const lk_part *part, uint64_t from_number) {
  const lk_segment *segment = &part->segment;
  size_t row_bytes = (size_t)segment->shape.dim * lk_store_bytes(segment->shape.store);
  for (uint32_t position = 0; position < segment->block.rows; position++) {
    uint32_t row = lk_segment_row_at(segment, position);
    if (segment->block.numbers[row] < from_number || !lk_part_lives(part, row)) continue;
    lk_template template = lk_part_template(part, row);
    lk_gathering_add(gathering, &template, (const char *)segment->block.exact + row * row_bytes);
    if (!gathering->for_file && part->subjects != NULL) gathering->subjects[gathering->count - 1] = part->subjects[row];
  }
}

void lk_gathering_drop(lk_gathering *gathering, uint32_t count) {
  gathering->count -= count;
  memmove(gathering->templates, gathering->templates + count, gathering->count * sizeof *gathering->templates);
  memmove(gathering->subjects, gathering->subjects + count, gathering->count * sizeof *gathering->subjects);
  memmove(gathering->rows, gathering->rows + count, gathering->count * sizeof *gathering->rows);
}

/* The segment has the rows in another order. */
static lk_status give_subjects(const lk_gathering *gathering, uint32_t first, lk_part *part, lk_error *error) {
  uint32_t rows = part->segment.block.rows;
  part->subjects = malloc(rows * sizeof *part->subjects);
  if (part->subjects == NULL) return lk_fail_memory(error);
  for (uint32_t i = 0; i < rows; i++)
    part->subjects[lk_segment_row_at(&part->segment, i)] = gathering->subjects[first + i];
  return LK_OK;
}

lk_segment_content lk_gathering_content(const lk_gathering *gathering, lk_shape shape, uint32_t first, uint32_t count,
                                        const char *name) {
  return (lk_segment_content){.metric = shape.metric,
                              .store = shape.store,
                              .vectors = {.name = name,
                                          .rows = count,
                                          .dim = shape.dim,
                                          .element = shape.store == LK_STORE_F16 ? LK_F16 : LK_F32},
                              .scattered = gathering->rows + first,
                              .rows = count,
                              .templates = gathering->templates + first,
                              .faults = gathering->faults + first};
}

lk_status lk_gathering_make(const lk_gathering *gathering, uint32_t first, uint32_t count, lk_shape shape,
                            const char *name, lk_pool *pool, lk_part **part, lk_error *error) {
  lk_segment segment;
  *part = NULL;
  if (count == 0) return LK_OK;
  lk_segment_content content = lk_gathering_content(gathering, shape, first, count, name);
  lk_status status = lk_segment_make(&content, name, pool, &segment, error);
  if (status == LK_EBADPROBE) return lk_fail(error, LK_ECORRUPT, "%s: a row was changed meanwhile", name);
  if (status != LK_OK) return status;
  status = lk_part_open(&segment, 0, part, error);
  if (status != LK_OK) {
    lk_segment_close(&segment);
    return status;
  }
  status = give_subjects(gathering, first, *part, error);
  if (status == LK_OK) return LK_OK;
  lk_part_release(*part);
  *part = NULL;
  return status;
}
