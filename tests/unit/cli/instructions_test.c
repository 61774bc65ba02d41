/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/instructions.h"
#include "tests/tap.h"

#define CONFIG(ret, err, ...) \
        instructions_config((const char *const[]){__VA_ARGS__, NULL}, ret, err)

static void check(const char *const *list, const char *expected, const char *what)
{
        struct err err = ERR_INIT;
        AUTO_JSON json_t *config = NULL;
        AUTO_FREE char *text = NULL;

        ok(instructions_config(list, &config, &err) == 0, "%s: taken", what);
        text = config ? json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS) : xstrdup("none");
        is_str(text, expected, "%s", what);
}

#define CHECK(expected, ...) check((const char *const[]){__VA_ARGS__, NULL}, expected, #__VA_ARGS__)

static void refuse(const char *instruction, const char *part)
{
        struct err err = ERR_INIT;
        AUTO_JSON json_t *config = NULL;

        ok(CONFIG(&config, &err, instruction) == -EINVAL && !config && strstr(err.msg, part),
           "'%s' is refused: %s", instruction, err.msg);
}

int main(void)
{
        check((const char *const[]){NULL}, "none", "no instruction");
        CHECK("{\"Cmd\":[\"a\",\"b c\"]}", "CMD [\"a\", \"b c\"]");
        CHECK("{\"Cmd\":[\"/bin/sh\",\"-c\",\"echo $HOME\"]}", "cmd echo $HOME");
        CHECK("{\"Entrypoint\":[\"x\"]}", "ENTRYPOINT [\"x\"]");
        CHECK("{\"Env\":[\"A=3 4\",\"AB=2\"]}", "ENV A=1", "ENV AB=2", "ENV A=3 4");
        CHECK("{\"ExposedPorts\":{\"53/udp\":{},\"80/tcp\":{}}}", "EXPOSE 80", "EXPOSE 53/udp");
        CHECK("{\"Labels\":{\"a\":\"b=c\"}}", "LABEL a=b=c");
        CHECK("{\"Volumes\":{\"/a\":{},\"/b c\":{}}}", "VOLUME /a", "VOLUME [\"/b c\"]");
        CHECK("{\"StopSignal\":\"SIGINT\",\"User\":\"db\",\"WorkingDir\":\"/x\"}",
              "STOPSIGNAL SIGINT", "USER db", "WORKDIR /x");
        refuse("RUN make", "-c 'RUN make': not one of CMD");
        refuse("CMD", "a value is needed");
        refuse("ENV NOTHING", "KEY=VALUE is needed");
        refuse("ENV =x", "KEY=VALUE is needed");
        refuse("CMD [\"a\", 1]", "strings");
        refuse("CMD [\"a\"", "list");
        return tap_done();
}
