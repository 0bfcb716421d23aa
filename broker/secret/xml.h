/* XML from outside: expat with an allocator that wipes what it frees. Without a document type, hence
 * without entities of its own. Only the elements that are asked for are kept, and complaints never
 * give the text. */
#ifndef PGB_SECRET_XML_H
#define PGB_SECRET_XML_H

#include <stdbool.h>
#include <stddef.h>
#include "base/bytes.h"
#include "base/error.h"

#define XML_TEXT 65536          /* the longest that is kept */

struct xml_field {
        const char *path;       /* the last of the names that lead to it: "Credentials/Expiration" */
        struct bytes text;      /* without markup */
        bool found;
};

/* False and `e` (08001) for what is not well formed, is nested too deeply, has a document type, or
 * has a field twice; fields that stood before that place are there nevertheless. xml_clear() either
 * way. */
bool xml_read(const char *text, size_t size, struct xml_field *fields, size_t count,
              struct error *e);
void xml_clear(struct xml_field *fields, size_t count);         /* wipes */

#endif
