/* Decimal numbers as floats: rounded once, whatever the locale, at the speed that large files of text need. */
#ifndef INDEX_FORMATS_VECTORS_DECIMAL_H
#define INDEX_FORMATS_VECTORS_DECIMAL_H

/* Reads the number at `at`, as strtof does in the C locale: digits with a point and an exponent, or inf and nan, but no
 * hexadecimal digits. Returns where it ends; `at`: there is none. A number beyond a float's range becomes infinite. */
const char *lk_decimal_read(const char *at, const char *end, float *value);

#endif
