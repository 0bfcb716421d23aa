/* The forecaster's own config/NAME.yml, as far as it concerns the broker: where its database secret
 * is. Everything else in that file is the forecaster's and is left alone. */
#ifndef PGB_OPS_FORECASTER_H
#define PGB_OPS_FORECASTER_H

#include <stdbool.h>
#include "base/error.h"
#include "ops/sheet.h"

/* Reads the file that an environment's `config` names (nothing to do if that is empty) and puts its
 * database.secret_name and database.secret_region into the sheet, where ours did not give them.
 * False and `e`, which stands in that file: it cannot be read, or names no database secret. */
bool forecaster_import(struct sheet *s, struct error *e);

#endif
