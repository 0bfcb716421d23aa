/* A hash map from strings to pointers. Keys are copied; values belong to the caller, who frees
 * them through `drop` (may be NULL) when they are replaced, removed, or the map is freed. */
#ifndef PGB_BASE_MAP_H
#define PGB_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

struct map;

struct map *map_new(void (*drop)(void *value));
void map_free(struct map *m);
void map_put(struct map *m, const char *key, void *value);
void *map_get(const struct map *m, const char *key);
bool map_remove(struct map *m, const char *key);
size_t map_count(const struct map *m);
/* Walks in insertion order: `*at` starts as 0; false at the end. Not while changing the map. */
bool map_next(const struct map *m, size_t *at, const char **key, void **value);

#endif
