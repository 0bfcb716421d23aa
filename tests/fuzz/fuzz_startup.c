/* Any bytes as a client's first packet: the verdict doesn't waver as bytes come in, what is read is
 * within the packet, and composing it again gives the same packet. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/bytes.h"
#include "base/expect.h"
#include "wire/compose.h"
#include "wire/startup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct startup s;

static enum frame_verdict read_prefix(const uint8_t *data, size_t n)
{
        struct error e = {0};
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, data, n);
        enum frame_verdict v = startup_read(copy, n, &s, &e);
        expect((v == FRAME_BAD) == error_is_set(&e));
        expect(v != FRAME_BAD || strcmp(e.sqlstate, "08P01") == 0 ||
               strcmp(e.sqlstate, "0A000") == 0);
        free(copy);
        return v;
}

static void found(void *arg, const char *name, const char *value)
{
        size_t *count = arg;
        expect(*name && !strchr(name, '-') && !strchr(name, '=') && value);
        (*count)++;
}

static void check_session(const uint8_t *data)
{
        const char *list[2 * STARTUP_MAX_PARAMETERS + 1];
        size_t unknown = 0, count = 0;
        struct bytes b;
        struct error e = {0};
        for (size_t i = 0; i < s.count; i++) {
                list[2 * i] = s.parameters[i].name;
                list[2 * i + 1] = s.parameters[i].value;
                unknown += strncmp(s.parameters[i].name, "_pq_.", 5) == 0;
                expect(startup_get(&s, s.parameters[i].name));
        }
        list[2 * s.count] = NULL;
        expect(s.major == 3 && unknown == s.unknown_options);
        bytes_init(&b, 0);
        compose_startup(&b, s.minor, list);
        expect(bytes_length(&b) == s.size && memcmp(bytes_data(&b), data, s.size) == 0);
        bytes_free(&b);
        const char *options = startup_get(&s, "options");
        if (options)
                expect(startup_options(options, found, &count, &e) == !error_is_set(&e));
}

static void check_cancel(const uint8_t *data)
{
        struct bytes b;
        bytes_init(&b, 0);
        expect(s.cancel_key_size >= 4 && s.cancel_key_size <= 256);
        compose_cancel(&b, s.cancel_pid, s.cancel_key, s.cancel_key_size);
        expect(bytes_length(&b) == s.size && memcmp(bytes_data(&b), data, s.size) == 0);
        bytes_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size > 2 * STARTUP_MAX)
                return 0;
        struct error e = {0};
        enum frame_verdict all = startup_read(data, size, &s, &e);
        size_t packet = s.size;
        for (size_t n = 0; n < size; n += 1 + n / 16) {
                enum frame_verdict v = read_prefix(data, n);
                if (v == FRAME_READY)
                        expect(all == FRAME_READY && n >= s.size && s.size == packet);
                if (v == FRAME_BAD)
                        expect(all == FRAME_BAD);
        }
        if (all == FRAME_READY && startup_read(data, size, &s, &e) == FRAME_READY) {
                expect(s.size <= size && s.size <= STARTUP_MAX);
                if (s.kind == STARTUP_SESSION)
                        check_session(data);
                else if (s.kind == STARTUP_CANCEL)
                        check_cancel(data);
                else
                        expect(s.size == (s.kind == STARTUP_TLS_HELLO ? 0 : 8));
        }
        return 0;
}
