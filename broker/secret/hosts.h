/* Where a server may be: one host with its port, or a list of them, as libpq writes it: names with a
 * comma between them, and one port for all or one for each. Pure. */
#ifndef PGB_SECRET_HOSTS_H
#define PGB_SECRET_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#define HOSTS_MAX 16

struct server_host {
        char *name;                     /* never empty; a folder (of a unix socket) if it starts with '/' */
        uint16_t port;
};

struct hosts {
        struct server_host at[HOSTS_MAX];
        unsigned count;
};

/* Adds the names of the list; blanks around a comma are nothing. NULL, or what is wrong with it: then
 * some may be there, to be freed all the same. */
const char *hosts_read_names(struct hosts *h, const char *text);
/* Gives them their ports. NULL, or what is wrong with it. */
const char *hosts_read_ports(struct hosts *h, const char *text);
void hosts_set_port(struct hosts *h, uint16_t port);
void hosts_free(struct hosts *h);

/* The same hosts and ports in the same order. Names are the same in any case, folders are not. */
bool hosts_same_name(const char *a, const char *b);
bool hosts_equal(const struct hosts *a, const struct hosts *b);
/* "a,b": the caller frees it. */
char *hosts_text(const struct hosts *h);

#endif
