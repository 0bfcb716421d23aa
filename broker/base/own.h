/* Scope cleanup: OWN(free_fn) T *x = ...; runs free_fn(x) when x leaves its scope. */
#ifndef PGB_BASE_OWN_H
#define PGB_BASE_OWN_H

#include <stdlib.h>
#include <stddef.h>

#define OWN(fn) __attribute__((cleanup(fn##_cleanup)))

/* Defines fn_cleanup for a destructor `void fn(T *)` so that OWN(fn) can name it. */
#define OWN_DEFINE(T, fn)                                                                          \
        static inline void fn##_cleanup(T **p)                                                     \
        {                                                                                          \
                if (*p)                                                                            \
                        fn(*p);                                                                    \
        }

OWN_DEFINE(char, free)

/* Gives a pointer away: returns it and leaves NULL behind. */
#define TAKE(p)                                                                                    \
        ({                                                                                         \
                __auto_type taken_ = (p);                                                          \
                (p) = NULL;                                                                        \
                taken_;                                                                            \
        })

/* The struct that holds `member`, from a pointer to that member. */
#define container_of(ptr, type, member) ((type *) (void *) ((char *) (ptr) -offsetof(type, member)))

/* Allocation that cannot fail: without memory the broker dies with a message (own.c). */
void *own_alloc(size_t size);               /* zeroed */
void *own_grow(void *p, size_t size);       /* realloc */
char *own_string(const char *s);            /* strdup; NULL gives NULL */
char *own_text(const char *s, size_t n);    /* n bytes and a NUL */
char *own_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define own_new(T) ((T *) own_alloc(sizeof(T)))

#endif
