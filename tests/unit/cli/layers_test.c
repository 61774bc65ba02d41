/* SPDX-License-Identifier: Apache-2.0 */
/* A layer's line of a pull, on terminals of any width. */
#include <string.h>

#include "base/auto.h"
#include "orchestrator/cli/layers.h"
#include "orchestrator/cli/table.h"
#include "tests/tap.h"

static const struct layer_line half = {.id = "0123456789ab",
                                       .state = "download",
                                       .done = 50000000,
                                       .total = 100000000,
                                       .began_ms = 1000};

static void test_widths(void)
{
        static const struct {
                unsigned columns;
                const char *text;
        } cases[] = {
                {200, "0123456789ab  [============>           ] 48M/95M  48M/s  1s"},
                {60, "0123456789ab  [============>           ] 48M/95M  48M/s  1s"},
                {50, "0123456789ab  [=======>       ] 48M/95M  48M/s  1s"},
                {39, "0123456789ab  [==> ] 48M/95M  48M/s  1s"},
                {38, "0123456789ab  48M/95M  48M/s  1s"},
                {20, "0123456789ab  48M/95"},
                {5, "01234"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO_STRBUF struct strbuf out = STRBUF_INIT(500);

                layers_line(&half, cases[i].columns, half.began_ms + 1000, &out);
                is_str(strbuf_str(&out), cases[i].text, "%u columns", cases[i].columns);
        }
}

/* Whatever a layer is and the terminal is, a line is a line. */
static void test_never_wider(void)
{
        static const int64_t sizes[] = {0, 1, 1023, 1024 * 1024, INT64_C(1) << 50};
        static const char *const states[] = {"download", "present", "done", "wait"};
        unsigned wider = 0;

        for (unsigned columns = 1; columns < 120; columns++)
                for (size_t i = 0; i < ARRAY_SIZE(sizes) * ARRAY_SIZE(states); i++) {
                        AUTO_STRBUF struct strbuf out = STRBUF_INIT(500);
                        struct layer_line line = half;

                        line.total = sizes[i % ARRAY_SIZE(sizes)];
                        line.done = line.total / 3;
                        (void)snprintf(line.state, sizeof(line.state), "%s",
                                       states[i / ARRAY_SIZE(sizes)]); /* it fits */
                        layers_line(&line, columns, half.began_ms + 100000, &out);
                        wider += text_width(strbuf_str(&out)) > columns;
                }
        is_int(wider, 0, "none is wider than its terminal");
}

int main(void)
{
        test_widths();
        test_never_wider();
        return tap_done();
}
