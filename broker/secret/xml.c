#include "secret/xml.h"

#include <expat.h>
#include <limits.h>
#include <malloc.h>
#include <string.h>
#include "base/expect.h"
#include "base/sealed.h"

enum { PATH_SIZE = 512 };

struct reading {
        XML_Parser parser;
        struct xml_field *fields;
        size_t count;
        char path[PATH_SIZE]; /* "/ErrorResponse/Error/Code" */
        size_t used;
        struct xml_field *now; /* whose text comes */
        const char *wrong;     /* what expat does not mind */
};

/* ---- Memory ---- */

static void wiping_free(void *p)
{
        if (p)
                sealed_wipe(p, malloc_usable_size(p));
        free(p);
}

static void *wiping_realloc(void *p, size_t size)
{
        void *q = malloc(size);
        size_t old = p ? malloc_usable_size(p) : 0;

        if (!q)
                return NULL;
        if (p)
                memcpy(q, p, old < size ? old : size);
        wiping_free(p);
        return q;
}

/* ---- Elements ---- */

static void stop(struct reading *r, const char *wrong)
{
        r->wrong = wrong;
        r->now = NULL;
        XML_StopParser(r->parser, XML_FALSE);
}

static bool ends_with(const struct reading *r, const char *path)
{
        size_t n = strlen(path);

        return r->used > n && r->path[r->used - n - 1] == '/' &&
               strcmp(r->path + r->used - n, path) == 0;
}

static void began(void *arg, const char *name, const char **attributes)
{
        struct reading *r = arg;
        size_t n = strlen(name);

        (void) attributes;
        r->now = NULL;
        if (r->used + n + 2 > sizeof r->path) {
                stop(r, "it is nested too deeply");
                return;
        }
        r->path[r->used++] = '/';
        memcpy(r->path + r->used, name, n + 1);
        r->used += n;
        for (size_t i = 0; i < r->count && !r->now; i++)
                if (ends_with(r, r->fields[i].path))
                        r->now = &r->fields[i];
        if (r->now && r->now->found)
                stop(r, "an element that was there before");
        else if (r->now)
                r->now->found = true;
}

static void ended(void *arg, const char *name)
{
        struct reading *r = arg;

        r->now = NULL;
        r->used -= strlen(name) + 1;
        r->path[r->used] = 0;
}

static void came(void *arg, const char *text, int n)
{
        struct reading *r = arg;

        if (r->now && !bytes_append(&r->now->text, text, (size_t) n))
                stop(r, "an element that is too long");
}

static void doctype(void *arg, const char *name, const char *system, const char *public, int inner)
{
        (void) name;
        (void) system;
        (void) public;
        (void) inner;
        stop(arg, "it has a document type");
}

/* ---- From outside ---- */

bool xml_read(const char *text, size_t size, struct xml_field *fields, size_t count,
              struct error *e)
{
        static const XML_Memory_Handling_Suite wiping = {malloc, wiping_realloc, wiping_free};
        struct reading r = {.fields = fields, .count = count};
        bool good;

        for (size_t i = 0; i < count; i++) {
                fields[i].found = false;
                bytes_init(&fields[i].text, XML_TEXT);
        }
        if (size > INT_MAX)
                return error_set(e, "08001", "not valid XML: it is too long");
        r.parser = XML_ParserCreate_MM(NULL, &wiping, NULL);
        expect(r.parser);
        XML_SetUserData(r.parser, &r);
        XML_SetElementHandler(r.parser, began, ended);
        XML_SetCharacterDataHandler(r.parser, came);
        XML_SetStartDoctypeDeclHandler(r.parser, doctype);
        good = XML_Parse(r.parser, text, (int) size, XML_TRUE) == XML_STATUS_OK;
        if (!good)
                error_set(e, "08001", "not valid XML: line %lu: %s",
                          (unsigned long) XML_GetCurrentLineNumber(r.parser),
                          r.wrong ? r.wrong : XML_ErrorString(XML_GetErrorCode(r.parser)));
        XML_ParserFree(r.parser);
        /* Half an element is none. */
        if (!good && r.now) {
                bytes_wipe(&r.now->text);
                r.now->found = false;
        }
        return good;
}

void xml_clear(struct xml_field *fields, size_t count)
{
        for (size_t i = 0; i < count; i++)
                bytes_wipe(&fields[i].text);
}
