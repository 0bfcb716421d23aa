#include "ops/tree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>
#include "base/bytes.h"
#include "base/map.h"

/* libyaml exports plain names such as yaml_free, so no name here may begin with yaml.
 *
 * Events, not libyaml's documents: an anchor is gone by the time a document is made, and limits
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

bool tree_error(struct error *e, struct tree_mark mark, const char *format, ...)
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

char *tree_quote(const char *text)
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

char *tree_describe(const struct tree *t)
{
        switch (t->kind) {
        case TREE_TEXT:
                return tree_quote(t->text);
        case TREE_LIST:
                return own_string("a list");
        case TREE_MAP:
                return own_string("a map of keys and values");
        case TREE_NOTHING:
                break;
        }
        return own_string("nothing");
}

static struct tree_mark mark_of(const struct reader *r, yaml_mark_t at)
{
        return (struct tree_mark){r->file, (unsigned) at.line + 1, (unsigned) at.column + 1};
}

/* libyaml's reader knows the byte only. */
static struct tree_mark mark_at(const struct reader *r, size_t offset)
{
        const unsigned char *text = r->parser.input.string.start;
        size_t size = (size_t) (r->parser.input.string.end - text);
        struct tree_mark mark = {r->file, 1, 1};

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
                return tree_error(r->e, mark_at(r, p->problem_offset),
                                  "found what is not YAML (%s), expected UTF-8 text", problem);
        tree_error(r->e, mark_of(r, p->problem_mark),
                   "found what is not YAML (%s%s%s), expected %s", p->context ? p->context : "",
                   p->context ? ": " : "", problem, "keys, values and lists in YAML's form");

        size_t at = p->problem_mark.index;

        if (at < (size_t) (p->input.string.end - p->input.string.start) &&
            p->input.string.start[at] == '\t')
                error_hint(r->e, "There is a tab: indent with spaces.");
        return false;
}

/* ---- writing ---- */

/* The code at s and its length in *n; a byte that is no UTF-8 counts as a code of its own. */
static uint32_t code_at(const unsigned char *s, size_t *n)
{
        size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
        uint32_t code = length <= 1 ? s[0] : s[0] & (0x7fu >> length);

        *n = 1;
        for (size_t i = 1; i < length; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return s[0];
                code = code << 6 | (s[i] & 0x3f);
        }
        *n = length ? length : 1;
        return code;
}

/* What may stand in a quoted text as it is. The rest YAML would refuse, or take for a line's end.
 */
static bool printable(uint32_t code)
{
        return (code >= 0x20 && code < 0x7f && code != '"' && code != '\\') ||
               (code >= 0xa0 && code < 0xfffe && code != 0x2028 && code != 0x2029 &&
                code != 0xfeff) ||
               (code >= 0x10000 && code <= 0x10ffff);
}

char *tree_write(const char *text)
{
        const unsigned char *s = (const unsigned char *) text;
        struct bytes out;
        size_t n;

        bytes_init(&out, 0);
        bytes_text(&out, "\"");
        for (; *s; s += n) {
                uint32_t code = code_at(s, &n);

                if (printable(code) && (n > 1 || code < 0x80))
                        bytes_append(&out, s, n);
                else
                        bytes_format(&out, code < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned) code);
        }
        bytes_text(&out, "\"");

        char *written = bytes_string(&out);

        bytes_free(&out);
        return written;
}

/* ---- the tree ---- */

void tree_free(struct tree *t)
{
        if (!t)
                return;
        for (size_t i = 0; i < t->count; i++)
                tree_free(t->children[i]);
        free(t->children);
        free(t->key);
        free(t->text);
        free(t);
}

const struct tree *tree_child(const struct tree *map, const char *key)
{
        for (size_t i = 0; map && map->kind == TREE_MAP && i < map->count; i++)
                if (strcmp(map->children[i]->key, key) == 0)
                        return map->children[i];
        return NULL;
}

static void adopt(struct tree *parent, struct tree *child)
{
        /* Room for 1, 2, 4, 8 ...: it is full whenever the count is a power of two, or none. */
        if ((parent->count & (parent->count - 1)) == 0) {
                size_t room = parent->count ? 2 * parent->count : 1;

                parent->children = own_grow(parent->children, room * sizeof(struct tree *));
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
        struct tree_mark at = mark_of(r, event->start_mark);
        const yaml_char_t *anchor = NULL, *tag = NULL;

        if (event->type == YAML_ALIAS_EVENT)
                return tree_error(r->e, at, "found an alias (*%s), expected the value itself",
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
                return tree_error(r->e, at, "found an anchor (&%s), expected a plain value",
                                  anchor);
        if (tag)
                return tree_error(r->e, at, "found a tag (%s), expected a plain value", tag);
        if (event->type == YAML_SCALAR_EVENT &&
            strlen((char *) event->data.scalar.value) != event->data.scalar.length)
                return tree_error(r->e, at, "found a NUL character, expected text without one");
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

static bool read_inside(struct reader *r, struct tree *t, unsigned depth);

/* The value that begins with `event`, which it deletes; NULL and an error. */
static struct tree *read_value(struct reader *r, yaml_event_t *event, unsigned depth)
{
        OWN(tree_free) struct tree *t = own_new(struct tree);
        bool good = refused(r, event);

        t->mark = mark_of(r, event->start_mark);
        if (event->type == YAML_SCALAR_EVENT) {
                t->kind = means_nothing(event) ? TREE_NOTHING : TREE_TEXT;
                t->text = t->kind ? own_string((char *) event->data.scalar.value) : NULL;
        } else {
                t->kind = event->type == YAML_MAPPING_START_EVENT ? TREE_MAP : TREE_LIST;
        }
        yaml_event_delete(event);
        if (good && ++r->values > TREE_VALUES)
                good = tree_error(r->e, t->mark, "found more than %d values, expected fewer",
                                  TREE_VALUES);
        if (good && t->kind >= TREE_LIST && depth >= TREE_DEPTH)
                good = tree_error(r->e, t->mark,
                                  "found maps or lists more than %d deep, expected fewer",
                                  TREE_DEPTH);
        if (good && t->kind >= TREE_LIST)
                good = read_inside(r, t, depth + 1);
        return good ? TAKE(t) : NULL;
}

/* Takes the event of a key apart, and deletes it. */
static bool read_key(struct reader *r, yaml_event_t *event, struct map *seen, char **key,
                     struct tree_mark *at)
{
        bool good = refused(r, event);

        *at = mark_of(r, event->start_mark);
        if (good && event->type != YAML_SCALAR_EVENT)
                good = tree_error(r->e, *at, "found a list or a map where a key belongs, %s",
                                  "expected a text");
        if (good)
                *key = own_string((char *) event->data.scalar.value);
        yaml_event_delete(event);
        if (!good)
                return false;

        const struct tree_mark *first = map_get(seen, *key);

        if (first) {
                OWN(free) char *quoted = tree_quote(*key);

                return tree_error(r->e, *at, "found the key %s again (first in line %u), %s",
                                  quoted, first->line, "expected it once");
        }

        struct tree_mark *mark = own_new(struct tree_mark);

        *mark = *at;
        map_put(seen, *key, mark);
        return true;
}

static bool read_inside(struct reader *r, struct tree *t, unsigned depth)
{
        OWN(map_free) struct map *seen = t->kind == TREE_MAP ? map_new(free) : NULL;
        yaml_event_t event;

        for (;;) {
                OWN(free) char *key = NULL;
                struct tree_mark key_mark = t->mark;

                if (!next_event(r, &event))
                        return false;
                if (event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT) {
                        yaml_event_delete(&event);
                        return true;
                }
                if (t->kind == TREE_MAP &&
                    (!read_key(r, &event, seen, &key, &key_mark) || !next_event(r, &event)))
                        return false;

                struct tree *child = read_value(r, &event, depth);

                if (!child)
                        return false;
                child->key = TAKE(key);
                child->key_mark = key_mark;
                adopt(t, child);
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

static struct tree *read_stream(struct reader *r)
{
        OWN(tree_free) struct tree *t = NULL;
        yaml_event_t event;
        bool end = false;

        if (!next_document(r, &event, &end))
                return NULL;
        if (end) {
                t = own_new(struct tree);
                t->mark = (struct tree_mark){r->file, 1, 1};
                return TAKE(t);
        }
        t = read_value(r, &event, 0);
        if (!t || !next_document(r, &event, &end))
                return NULL;
        if (!end) {
                tree_error(r->e, mark_of(r, event.start_mark),
                           "found a second document (after ---), expected one");
                yaml_event_delete(&event);
                return NULL;
        }
        return TAKE(t);
}

struct tree *tree_read(const char *file, const char *text, size_t size, struct error *e)
{
        struct reader r = {.file = file, .e = e};

        if (size > TREE_SIZE) {
                tree_error(e, (struct tree_mark){file, 0, 0}, "found more than %d bytes, %s",
                           TREE_SIZE, "expected a configuration");
                return NULL;
        }
        if (!yaml_parser_initialize(&r.parser)) {
                tree_error(e, (struct tree_mark){file, 0, 0}, "there is no memory to read it");
                return NULL;
        }
        /* Said, not guessed from the first bytes: UTF-16 is no help to anybody here. */
        yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&r.parser, (const unsigned char *) text, size);

        struct tree *t = read_stream(&r);

        yaml_parser_delete(&r.parser);
        return t;
}

char *tree_load(const char *file, size_t *size, struct error *e)
{
        struct tree_mark mark = {file, 0, 0};
        OWN(fclose) FILE *f = fopen(file, "re");

        if (!f) {
                tree_error(e, mark, "the file cannot be opened (%s), expected one to read",
                           strerror(errno));
                error_hint(e, "Check the path, and that the broker's user may read the file.");
                return NULL;
        }

        OWN(free) char *text = own_alloc(TREE_SIZE + 1);

        *size = fread(text, 1, TREE_SIZE + 1, f);
        if (ferror(f)) {
                tree_error(e, mark, "the file cannot be read (%s), expected text", strerror(errno));
                return NULL;
        }
        return TAKE(text);
}
