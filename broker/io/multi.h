/* libcurl's multi interface on the loop: sockets are watched, its one timer is a deadline. For http
 * alone. The memory that libcurl takes is wiped when it gives it back, for tokens and secrets go
 * through its buffers. */
#ifndef PGB_IO_MULTI_H
#define PGB_IO_MULTI_H

#include "io/loop.h"

struct multi;

/* finished() gets the CURLOPT_PRIVATE of a transfer that has ended, and its CURLcode. It is called
 * outside of libcurl and may remove transfers, but not free the multi. */
struct multi *multi_new(struct loop *l, void (*finished)(void *transfer, int code));
void multi_free(struct multi *m);       /* all transfers have been removed; NULL is fine */

/* `easy` is a CURL*. Nothing is called from here. */
void multi_add(struct multi *m, void *easy);
void multi_remove(struct multi *m, void *easy);

#endif
