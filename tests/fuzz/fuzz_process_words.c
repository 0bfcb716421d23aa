/* Any bytes as a credential_process: no word is made of what was not there. */
#include <stdint.h>
#include <string.h>
#include "base/expect.h"
#include "base/own.h"
#include "secret/process_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        OWN(free) char *command = own_text((const char *) data, size);
        struct process_words w;
        struct error e = {0};
        size_t total = 0;
        bool good = process_words_split(command, &w, &e);

        expect(good != error_is_set(&e) && w.count <= PROCESS_WORDS && !w.words[w.count]);
        for (unsigned i = 0; good && i < w.count; i++) {
                for (const char *c = w.words[i]; *c; c++)
                        expect(strchr(command, *c));
                total += strlen(w.words[i]);
        }
        expect(total <= strlen(command));
        process_words_clear(&w);
        return 0;
}
