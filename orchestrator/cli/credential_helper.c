/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/credential_helper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/spawn.h"

#define NAME_MAX_LEN 64
#define ANSWER_MAX   65536
#define SECONDS      "30"

const char *credential_helper_of(const json_t *config, const char *registry)
{
        const char *helper = json_str(json_object_get(config, "credHelpers"), registry, NULL);

        if (!helper)
                helper = json_str(config, "credsStore", NULL);
        return helper && *helper ? helper : NULL;
}

static int run_helper(const char *helper, const char *verb, const char *input, struct err *err)
{
        static const char good[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
        AUTO_FREE char *program = xasprintf("docker-credential-%s", helper), *answer = NULL;
        const char *argv[] = {"timeout", "-k", "1", SECONDS, program, verb, NULL};
        AUTO_CLOSE int in = memfd_create("credentials", MFD_CLOEXEC);
        const struct spawn_fd fds[] = {{in, 0}};
        const struct spawn spec = {.argv = argv, .fds = fds, .fd_count = 1};
        size_t len = strlen(helper);
        int r;

        if (len > NAME_MAX_LEN || strspn(helper, good) != len)
                return err_set(err, EINVAL, "'%.70s' is not the name of a credential helper",
                               helper);
        if (in < 0)
                return err_errno(err, errno, "%s", program);
        r = fd_write_all(in, input, strlen(input), err);
        if (r == 0 && lseek(in, 0, SEEK_SET) < 0)
                r = err_errno(err, errno, "%s", program);
        if (r == 0)
                r = spawn_run(&spec, ANSWER_MAX, &answer, err);
        return r < 0 ? err_wrap(err, "%s", program) : 0;
}

int credential_helper_store(const char *helper, const char *server, const char *username,
                            const char *password, struct err *err)
{
        AUTO_JSON json_t *json = json_pack("{s:s, s:s, s:s}", "ServerURL", server, "Username",
                                           username, "Secret", password);
        AUTO_FREE char *text = NULL;

        if (!json)
                return err_set(err, EINVAL, "name and password must be UTF-8");
        text = json_text(json);
        return run_helper(helper, "store", text, err);
}

int credential_helper_erase(const char *helper, const char *server, struct err *err)
{
        return run_helper(helper, "erase", server, err);
}
