/* One line an event, to stderr, without ever blocking the caller: lines go through a bounded
 * queue to a thread of the log's own; when the queue is full lines are dropped and counted, and
 * the count is logged when there is room again. Lines below LOG_WARN that follow another one closely wait
 * for others, up to 20 ms. Field values are escaped; nothing else is done to them, so never pass a
 * secret. */
#ifndef PGB_BASE_LOG_H
#define PGB_BASE_LOG_H

#include <stdint.h>
#include <stdbool.h>
#include "base/error.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log;

struct log_field {
        const char *key;                /* NULL ends a list */
        const char *text;               /* NULL: the number counts */
        int64_t number;
};

/* fd is not closed by the log. */
struct log *log_new(int fd, enum log_level level, enum log_format format);
void log_free(struct log *l);           /* writes what is queued, for a second at most */
void log_set(struct log *l, enum log_level level, enum log_format format);
bool log_wants(const struct log *l, enum log_level level);
uint64_t log_dropped(const struct log *l);

/* `event` is a short sentence; `fields` end with a NULL key. A NULL log logs nothing. */
void log_write(struct log *l, enum log_level level, const char *event, const struct log_field *fields);

static inline const char *log_text(const char *s)
{
        return s ? s : "";
}

#define log_str(k, v) ((struct log_field){.key = (k), .text = log_text(v)})
#define log_int(k, v) ((struct log_field){.key = (k), .number = (v)})
#define log_reason(e) log_str("reason", (e)->text), log_str("hint", (e)->hint), log_str("sqlstate", (e)->sqlstate)
#define log_event(l, level, event, ...)                                                            \
        (log_wants(l, level) ? log_write(l, level, event, (struct log_field[]){__VA_ARGS__, {0}})  \
                             : (void) 0)
#define log_debug(l, event, ...) log_event(l, LOG_DEBUG, event, __VA_ARGS__)
#define log_info(l, event, ...)  log_event(l, LOG_INFO, event, __VA_ARGS__)
#define log_warn(l, event, ...)  log_event(l, LOG_WARN, event, __VA_ARGS__)
#define log_error(l, event, ...) log_event(l, LOG_ERROR, event, __VA_ARGS__)

#endif
