/* Galleries as builds before segments of version 3 left them. */
#ifndef TESTS_SUPPORT_NORMALISED_H
#define TESTS_SUPPORT_NORMALISED_H

/* Rewrites the segments of a cosine gallery in version 2: rows are divided by their length, and coded as they are then.
 * What goes wrong ends the test. */
void normalised_rewrite(const char *folder);

#endif
