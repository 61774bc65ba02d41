/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/daemon.h"

#define OVERCOMMIT_MIN 0.1
#define OVERCOMMIT_MAX 1000.0

static const char usage[] =
        "Usage: berthd [OPTIONS]\n"
        "\n"
        "The daemon of berth. `berth` starts it when it is needed; a service manager may, too.\n"
        "Ending it leaves all VMs running; the next one takes them over.\n"
        "\n"
        "      --root DIR       keep everything below DIR (also BERTH_ROOT)\n"
        "      --images DIR     image store to use (also BERTH_IMAGES)\n"
        "      --accel NAME     auto (default), kvm or tcg\n"
        "      --templates on|off  start VMs as copies of one that has booted (also "
        "BERTH_TEMPLATES;\n"
        "                   default on)\n"
        "      --pool N         VMs of each size that wait for a service (also BERTH_POOL; 0: "
        "none;\n"
        "                   default 2 in software emulation, 0 with kvm)\n"
        "      --on-boot WHAT   after a restart of the host: start (default) everything that is "
        "wanted,\n"
        "                   or go by the restart `policy` of services (also BERTH_ON_BOOT)\n"
        "      --overcommit N   VMs get at most N times the host's memory; none: no limit (also\n"
        "                   BERTH_OVERCOMMIT; default 2)\n"
        "      --log-level L    error, warn, info (default) or debug\n"
        "      --ready-fd N     write a byte to descriptor N once the API serves\n"
        "      --owner-fd N     tear everything down when descriptor N is closed at its other end\n"
        "  -h, --help           this text\n"
        "  -V, --version        the version\n";

enum {
        OPT_ROOT = 256,
        OPT_IMAGES,
        OPT_ACCEL,
        OPT_TEMPLATES,
        OPT_POOL,
        OPT_ON_BOOT,
        OPT_OVERCOMMIT,
        OPT_LOG_LEVEL,
        OPT_READY_FD,
        OPT_OWNER_FD
};

static const struct option long_options[] = {
        {"root", required_argument, NULL, OPT_ROOT},
        {"images", required_argument, NULL, OPT_IMAGES},
        {"accel", required_argument, NULL, OPT_ACCEL},
        {"templates", required_argument, NULL, OPT_TEMPLATES},
        {"pool", required_argument, NULL, OPT_POOL},
        {"on-boot", required_argument, NULL, OPT_ON_BOOT},
        {"overcommit", required_argument, NULL, OPT_OVERCOMMIT},
        {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
        {"ready-fd", required_argument, NULL, OPT_READY_FD},
        {"owner-fd", required_argument, NULL, OPT_OWNER_FD},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
};

static int parse_fd(const char *text, int *ret)
{
        struct err err = ERR_INIT;
        int64_t n;

        if (value_int(text, 3, 1 << 20, &n, &err) < 0) {
                (void)fprintf(stderr, "berthd: descriptor %s\n", err.msg);
                return -1;
        }
        *ret = (int)n;
        return 0;
}

static int parse_templates(const char *text, struct daemon_options *options)
{
        if (!streq(text, "on") && !streq(text, "off")) {
                (void)fprintf(stderr, "berthd: --templates %s: on or off\n", text);
                return -1;
        }
        options->no_templates = streq(text, "off");
        return 0;
}

static int parse_pool(const char *text, struct daemon_options *options)
{
        struct err err = ERR_INIT;
        int64_t n;

        if (value_int(text, 0, POOL_SIZE_MAX, &n, &err) < 0) {
                (void)fprintf(stderr, "berthd: --pool %s\n", err.msg);
                return -1;
        }
        options->pool = (int)n;
        return 0;
}

static int parse_on_boot(const char *text, struct daemon_options *options)
{
        if (!streq(text, "start") && !streq(text, "policy")) {
                (void)fprintf(stderr, "berthd: --on-boot %s: start or policy\n", text);
                return -1;
        }
        options->boot_by_policy = streq(text, "policy");
        return 0;
}

static int parse_overcommit(const char *text, struct daemon_options *options)
{
        char *end = NULL;
        double n = streq(text, "none") ? 0 : strtod(text, &end);

        if (end && (end == text || *end || !(n >= OVERCOMMIT_MIN && n <= OVERCOMMIT_MAX))) {
                (void)fprintf(stderr, "berthd: --overcommit %s: %.1f to %.0f, or none\n", text,
                              OVERCOMMIT_MIN, OVERCOMMIT_MAX);
                return -1;
        }
        options->overcommit = n;
        return 0;
}

static int parse_level(const char *text)
{
        int level = log_level_parse(text);

        if (level < 0) {
                (void)fprintf(stderr, "berthd: --log-level %s: one of error, warn, info, debug\n",
                              text);
                return -1;
        }
        log_set_level((enum log_level)level);
        return 0;
}

/* 0: go on; > 0: exit with this minus 1; < 0: bad usage. */
static int parse_option(int opt, const char *arg, struct daemon_options *options)
{
        switch (opt) {
        case OPT_ROOT:
                options->root = arg;
                return 0;
        case OPT_IMAGES:
                options->images = arg;
                return 0;
        case OPT_ACCEL:
                options->accel = arg;
                return 0;
        case OPT_TEMPLATES:
                return parse_templates(arg, options);
        case OPT_POOL:
                return parse_pool(arg, options);
        case OPT_ON_BOOT:
                return parse_on_boot(arg, options);
        case OPT_OVERCOMMIT:
                return parse_overcommit(arg, options);
        case OPT_LOG_LEVEL:
                return parse_level(arg);
        case OPT_READY_FD:
                return parse_fd(arg, &options->ready_fd);
        case OPT_OWNER_FD:
                return parse_fd(arg, &options->owner_fd);
        case 'h':
                (void)fputs(usage, stdout);
                return 1;
        case 'V':
                (void)puts("berthd " BERTH_VERSION);
                return 1;
        default:
                return -1;
        }
}

int main(int argc, char **argv)
{
        struct daemon_options options = {.accel = "auto",
                                         .pool = -1,
                                         .overcommit = ADMISSION_OVERCOMMIT,
                                         .ready_fd = -1,
                                         .owner_fd = -1};
        const char *templates = getenv("BERTH_TEMPLATES");
        const char *pool = getenv("BERTH_POOL");
        const char *on_boot = getenv("BERTH_ON_BOOT");
        const char *overcommit = getenv("BERTH_OVERCOMMIT");
        int opt;

        if ((pool && parse_pool(pool, &options) < 0) ||
            (on_boot && parse_on_boot(on_boot, &options) < 0))
                return 64;
        if (overcommit && parse_overcommit(overcommit, &options) < 0)
                return 64;
        if (templates && parse_templates(templates, &options) < 0)
                return 64;
        while ((opt = getopt_long(argc, argv, "hV", long_options, NULL)) != -1) {
                int r = parse_option(opt, optarg, &options);

                if (r > 0)
                        return r - 1;
                if (r < 0) {
                        (void)fputs(usage, stderr);
                        return 64;
                }
        }
        if (optind < argc) {
                (void)fprintf(stderr, "berthd: unexpected argument '%s'\n%s", argv[optind], usage);
                return 64;
        }
        (void)signal(SIGPIPE, SIG_IGN); /* writes report EPIPE instead */
        return daemon_run(&options);
}
