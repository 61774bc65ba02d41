/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/changes.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/folder.h"
#include "orchestrator/cli/interrupt.h"
#include "orchestrator/cli/source.h"
#include "orchestrator/cli/stacks.h"

/* Never IN_CREATE or IN_MODIFY: they show half-written files. */
#define WATCH_MASK                                                                               \
        (IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | \
         IN_MOVE_SELF | IN_ONLYDIR)
/* A burst of changes (an editor, git) has ended when it was quiet for this long, or lasted so long.
 */
#define QUIET_MS 200
#define BURST_MS 2000

static const struct option_def options[] = {{0, NULL, NULL, NULL}};

struct watcher {
        struct cli *cli;
        struct folder folder;
        int inotify, signals;
        int64_t burst_ms; /* since when changes come in; 0: none are waiting */
        int64_t last_ms;  /* of the last of them */
};

/* One line an action, on standard output, at once. */
static void say(const char *file, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(const char *file, const char *fmt, ...)
{
        const char *slash = strrchr(file, '/');
        va_list ap;

        va_start(ap, fmt);
        (void)printf("%s: ", slash ? slash + 1 : file); /* a lost line has no one to tell */
        (void)vprintf(fmt, ap);
        (void)printf("\n");
        (void)fflush(stdout);
        va_end(ap);
}

static void remove_stack(struct watcher *w, const char *file, const char *stack, const char *why)
{
        struct err err = ERR_INIT;
        int r = stack_delete(w->cli, stack, false, &err);

        if (r == 0)
                say(file, "stack %s is taken down: %s; its volumes stay", stack, why);
        else if (r != -ENOENT)
                say(file, "stack %s cannot be taken down: %s", stack, err.msg);
}

/* The daemon may have ended since the last action: ask for it again. */
static int put(struct watcher *w, struct folder_file *file, const struct source *source)
{
        AUTO_JSON json_t *answer = NULL;
        AUTO_FREE char *summary = NULL;
        struct err err = ERR_INIT;

        w->cli->have_daemon = false;
        if (stack_put(w->cli, source, "manifest", &answer, &err) < 0) {
                say(file->path, "stack %s is not applied: %s", source->stack->name, err.msg);
                return -err.code;
        }
        summary = changes_summary(json_object_get(answer, "changes"));
        say(file->path, "stack %s revision %lld: %s", source->stack->name,
            (long long)json_int(answer, "revision", 0),
            json_bool(answer, "unchanged", false) ? "unchanged" : summary);
        return 0;
}

static void apply_source(struct watcher *w, struct folder_file *file, const struct source *source)
{
        const char *stack = source->stack->name;
        const struct folder_file *owner = folder_owner(&w->folder, stack, file);

        if (owner) {
                say(file->path,
                    "conflict: stack %s comes from %s already; name one of them "
                    "otherwise",
                    stack, owner->path);
                return;
        }
        if (put(w, file, source) < 0)
                return;
        if (file->stack && !streq(file->stack, stack))
                remove_stack(w, file->path, file->stack, "its file names another one now");
        folder_take(&w->folder, file, stack);
}

/* An invalid file changes nothing: what it said last goes on running. */
static void load_changed(struct watcher *w, struct folder_file *file)
{
        struct source source = {0};
        struct diags diags = {0};
        struct err err = ERR_INIT;
        int r = source_load_file(file->path, &source, &diags, &err);

        diags_print(&diags, stdout);
        if (r < 0 && diags.errors == 0)
                say(file->path, "%s", err.msg);
        if (r < 0 && file->stack)
                say(file->path, "invalid; stack %s goes on as it was", file->stack);
        else if (r < 0)
                say(file->path, "invalid; nothing is applied");
        else
                apply_source(w, file, &source);
        diags_release(&diags);
        source_release(&source);
}

static void drop_lost(struct watcher *w, int64_t now)
{
        struct folder_file *file;

        while ((file = folder_lost(&w->folder, now))) {
                if (file->stack && !folder_owner(&w->folder, file->stack, file))
                        remove_stack(w, file->path, file->stack, "its file is gone");
                folder_forget(&w->folder, file);
        }
}

static int rescan(struct watcher *w, struct err *err)
{
        int64_t now = clock_mono_ms();
        int r = folder_scan(&w->folder, now, err);

        if (r < 0)
                return err_wrap(err, "the folder is lost; its stacks go on running");
        for (size_t i = 0; i < w->folder.files_len; i++) {
                struct folder_file *file = &w->folder.files[i];

                if (file->present && folder_changed(file))
                        load_changed(w, file);
        }
        drop_lost(w, now);
        return 0;
}

/* Whether a source names one file directly in the folder. */
static bool from_folder(const struct watcher *w, const char *source)
{
        size_t n = strlen(w->folder.path);

        return source && has_prefix(source, w->folder.path) && source[n] == '/' &&
               !strchr(source + n + 1, '/') && !strchr(source, ',');
}

/* Files that went away while nobody watched. */
static int drop_orphans(struct watcher *w, struct err *err)
{
        AUTO_JSON json_t *stacks = NULL;
        const json_t *stack;
        size_t i;
        int r = client_call(w->cli, "GET", "/v1/stacks", NULL, &stacks, err);

        if (r < 0)
                return r;
        json_array_foreach(stacks, i, stack) {
                const char *source = json_str(stack, "source", "");

                if (from_folder(w, source) && access(source, F_OK) < 0 && errno == ENOENT)
                        remove_stack(w, source, json_str(stack, "name", ""), "its file is gone");
        }
        return 0;
}

/* Drain the events: what they say does not matter, only that there were some. */
static void take_events(struct watcher *w)
{
        char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
        int64_t now = clock_mono_ms();

        while (read(w->inotify, buffer, sizeof(buffer)) > 0) {
                w->last_ms = now;
                if (!w->burst_ms)
                        w->burst_ms = now;
        }
}

static int wait_ms(const struct watcher *w)
{
        int64_t now = clock_mono_ms(), quiet, burst;
        int lost = folder_wait_ms(&w->folder, now);

        if (!w->burst_ms)
                return lost;
        quiet = w->last_ms + QUIET_MS - now;
        burst = w->burst_ms + BURST_MS - now;
        quiet = burst < quiet ? burst : quiet;
        return quiet < 0 ? 0 : (int)quiet;
}

/* Returns an exit code. */
static int watch(struct watcher *w, struct err *err)
{
        int r = rescan(w, err);

        while (r == 0) {
                struct pollfd p[2] = {{.fd = w->inotify, .events = POLLIN},
                                      {.fd = w->signals, .events = POLLIN}};

                if (poll(p, 2, wait_ms(w)) < 0 && errno != EINTR)
                        return cli_error(CLI_FAILED, "poll: %s", strerror(errno));
                if (p[1].revents) {
                        (void)fprintf(stderr, "no longer watching; the stacks go on running\n");
                        return CLI_OK; /* the line above is a courtesy */
                }
                if (p[0].revents)
                        take_events(w);
                else if (wait_ms(w) == 0) {
                        w->burst_ms = 0;
                        r = rescan(w, err);
                }
        }
        return cli_fail(err);
}

static int open_folder(struct watcher *w, const char *path, struct err *err)
{
        AUTO_FREE char *real = realpath(path, NULL);

        if (!real)
                return err_errno(err, errno, "%s", path);
        folder_init(&w->folder, real);
        w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (w->inotify < 0)
                return err_errno(err, errno, "inotify");
        if (inotify_add_watch(w->inotify, real, WATCH_MASK) < 0)
                return err_errno(err, errno, "%s: watch", path);
        w->signals = interrupt_open();
        return 0;
}

static int run(struct cli *cli, const struct args *args)
{
        struct watcher w = {.cli = cli, .inotify = -1, .signals = -1};
        struct err err = ERR_INIT;
        int r = open_folder(&w, args_operand(args, 0), &err);

        if (r < 0)
                r = cli_error(err.code == ENOENT ? CLI_NO_INPUT : CLI_FAILED, "%s", err.msg);
        else if (drop_orphans(&w, &err) < 0)
                r = cli_fail(&err);
        else
                r = watch(&w, &err);
        folder_release(&w.folder);
        if (w.inotify >= 0)
                (void)close(w.inotify); /* holds nothing to lose */
        if (w.signals >= 0)
                (void)close(w.signals); /* as above */
        return r;
}

const struct command cmd_watch = {
        .name = "watch",
        .usage = "DIR",
        .about = "keep stacks as the manifests in a folder say, in the foreground",
        .help = "Each *.yaml and *.yml directly in DIR is one stack. A file that is written is "
                "applied; one\nthat is invalid leaves its stack as it was, and says where it is "
                "wrong; one that is removed\ntakes its stack down after a short grace, its volumes "
                "stay. Names that begin with . or _\nare passed over. One line an action.\n\n"
                "Examples:\n"
                "  berth watch /srv/stacks\n",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
        .run = run,
};
