#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "secret/xml.h"

static struct xml_field fields[2];
static struct error error;

static bool reads(const char *text)
{
        xml_clear(fields, 2);
        error_clear(&error);
        fields[0].path = "Credentials/Id";
        fields[1].path = "Code";
        return xml_read(text, strlen(text), fields, 2, &error);
}

static void has(int i, const char *text)
{
        assert_true(fields[i].found);
        assert_int_equal(bytes_length(&fields[i].text), strlen(text));
        if (*text)
                assert_memory_equal(bytes_data(&fields[i].text), text, strlen(text));
}

static void wrong(const char *text, const char *why)
{
        assert_false(reads(text));
        assert_non_null(strstr(error.text, why));
        assert_null(strstr(error.text, "s3cret"));
}

static int clear(void **state)
{
        (void) state;
        xml_clear(fields, 2);
        return 0;
}

static void only_what_is_asked_for_is_kept(void **state)
{
        (void) state;
        assert_true(reads("<?xml version=\"1.0\"?><!-- c -->\n<A xmlns=\"x\"><B><Credentials>\n"
                          "<Id>one</Id><Other>two</Other></Credentials></B><Id>three</Id></A>"));
        has(0, "one");
        assert_false(fields[1].found);
}

static void markup_is_taken_out(void **state)
{
        (void) state;
        assert_true(reads("<Code>a &amp; b&#x21;<![CDATA[<c>]]></Code>"));
        has(1, "a & b!<c>");
        assert_true(reads("<Code/>"));
        has(1, "");
        assert_true(reads("<Code>a<b>x</b></Code>"));
        has(1, "a");
}

static void a_name_is_whole(void **state)
{
        (void) state;
        assert_true(reads("<A><MyCode>x</MyCode><MyCredentials><Id>x</Id></MyCredentials></A>"));
        assert_false(fields[0].found || fields[1].found);
}

static void what_is_no_xml_is_told_without_its_text(void **state)
{
        (void) state;
        wrong("", "not valid XML: line 1");
        wrong("s3cret", "not valid XML");
        wrong("<A>\n<B>s3cret</A>", "line 2");
        wrong("<A/><B/>", "not valid XML");
        wrong("<A>&s3cret;</A>", "not valid XML");
        wrong("<A><Code>x</Code><Code>y</Code></A>", "was there before");
}

static void a_document_type_is_refused_and_so_are_its_entities(void **state)
{
        (void) state;
        wrong("<!DOCTYPE A [<!ENTITY e SYSTEM \"/etc/passwd\">]><Code>&e;</Code>",
              "it has a document type");
        assert_false(fields[1].found);
}

static void everything_is_bounded(void **state)
{
        static char deep[4096], lengthy[XML_TEXT + 100];

        (void) state;
        for (int i = 0; i < 300; i++)
                strcat(deep, "<abcdef>");
        wrong(deep, "nested too deeply");
        memset(lengthy, 'x', sizeof lengthy);
        memcpy(lengthy, "<Code>", 6);
        strcpy(lengthy + sizeof lengthy - 8, "</Code>");
        wrong(lengthy, "too long");
}

static void what_stands_before_a_cut_is_there(void **state)
{
        (void) state;
        assert_false(reads("<E><Code>Throttling</Code><Credentials><Id>hal"));
        has(1, "Throttling");
        assert_false(fields[0].found);
        assert_int_equal(bytes_length(&fields[0].text), 0);
}

#define cleared(test) cmocka_unit_test_teardown(test, clear)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cleared(only_what_is_asked_for_is_kept),
                cleared(markup_is_taken_out),
                cleared(a_name_is_whole),
                cleared(what_is_no_xml_is_told_without_its_text),
                cleared(a_document_type_is_refused_and_so_are_its_entities),
                cleared(everything_is_bounded),
                cleared(what_stands_before_a_cut_is_there),
        };

        return cmocka_run_group_tests_name("xml", tests, NULL, NULL);
}
