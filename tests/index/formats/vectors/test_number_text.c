#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "index/formats/vector.h"
#include "tests/index/formats/vectors/open_bytes.h"

static void check(const char *text, uint64_t rows, uint32_t dim, const float *wanted) {
  opened from = open_bytes(&lk_number_text_format, text, strlen(text));
  float got[16];
  cr_assert_eq(from.status, LK_OK, "%s: %s", text, from.error.text);
  cr_assert(from.vectors.rows == rows && from.vectors.dim == dim, "%s", text);
  lk_vector_to_f32(&from.vectors, 0, rows, got);
  cr_assert_arr_eq(got, wanted, rows * dim * sizeof *got, "%s", text);
  close_bytes(&from);
}

static const float four[] = {1, -2.5F, 3, 0.25F};

Test(number_text, separators_and_line_ends) {
  check("1,-2.5\n3,0.25\n", 2, 2, four);
  check("1;-2.5\r\n3;0.25\r\n", 2, 2, four);
  check("1\t-2.5\n3\t0.25", 2, 2, four);
  check("1 -2.5\n3   0.25 \n", 2, 2, four);
  check("  1.000000000000000000e+00 -2.500000000000000000e+00\n3e0 25e-2\n\n", 2, 2, four);
  check("1 , -2.5\n 3,\t0.25 \n", 2, 2, four);
  check("\xef\xbb\xbf"
        "1,-2.5\n\n\n3,0.25\n\n",
        2, 2, four);
  check("# made by numpy\n1 -2.5\n# more\n3 0.25\n", 2, 2, four);
  check("1\n-2.5\n3\n0.25\n", 4, 1, four);
  check("\"1\",\"-2.5\"\n\"3\",\"0.25\"\n", 2, 2, four);
}

Test(number_text, headers) {
  check("a,b\n1,-2.5\n3,0.25\n", 2, 2, four);
  check("\"a,b\",\"c\"\n1,-2.5\n3,0.25\n", 2, 2, four);
  check(",0,1\n0,1,-2.5\n1,3,0.25\n", 2, 2, four);
  check("\"\",\"V1\",\"V2\"\n\"a,b\",1,-2.5\n\"2\",3,0.25\n", 2, 2, four);
  check("\tx\ty\n7\t1\t-2.5\n8\t3\t0.25\n", 2, 2, four);
  check("x y\n1 -2.5\n3 0.25\n", 2, 2, four);
  check("\"V1\" \"V2\"\n\"1\" 1 -2.5\n\"2\" 3 0.25\n", 2, 2, four);
  check("a\tb\nx y\t1\t-2.5\nz\t3\t0.25\n", 2, 2, four);
  check("0,1,2\n1,-2.5,3\n", 1, 3, four);
  check("0,1,2\n7,8,9\n", 1, 3, (float[]){7, 8, 9});
  check("e1,e2\n1,-2.5\n3,0.25\n", 2, 2, four);
  check("0,1,3\n7,8,9\n", 2, 3, (float[]){0, 1, 3, 7, 8, 9});
  check("0,1\n1,0\n", 2, 2, (float[]){0, 1, 1, 0});
  check("0.0,1.0\n0.5,0\n", 2, 2, (float[]){0, 1, 0.5F, 0});
  check("0\n0.5\n", 2, 1, (float[]){0, 0.5F});
}

Test(number_text, words_for_no_numbers) {
  opened from = open_bytes(&lk_number_text_format, "nan,-inf\n1,Infinity\n", 20);
  float got[4];
  cr_assert(from.status == LK_OK && from.vectors.rows == 2);
  lk_vector_to_f32(&from.vectors, 0, 2, got);
  cr_assert(isnan(got[0]) && got[1] == -INFINITY && got[3] == INFINITY);
  close_bytes(&from);
}

static void check_refused(const char *text, lk_status status, const char *words) {
  check_bytes_refused(&lk_number_text_format, text, strlen(text), status, words);
}

Test(number_text, refused_by_line_and_column) {
  check_refused("1,2\n3,x\n", LK_EFORMAT, "line 2, column 2: 'x' is not a number");
  check_refused("1,2,NA\n3,4,5\n", LK_EFORMAT, "line 1, column 3: 'NA' is not a number");
  check_refused("0,5;1,5\n0,5;2,5\n", LK_EFORMAT, "line 1, column 1: '0,5' is not a number: write 0.5, not 0,5");
  check_refused("1,5e3;2,5E3\n", LK_EFORMAT, "line 1, column 1: '1,5e3' is not a number: write 0.5, not 0,5");
  check_refused(",5,7\n0,1,2\n", LK_EFORMAT, "line 1, column 1: '' is not a number: it is empty");
  check_refused(",,\n0,1,2\n", LK_EFORMAT, "line 1, column 1: '' is not a number: it is empty");
  check_refused("a,1,2\n0,1,2\n", LK_EFORMAT, "line 1, column 1: 'a' is not a number");
  check_refused("0.5,x\n1,2\n", LK_EFORMAT, "line 1, column 2: 'x' is not a number");
  check_refused("a,b\n\n1,2\n3,0x10\n", LK_EFORMAT, "line 4, column 2: '0x10' is not a number");
  check_refused("1,2\n3,\n", LK_EFORMAT, "line 2, column 2: '' is not a number: it is empty");
  check_refused("1,2\n3,1e300\n", LK_EFORMAT, "line 2, column 2: '1e300' is too large for a float");
  check_refused("1,2\n-1e39,3\n", LK_EFORMAT, "line 2, column 1: '-1e39' is too large for a float");
  check_refused("1;2\n0,5;1\n", LK_EFORMAT, "line 2, column 1: '0,5' is not a number: write 0.5, not 0,5");
  check_refused("1,2\n3\n", LK_EFORMAT, "line 2 has 1 numbers; line 1 has 2");
  check_refused("a,b\n1,2\n3,4,5\n", LK_EFORMAT, "line 3 has more than 2 numbers; line 2 has 2");
  check_refused(",a\n0,1\nx,y\n", LK_EFORMAT, "line 3, column 2: 'y' is not a number");
  check_refused("a,b\n", LK_EFORMAT, "the file has no rows");
  check_refused("\n#\n\n", LK_EFORMAT, "the file has no rows");
  check_refused("0,1,2\n", LK_EFORMAT, "the file has no rows");
  check_refused("\xef\xbb\xbf\"", LK_EFORMAT, "line 1, column 1: '\"' is not a number");
  check_bytes_refused(&lk_number_text_format, "\xff\xfe\x31\0\n\0", 6, LK_EFORMAT, "UTF-16; save it as UTF-8");
}

Test(number_text, a_header_of_another_width) {
  check_refused("a,b,c\n1,2\n", LK_EFORMAT, "line 2 has 2 fields, but the header in line 1 has 3 titles");
  check_refused("\na,b\n\n1,2,3,4\n", LK_EFORMAT, "line 4 has 4 fields, but the header in line 2 has 2 titles");
  check_refused(",0,1\n1,2\n", LK_EFORMAT, "line 2 has 2 fields, but the header in line 1 has 3 titles");
  check_refused(",a\n0,1,2\n", LK_EFORMAT, "line 2 has 3 fields, but the header in line 1 has 2 titles");
  check_refused(",a\n0\n", LK_EFORMAT, "line 2 has 1 fields, but the header in line 1 has 2 titles");
}

Test(number_text, columns_that_are_not_of_the_vectors) {
  check_refused("id,e0,e1\n7,1,2\n", LK_EFORMAT,
                "line 1, column 1: 'id' is a column that is not of the vectors; remove");
  check_refused(",x,Label\n0,1,2\n", LK_EFORMAT, "line 1, column 3: 'Label' is a column");
  check_refused("Unnamed: 0,0,1\n0,1,2\n", LK_EFORMAT, "line 1, column 1: 'Unnamed: 0' is a column");
}

Test(number_text, as_wide_as_can_be) {
  enum { WIDE = LK_DIM_MAX };
  char *text = malloc(2 * WIDE + 4);
  for (int i = 0; i <= WIDE; i++) memcpy(text + 2 * i, "1,", 2);
  text[2 * WIDE - 1] = '\n';
  opened from = open_bytes(&lk_number_text_format, text, 2 * WIDE);
  cr_assert(from.status == LK_OK && from.vectors.dim == WIDE, "%s", from.error.text);
  close_bytes(&from);
  text[2 * WIDE - 1] = ',';
  check_bytes_refused(&lk_number_text_format, text, 2 * WIDE + 1, LK_EDIM, "file: line 1: rows of 4097 elements");
  free(text);
}

/* The bound is generous: a core reads several times as fast. Only an optimised build is measured. */
Test(number_text, many_rows_at_speed) {
  enum { ROWS = 40000, DIM = 64 };
  char *text = malloc((size_t)ROWS * DIM * 24), *end = text;
  for (int r = 0; r < ROWS; r++)
    for (int i = 0; i < DIM; i++)
      end += sprintf(end, "%.9g%c", (r * 64 + i) * 1.2345678e-7 - 0.1, i + 1 < DIM ? ',' : '\n');
  size_t size = (size_t)(end - text);
  struct timespec begin, done;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
  opened from = open_bytes(&lk_number_text_format, text, size);
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &done);
  double seconds = (double)(done.tv_sec - begin.tv_sec) + (double)(done.tv_nsec - begin.tv_nsec) * 1e-9;
  cr_log_info("%.0f MB/s", (double)size / seconds * 1e-6);
  cr_assert(from.status == LK_OK && from.vectors.rows == ROWS && from.vectors.dim == DIM, "%s", from.error.text);
  const float *rows = from.vectors.data;
  for (int i = 0; i < ROWS * DIM; i += 997) {
    char number[32];
    sprintf(number, "%.9g", i * 1.2345678e-7 - 0.1);
    cr_assert_eq(rows[i], strtof(number, NULL));
  }
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  cr_assert(seconds < (double)size / 100e6, "%.0f MB/s", (double)size / seconds * 1e-6);
#endif
  close_bytes(&from);
  free(text);
}
