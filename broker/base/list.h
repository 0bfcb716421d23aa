/* An intrusive, circular, doubly linked list. A link that is in no list points at itself. */
#ifndef PGB_BASE_LIST_H
#define PGB_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include "base/own.h"

struct list {
        struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
        l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
        return l->next == l;
}
static inline void list_insert_before(struct list *at, struct list *l)
{
        l->prev = at->prev;
        l->next = at;
        at->prev->next = l;
        at->prev = l;
}
static inline void list_push_back(struct list *head, struct list *l)
{
        list_insert_before(head, l);
}
static inline void list_push_front(struct list *head, struct list *l)
{
        list_insert_before(head->next, l);
}
/* Safe on a link that is in no list. */
static inline void list_remove(struct list *l)
{
        l->prev->next = l->next;
        l->next->prev = l->prev;
        list_init(l);
}
static inline struct list *list_pop_front(struct list *head)
{
        struct list *l = head->next;
        if (l == head)
                return NULL;
        list_remove(l);
        return l;
}
static inline size_t list_count(const struct list *head)
{
        size_t n = 0;
        for (const struct list *l = head->next; l != head; l = l->next)
                n++;
        return n;
}

#define list_item(l, type, member) container_of(l, type, member)
#define list_first(head, type, member)                                                             \
        (list_empty(head) ? NULL : list_item((head)->next, type, member))
#define list_last(head, type, member)                                                              \
        (list_empty(head) ? NULL : list_item((head)->prev, type, member))
/* The body may remove the current item. */
#define list_each(item, head, type, member)                                                        \
        for (struct list *l_ = (head)->next, *n_ = l_->next;                                       \
             l_ != (head) && ((item) = list_item(l_, type, member), true); l_ = n_, n_ = l_->next)

#endif
