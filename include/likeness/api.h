/* The mark of what liblikeness.so exports; all else in it is hidden. Public headers have it on every function. */
#ifndef LIKENESS_API_H
#define LIKENESS_API_H

#define LK_API __attribute__((visibility("default")))

#endif
