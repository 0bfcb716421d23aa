/* Sockets that listened before this process had them. */
#ifndef PGB_IO_LISTEN_GIVEN_H
#define PGB_IO_LISTEN_GIVEN_H

#include <sys/stat.h>
#include "base/error.h"

/* Is this the listening stream socket that stands at the path? It is made close-on-exec and
 * non-blocking; *at is what stands there. */
bool listen_given_fits(int fd, const char *path, struct stat *at, struct error *e);

#endif
