/* LK_API marks what liblikeness.so exports; all other symbols are hidden. Every public function has it. */
#ifndef LIKENESS_API_H
#define LIKENESS_API_H

#define LK_API __attribute__((visibility("default")))

#endif
