#include "ops/forecaster.h"

#include <string.h>
#include "base/own.h"

/* A text in the database block; NULL and an error if it is not there, or NULL alone if it may be
 * missing and is. */
static const struct tree *text_of(const struct tree *block, const char *key, struct error *e)
{
        const struct tree *t = tree_child(block, key);

        if (!t)
                return NULL;
        if (t->kind == TREE_TEXT)
                return t;

        OWN(free) char *found = tree_describe(t);

        tree_error(e, t->mark, "database.%s: found %s, expected a text", key, found);
        return NULL;
}

static bool take(struct sheet *s, const struct tree *root, struct error *e)
{
        const struct tree *block = tree_child(root, "database");
        struct error wrong = {0};
        const struct tree *name = text_of(block, "secret_name", &wrong);
        const struct tree *region = text_of(block, "secret_region", &wrong);

        if (error_is_set(&wrong)) {
                if (e)
                        *e = wrong;
                return false;
        }
        if (!name) {
                tree_error(e, block ? block->mark : root->mark,
                           "found no database.secret_name, expected the database secret's name");
                return error_hint(e, "This is the forecaster's file that `config` names: give "
                                     "database.secret_name there, or in the broker's own file "
                                     "instead of `config`.");
        }
        /* The marks of the sheet outlive this tree: they hold on to the path that the sheet owns.
         */
        if (!sheet_value(s, "database.secret_name")->given)
                sheet_put(s, "database.secret_name", name->text, name->mark);
        if (region && !sheet_value(s, "database.secret_region")->given)
                sheet_put(s, "database.secret_region", region->text, region->mark);
        return true;
}

bool forecaster_import(struct sheet *s, struct error *e)
{
        const char *path = sheet_text(s, "config");
        size_t size;

        if (!*path)
                return true;

        struct error why = {0};
        OWN(free) char *text = tree_load(path, &size, &why);

        if (!text) {
                sheet_error(s, "config", e, "%s", why.text);
                return error_hint(e, "%s", why.hint);
        }

        OWN(tree_free) struct tree *root = tree_read(path, text, size, e);

        return root && take(s, root, e);
}
