#include "ops/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>
#include "base/map.h"

/* Events, not libyaml's documents: an anchor is gone by the time a document is made, and limits
 * must hold before memory is taken. */
struct reader {
        yaml_parser_t parser;
        const char *file;
        struct error *e;
        unsigned values;
};

OWN_DEFINE(struct map, map_free)
OWN_DEFINE(FILE, fclose)

enum { QUOTED_MAX = 60, FILE_NAME_MAX = 200 };

/* ---- messages ---- */

bool yaml_error(struct error *e, struct yaml_mark mark, const char *format, ...)
{
        struct error cause = {0};
        const char *file = mark.file;
        size_t length = strlen(file);
        char text[sizeof cause.text];
        va_list args;

        /* The end of a long name tells more than its beginning. */
        if (length > FILE_NAME_MAX)
                file += length - FILE_NAME_MAX;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        /* Through error_set(), which never leaves half a character at a cut. */
        if (mark.line)
                error_set(&cause, "F0000", "%s:%u:%u: %s", file, mark.line, mark.column, text);
        else
                error_set(&cause, "F0000", "%s: %s", file, text);
        return error_set(e, "F0000", "%s", cause.text);
}

char *yaml_quote(const char *text)
{
        size_t length = strlen(text), kept = length;

        if (length > QUOTED_MAX) {
                kept = QUOTED_MAX;
                while (kept > 0 && ((unsigned char) text[kept] & 0xc0) == 0x80)
                        kept--;
        }

        char *quoted = own_format("\"%.*s%s\"", (int) kept, text, kept < length ? "..." : "");

        for (char *c = quoted; *c; c++)
                if ((unsigned char) *c < 0x20 || *c == 0x7f)
                        *c = '?';
        return quoted;
}

char *yaml_describe(const struct yaml *y)
{
        switch (y->kind) {
        case YAML_TEXT:
                return yaml_quote(y->text);
        case YAML_LIST:
                return own_string("a list");
        case YAML_MAP:
                return own_string("a map of keys and values");
        case YAML_NOTHING:
                break;
        }
        return own_string("nothing");
}

static struct yaml_mark mark_of(const struct reader *r, yaml_mark_t at)
{
        return (struct yaml_mark){r->file, (unsigned) at.line + 1, (unsigned) at.column + 1};
}

/* libyaml's reader knows the byte only. */
static struct yaml_mark mark_at(const struct reader *r, size_t offset)
{
        const unsigned char *text = r->parser.input.string.start;
        size_t size = (size_t) (r->parser.input.string.end - text);
        struct yaml_mark mark = {r->file, 1, 1};

        for (size_t i = 0; i < offset && i < size; i++) {
                if (text[i] == '\n') {
                        mark.line++;
                        mark.column = 1;
                } else if ((text[i] & 0xc0) != 0x80) {
                        mark.column++;
                }
        }
        return mark;
}

static bool not_yaml(struct reader *r)
{
        const yaml_parser_t *p = &r->parser;
        const char *problem = p->problem ? p->problem : "no reason is known";

        if (p->error == YAML_READER_ERROR)
                return yaml_error(r->e, mark_at(r, p->problem_offset),
                                  "found what is not YAML (%s), expected UTF-8 text", problem);
        yaml_error(r->e, mark_of(r, p->problem_mark), "found what is not YAML (%s%s%s), expected %s",
                   p->context ? p->context : "", p->context ? ": " : "", problem,
                   "keys, values and lists in YAML's form");

        size_t at = p->problem_mark.index;

        if (at < (size_t) (p->input.string.end - p->input.string.start) &&
            p->input.string.start[at] == '\t')
                error_hint(r->e, "There is a tab: indent with spaces.");
        return false;
}

/* ---- the tree ---- */

void yaml_free(struct yaml *y)
{
        if (!y)
                return;
        for (size_t i = 0; i < y->count; i++)
                yaml_free(y->children[i]);
        free(y->children);
        free(y->key);
        free(y->text);
        free(y);
}

const struct yaml *yaml_child(const struct yaml *map, const char *key)
{
        for (size_t i = 0; map && map->kind == YAML_MAP && i < map->count; i++)
                if (strcmp(map->children[i]->key, key) == 0)
                        return map->children[i];
        return NULL;
}

static void adopt(struct yaml *parent, struct yaml *child)
{
        /* Room for 1, 2, 4, 8 ...: it is full whenever the count is a power of two, or none. */
        if ((parent->count & (parent->count - 1)) == 0) {
                size_t room = parent->count ? 2 * parent->count : 1;

                parent->children = own_grow(parent->children, room * sizeof(struct yaml *));
        }
        parent->children[parent->count++] = child;
}

/* ---- reading ---- */

/* `event` is the caller's to delete when this says true. */
static bool next_event(struct reader *r, yaml_event_t *event)
{
        if (yaml_parser_parse(&r->parser, event))
                return true;
        return not_yaml(r);
}

static bool refused(struct reader *r, const yaml_event_t *event)
{
        struct yaml_mark at = mark_of(r, event->start_mark);
        const yaml_char_t *anchor = NULL, *tag = NULL;

        if (event->type == YAML_ALIAS_EVENT)
                return yaml_error(r->e, at, "found an alias (*%s), expected the value itself",
                                  event->data.alias.anchor);
        if (event->type == YAML_SCALAR_EVENT) {
                anchor = event->data.scalar.anchor;
                tag = event->data.scalar.tag;
        } else if (event->type == YAML_SEQUENCE_START_EVENT) {
                anchor = event->data.sequence_start.anchor;
                tag = event->data.sequence_start.tag;
        } else if (event->type == YAML_MAPPING_START_EVENT) {
                anchor = event->data.mapping_start.anchor;
                tag = event->data.mapping_start.tag;
        }
        if (anchor)
                return yaml_error(r->e, at, "found an anchor (&%s), expected a plain value", anchor);
        if (tag)
                return yaml_error(r->e, at, "found a tag (%s), expected a plain value", tag);
        if (event->type == YAML_SCALAR_EVENT &&
            strlen((char *) event->data.scalar.value) != event->data.scalar.length)
                return yaml_error(r->e, at, "found a NUL character, expected text without one");
        return true;
}

static bool means_nothing(const yaml_event_t *event)
{
        static const char *const words[] = {"", "~", "null", "Null", "NULL"};

        if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
                return false;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
                if (strcmp((char *) event->data.scalar.value, words[i]) == 0)
                        return true;
        return false;
}

static bool read_inside(struct reader *r, struct yaml *y, unsigned depth);

/* The value that begins with `event`, which it deletes; NULL and an error. */
static struct yaml *read_value(struct reader *r, yaml_event_t *event, unsigned depth)
{
        OWN(yaml_free) struct yaml *y = own_new(struct yaml);
        bool good = refused(r, event);

        y->mark = mark_of(r, event->start_mark);
        if (event->type == YAML_SCALAR_EVENT) {
                y->kind = means_nothing(event) ? YAML_NOTHING : YAML_TEXT;
                y->text = y->kind ? own_string((char *) event->data.scalar.value) : NULL;
        } else {
                y->kind = event->type == YAML_MAPPING_START_EVENT ? YAML_MAP : YAML_LIST;
        }
        yaml_event_delete(event);
        if (good && ++r->values > YAML_VALUES)
                good = yaml_error(r->e, y->mark, "found more than %d values, expected fewer",
                                  YAML_VALUES);
        if (good && y->kind >= YAML_LIST && depth >= YAML_DEPTH)
                good = yaml_error(r->e, y->mark,
                                  "found maps or lists more than %d deep, expected fewer", YAML_DEPTH);
        if (good && y->kind >= YAML_LIST)
                good = read_inside(r, y, depth + 1);
        return good ? TAKE(y) : NULL;
}

/* Takes the event of a key apart, and deletes it. */
static bool read_key(struct reader *r, yaml_event_t *event, struct map *seen, char **key,
                     struct yaml_mark *at)
{
        bool good = refused(r, event);

        *at = mark_of(r, event->start_mark);
        if (good && event->type != YAML_SCALAR_EVENT)
                good = yaml_error(r->e, *at, "found a list or a map where a key belongs, %s",
                                  "expected a text");
        if (good)
                *key = own_string((char *) event->data.scalar.value);
        yaml_event_delete(event);
        if (!good)
                return false;

        const struct yaml_mark *first = map_get(seen, *key);

        if (first) {
                OWN(free) char *quoted = yaml_quote(*key);

                return yaml_error(r->e, *at, "found the key %s again (first in line %u), %s", quoted,
                                  first->line, "expected it once");
        }

        struct yaml_mark *mark = own_new(struct yaml_mark);

        *mark = *at;
        map_put(seen, *key, mark);
        return true;
}

static bool read_inside(struct reader *r, struct yaml *y, unsigned depth)
{
        OWN(map_free) struct map *seen = y->kind == YAML_MAP ? map_new(free) : NULL;
        yaml_event_t event;

        for (;;) {
                OWN(free) char *key = NULL;
                struct yaml_mark key_mark = y->mark;

                if (!next_event(r, &event))
                        return false;
                if (event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT) {
                        yaml_event_delete(&event);
                        return true;
                }
                if (y->kind == YAML_MAP && (!read_key(r, &event, seen, &key, &key_mark) ||
                                            !next_event(r, &event)))
                        return false;

                struct yaml *child = read_value(r, &event, depth);

                if (!child)
                        return false;
                child->key = TAKE(key);
                child->key_mark = key_mark;
                adopt(y, child);
        }
}

/* The stream around the document: true at its next value or, with *end, at its end. */
static bool next_document(struct reader *r, yaml_event_t *event, bool *end)
{
        for (;;) {
                if (!next_event(r, event))
                        return false;
                switch (event->type) {
                case YAML_STREAM_END_EVENT:
                        *end = true;
                        yaml_event_delete(event);
                        return true;
                case YAML_STREAM_START_EVENT:
                case YAML_DOCUMENT_START_EVENT:
                case YAML_DOCUMENT_END_EVENT:
                        yaml_event_delete(event);
                        break;
                default:
                        return true;
                }
        }
}

static struct yaml *read_stream(struct reader *r)
{
        OWN(yaml_free) struct yaml *y = NULL;
        yaml_event_t event;
        bool end = false;

        if (!next_document(r, &event, &end))
                return NULL;
        if (end) {
                y = own_new(struct yaml);
                y->mark = (struct yaml_mark){r->file, 1, 1};
                return TAKE(y);
        }
        y = read_value(r, &event, 0);
        if (!y || !next_document(r, &event, &end))
                return NULL;
        if (!end) {
                yaml_error(r->e, mark_of(r, event.start_mark),
                           "found a second document (after ---), expected one");
                yaml_event_delete(&event);
                return NULL;
        }
        return TAKE(y);
}

struct yaml *yaml_read(const char *file, const char *text, size_t size, struct error *e)
{
        struct reader r = {.file = file, .e = e};

        if (size > YAML_SIZE) {
                yaml_error(e, (struct yaml_mark){file, 0, 0}, "found more than %d bytes, %s", YAML_SIZE,
                           "expected a configuration");
                return NULL;
        }
        if (!yaml_parser_initialize(&r.parser)) {
                yaml_error(e, (struct yaml_mark){file, 0, 0}, "there is no memory to read it");
                return NULL;
        }
        /* Said, not guessed from the first bytes: UTF-16 is no help to anybody here. */
        yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&r.parser, (const unsigned char *) text, size);

        struct yaml *y = read_stream(&r);

        yaml_parser_delete(&r.parser);
        return y;
}

char *yaml_load(const char *file, size_t *size, struct error *e)
{
        struct yaml_mark mark = {file, 0, 0};
        OWN(fclose) FILE *f = fopen(file, "re");

        if (!f) {
                yaml_error(e, mark, "the file cannot be opened: %s", strerror(errno));
                error_hint(e, "Check the path, and that the broker's user may read the file.");
                return NULL;
        }

        OWN(free) char *text = own_alloc(YAML_SIZE + 1);

        *size = fread(text, 1, YAML_SIZE + 1, f);
        if (ferror(f)) {
                yaml_error(e, mark, "the file cannot be read: %s", strerror(errno));
                return NULL;
        }
        return TAKE(text);
}
