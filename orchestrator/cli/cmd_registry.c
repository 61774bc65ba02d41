/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of registries, kept where docker and podman keep them too. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/registry.h"

#define SECRET_MAX 65536
#define NO_FILE    "HOME is not set; say with REGISTRY_AUTH_FILE where credentials are kept"

static const struct option_def login_options[] = {
        {'u', "username", "NAME", "who you are there"},
        {0, "password-stdin", NULL, "read the password from standard input"},
        {0, NULL, NULL, NULL},
};

static const struct option_def logout_options[] = {{0, NULL, NULL, NULL}};

/* Up to the end of a line (a terminal) or of the input (a pipe), without a last newline. */
static int read_secret(bool line, struct strbuf *ret)
{
        char c;
        ssize_t n;

        while ((n = read(STDIN_FILENO, &c, 1)) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 || (line && c == '\n'))
                        break;
                strbuf_addc(ret, c);
        }
        while (ret->len && (ret->data[ret->len - 1] == '\n' || ret->data[ret->len - 1] == '\r'))
                ret->data[--ret->len] = '\0';
        return strbuf_failed(ret) || memchr(strbuf_str(ret), '\0', ret->len) ? -EINVAL : 0;
}

static int ask_password(struct strbuf *ret)
{
        struct termios before, silent;
        int r;

        if (tcgetattr(STDIN_FILENO, &before) < 0)
                return -errno;
        silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        (void)fputs("Password: ", stderr);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent); /* at worst it shows */
        r = read_secret(true, ret);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before); /* as it was */
        (void)fputs("\n", stderr);
        return r;
}

static int check(struct cli *cli, const char *registry, const char *username, const char *password,
                 bool *ret_anonymous, struct err *err)
{
        AUTO_JSON json_t *body = json_pack("{s:s, s:s, s:s}", "registry", registry, "username",
                                           username, "password", password);
        AUTO_JSON json_t *answer = NULL;
        int r;

        if (!body)
                return err_set(err, EINVAL, "name and password must be UTF-8");
        r = client_call(cli, "POST", "/v1/registry/login", body, &answer, err);
        if (r == 0)
                *ret_anonymous = json_bool(answer, "anonymous", false);
        return r;
}

static const char *registry_of(const struct args *args)
{
        const char *name = args_operand(args, 0);

        return name && !streq(name, "index.docker.io") && !streq(name, "registry-1.docker.io")
                       ? name
                       : "docker.io";
}

static int run_login(struct cli *cli, const struct args *args)
{
        AUTO_STRBUF struct strbuf secret = STRBUF_INIT(SECRET_MAX);
        const char *registry = registry_of(args), *username = args_value(args, "username");
        AUTO_FREE char *file = registry_login_file(), *where = NULL;
        struct err err = ERR_INIT;
        bool anonymous = false;
        int r;

        if (!file)
                return cli_error(CLI_FAILED, NO_FILE);

        if (!username)
                return cli_usage(args->command, "say who you are with -u NAME");
        if (strchr(username, ':'))
                return cli_usage(args->command, "a name holds no ':'");
        if (!args_flag(args, "password-stdin") && !isatty(STDIN_FILENO))
                return cli_usage(args->command, "without a terminal use --password-stdin");
        r = args_flag(args, "password-stdin") ? read_secret(false, &secret) : ask_password(&secret);
        if (r < 0 || secret.len == 0)
                return cli_error(CLI_INVALID, "the password is empty or too long");
        if (check(cli, registry, username, strbuf_str(&secret), &anonymous, &err) < 0 ||
            registry_login_store(file, registry, username, strbuf_str(&secret), &where, &err) < 0)
                return cli_fail(&err);
        if (anonymous)
                cli_warn("%s lets everybody in: nobody checked the password", registry);
        (void)printf("logged in to %s; kept in %s\n", registry, where); /* main() checks */
        return CLI_OK;
}

static int run_logout(struct cli *cli, const struct args *args)
{
        const char *registry = registry_of(args);
        AUTO_FREE char *file = registry_login_file();
        struct err err = ERR_INIT;
        int r;

        (void)cli;
        if (!file)
                return cli_error(CLI_FAILED, NO_FILE);
        r = registry_login_erase(file, registry, &err);
        if (r < 0)
                return cli_fail(&err);
        if (r == REGISTRY_UNKNOWN)
                (void)printf("%s: not logged in\n", registry); /* main() checks */
        else
                (void)printf("logged out of %s\n", registry); /* main() checks */
        return CLI_OK;
}

const struct command cmd_registry_login = {
        .name = "registry login",
        .alias = "login",
        .usage = "[REGISTRY] -u NAME [--password-stdin]",
        .about = "check credentials and keep them, in docker's file (0600)",
        .help = "Without REGISTRY: docker.io. Kept in $REGISTRY_AUTH_FILE, "
                "$DOCKER_CONFIG/config.json or ~/.docker/config.json, or in the "
                "credential helper that this file names (credsStore, credHelpers).\n\n"
                "Examples:\n"
                "  pass registry | berth registry login registry.lan:5000 -u me --password-stdin\n",
        .options = login_options,
        .operands_max = 1,
        .run = run_login,
};

const struct command cmd_registry_logout = {
        .name = "registry logout",
        .alias = "logout",
        .usage = "[REGISTRY]",
        .about = "forget the credentials of a registry",
        .options = logout_options,
        .operands_max = 1,
        .run = run_logout,
};
