#include "secret/hosts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/bytes.h"
#include "base/own.h"

/* The next of a list, without the blanks around it; *text moves behind its comma, NULL at the end. */
static const char *next_of(const char **text, size_t *size)
{
        const char *item = *text, *end = strchrnul(item, ',');

        *text = *end ? end + 1 : NULL;
        while (item < end && *item == ' ')
                item++;
        while (end > item && end[-1] == ' ')
                end--;
        *size = (size_t) (end - item);
        return item;
}

/* libpq reads more than a name in a host: an abstract socket at an @. */
static const char *complaint(const char *name, size_t size)
{
        if (!size)
                return "a host in it has no name";
        if (name[0] == '@')
                return "an abstract socket is not in this version";
        if (name[0] == '/')
                return NULL;
        for (size_t i = 0; i < size; i++)
                if ((unsigned char) name[i] <= ' ' || name[i] == 0x7f)
                        return "it holds a blank or a control character";
        return NULL;
}

const char *hosts_read_names(struct hosts *h, const char *text)
{
        while (text) {
                size_t size;
                const char *name = next_of(&text, &size), *wrong = complaint(name, size);

                if (wrong)
                        return wrong;
                if (h->count == HOSTS_MAX)
                        return "it names more than 16 hosts";
                h->at[h->count++].name = own_text(name, size);
        }
        return NULL;
}

static bool read_port(const char *text, size_t size, uint16_t *out)
{
        unsigned long port = 0;

        if (!size || size > 5)
                return false;
        for (size_t i = 0; i < size; i++) {
                if (text[i] < '0' || text[i] > '9')
                        return false;
                port = port * 10 + (unsigned long) (text[i] - '0');
        }
        *out = (uint16_t) port;
        return port >= 1 && port <= 65535;
}

const char *hosts_read_ports(struct hosts *h, const char *text)
{
        unsigned count = 0;

        while (text) {
                size_t size;
                const char *item = next_of(&text, &size);
                uint16_t port;

                if (!read_port(item, size, &port))
                        return "not a port, expected a whole number from 1 to 65535";
                if (count == h->count)
                        return "it lists more ports than there are hosts";
                h->at[count++].port = port;
        }
        if (count == 1)
                hosts_set_port(h, h->at[0].port);
        else if (count < h->count)
                return "it lists fewer ports than there are hosts";
        return NULL;
}

void hosts_set_port(struct hosts *h, uint16_t port)
{
        for (unsigned i = 0; i < h->count; i++)
                h->at[i].port = port;
}

void hosts_free(struct hosts *h)
{
        for (unsigned i = 0; i < h->count; i++)
                free(h->at[i].name);
        h->count = 0;
}

bool hosts_same_name(const char *a, const char *b)
{
        return (a[0] == '/' ? strcmp(a, b) : strcasecmp(a, b)) == 0;
}

bool hosts_equal(const struct hosts *a, const struct hosts *b)
{
        if (a->count != b->count)
                return false;
        for (unsigned i = 0; i < a->count; i++)
                if (!hosts_same_name(a->at[i].name, b->at[i].name) || a->at[i].port != b->at[i].port)
                        return false;
        return true;
}

char *hosts_text(const struct hosts *h)
{
        struct bytes b;
        char *text;

        bytes_init(&b, 0);
        for (unsigned i = 0; i < h->count; i++)
                bytes_format(&b, "%s%s", i ? "," : "", h->at[i].name);
        text = own_text((const char *) bytes_data(&b), bytes_length(&b));
        bytes_free(&b);
        return text;
}
