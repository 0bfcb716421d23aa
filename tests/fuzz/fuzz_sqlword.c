/* Any text as SQL: in any chunks the same is found as in the whole, a comment before it changes
 * nothing, quoting it makes it harmless, and in short it shows no literal. The first byte: bit 0 whether strings have
 * backslashes, bits 1 and 2 the encoding. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/bytes.h"
#include "base/expect.h"
#include "wire/compose.h"
#include "wire/sqlbrief.h"
#include "wire/sqlword.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was found, in order, as one number; and how many. */
struct findings {
        uint64_t hash;
        size_t count;
};

static void note(void *arg, enum sql_effect effect, const char *name)
{
        struct findings *f = arg;
        expect(effect < SQL_EFFECT_COUNT && sqlword_label(effect));
        expect(effect == SQL_SET_CONFIG || effect == SQL_SET_LOCAL || effect == SQL_DEALLOCATE ||
               (effect == SQL_SET || effect == SQL_RESET || effect == SQL_RESET_LOCAL) == (name != NULL));
        expect(!name || strlen(name) < SQLSET_NAME);
        f->hash = (f->hash ^ (uint64_t) effect) * UINT64_C(0x100000001b3);
        for (; name && *name; name++) {
                expect(effect == SQL_DEALLOCATE || !(*name >= 'A' && *name <= 'Z'));
                f->hash = (f->hash ^ (uint8_t) *name) * UINT64_C(0x100000001b3);
        }
        f->count++;
}

static struct sqlword w;

static void start(uint8_t how, struct findings *f)
{
        static const char *const encodings[] = {"UTF8", "SJIS", "GBK", "BIG5"};
        *f = (struct findings){1, 0};
        memset(&w, how, sizeof w);
        sqlword_init(&w, how & 1, note, f);
        sqlword_encoding(&w, encodings[how >> 1 & 3]);
}

static void feed_copy(const char *text, size_t n)
{
        char *copy = malloc(n ? n : 1);
        memcpy(copy, text, n);
        sqlword_feed(&w, copy, n);
        memset(copy, '\'', n);
        free(copy);
}

static struct findings in_chunks(uint8_t how, const char *text, size_t n, uint32_t dice)
{
        struct findings f;
        start(how, &f);
        for (size_t at = 0; at < n;) {
                dice = dice * 1664525 + 1013904223;
                size_t step = 1 + (dice >> 24) % (dice & 0x10000 ? 3 : 30);
                if (step > n - at)
                        step = n - at;
                feed_copy(text + at, step);
                at += step;
        }
        sqlword_end(&w);
        return f;
}

static void expect_same(struct findings a, struct findings b)
{
        expect(a.count == b.count && a.hash == b.hash);
}

static char *terminated(const char *text, size_t n)
{
        char *string = malloc(n + 1);
        memcpy(string, text, n);
        string[n] = 0;
        return string;
}

/* Up to its name. */
static void select_literal(struct bytes *b, const char *string)
{
        bytes_text(b, "SELECT ");
        compose_literal(b, string);
        bytes_text(b, " AS ");
}

/* Nothing within a literal or an identifier is found, and what follows it is. */
static void check_quoting(uint8_t how, const char *text, size_t n)
{
        struct findings f;
        struct bytes b;
        char *string = terminated(text, n);
        bytes_init(&b, 0);
        select_literal(&b, string);
        compose_identifier(&b, string);
        bytes_text(&b, "; LISTEN x");
        start(how & 1, &f);
        sqlword_feed(&w, (const char *) bytes_data(&b), bytes_length(&b));
        sqlword_end(&w);
        expect(f.count == 1 && f.hash == (UINT64_C(1) ^ SQL_LISTEN) * UINT64_C(0x100000001b3));
        bytes_free(&b);
        free(string);
}

/* In short it is walked through to its end, and printable; of a literal nothing is shown. */
static void check_brief(const char *text, size_t n)
{
        char out[40];
        struct bytes b;
        for (size_t at = 0, used; at < n; at += used) {
                char *copy = malloc(n - at);
                memcpy(copy, text + at, n - at);
                used = sqlbrief(copy, n - at, out, sizeof out);
                free(copy);
                expect(used > 0 && used <= n - at);
                for (const char *c = out; *c; c++)
                        expect(c < out + sizeof out && *c >= ' ' && *c <= '~');
        }
        char *string = terminated(text, n);
        bytes_init(&b, 0);
        select_literal(&b, string);
        bytes_text(&b, "x");
        sqlbrief((const char *) bytes_data(&b), bytes_length(&b), out, sizeof out);
        expect(strcmp(out, "SELECT ? AS x") == 0);
        bytes_free(&b);
        free(string);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        const char *text = (const char *) data + 1;
        size_t n = size - 1;
        uint8_t how = data[0];
        struct findings whole, f;
        start(how, &whole);
        feed_copy(text, n);
        sqlword_end(&w);
        for (uint32_t dice = 1; dice <= 3; dice++)
                expect_same(whole, in_chunks(how, text, n, dice * 4242 + (uint32_t) n));
        start(how, &f);
        for (size_t i = 0; i < n; i++)
                feed_copy(text + i, 1);
        sqlword_end(&w);
        expect_same(whole, f);
        start(how, &f);
        feed_copy("/* LISTEN /* ' */ $$ \" */", 25);
        feed_copy(text, n);
        sqlword_end(&w);
        expect_same(whole, f);
        check_quoting(how, text, n);
        check_brief(text, n);
        return 0;
}
