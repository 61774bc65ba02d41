/* SPDX-License-Identifier: Apache-2.0 */
/* Following a stack's status, against a child process that tells a fixed story for each stack. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/progress.h"
#include "tests/tap.h"

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"
#define STATUS(rev, settled, ok, ...)                                                       \
        "{\"name\": \"s\", \"revision\": " #rev ", \"settled\": " #settled ", \"ok\": " #ok \
        ", \"services\": [" __VA_ARGS__ "]}\n"
#define SERVICE(name, phase, settled, ok)                                              \
        "{\"service\": \"" name "\", \"phase\": \"" phase "\", \"settled\": " #settled \
        ", \"ok\": " #ok ", \"replicas\": []}"
#define BACKOFF STATUS(1, false, false, SERVICE("a", "backoff", false, false))
#define RETRY   STATUS(1, false, false, SERVICE("a", "starting", false, false))

static const struct story {
        const char *stack;
        const char *text;
        bool hold; /* keep the connection open afterwards */
} stories[] = {
        {"good",
         HEAD STATUS(1, true, true, SERVICE("a", "healthy", true, true))
                 STATUS(2, false, false, SERVICE("a", "starting", false, false))
                         STATUS(2, true, true, SERVICE("a", "healthy", true, true)),
         true},
        {"early",
         HEAD STATUS(1, false, false, SERVICE("a", "starting", false, false))
                 STATUS(1, true, true, SERVICE("a", "running", true, true)),
         true},
        {"dies",
         HEAD STATUS(1, false, false, SERVICE("a", "starting", false, false))
                 STATUS(1, true, true, SERVICE("a", "running", true, true))
                         STATUS(1, true, false, SERVICE("a", "failed", true, false)),
         true},
        {"loops",
         HEAD BACKOFF RETRY BACKOFF RETRY BACKOFF RETRY BACKOFF RETRY BACKOFF RETRY BACKOFF, true},
        {"others", HEAD STATUS(1, false, false, SERVICE("a", "starting", false, false)), true},
        {"gone", HEAD "{\"gone\": true}\n", false},
        {"unknown",
         "HTTP/1.1 404 Not Found\r\nContent-Length: 54\r\n\r\n"
         "{\"error\": {\"code\": \"ENOENT\", \"message\": \"no stack s\"}}",
         false},
        {"refused",
         "HTTP/1.1 503 No\r\nContent-Length: 52\r\n\r\n"
         "{\"error\": {\"code\": \"EAGAIN\", \"message\": \"starting\"}}",
         false},
        {"broken", HEAD "{\"error\": {\"code\": \"EBADMSG\", \"message\": \"oh\"}}\n", false},
        {"garbage", HEAD "{{{\n", false},
        {"restart", HEAD STATUS(1, false, false, SERVICE("a", "starting", false, false)), false},
};

static char dir[] = "/tmp/berth-progress-XXXXXX";

/* The second connection for "restart" tells the good story's end. */
static void tell(int fd, unsigned *restarts)
{
        char request[4096];
        ssize_t n = read(fd, request, sizeof(request) - 1);

        if (n <= 0)
                return; /* a probe whether somebody serves */
        request[n] = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(stories); i++) {
                AUTO_FREE char *path = xasprintf("/v1/stacks/%s/status", stories[i].stack);
                const char *text = stories[i].text;

                if (!strstr(request, path))
                        continue;
                if (streq(stories[i].stack, "restart") && (*restarts)++)
                        text = HEAD STATUS(1, true, true, SERVICE("a", "healthy", true, true));
                (void)!write(fd, text, strlen(text)); /* the other side tells */
                if (stories[i].hold)
                        (void)!read(fd, request, 1); /* until the client leaves */
        }
}

static pid_t serve(const char *path)
{
        unsigned restarts = 0;
        int listener = -1;
        pid_t pid;

        if (fd_listen_unix(path, &listener, NULL) < 0)
                return -1;
        pid = fork();
        while (pid == 0) {
                struct pollfd p = {.fd = listener, .events = POLLIN};
                int fd;

                alarm(30); /* whatever happens to the test */
                (void)poll(&p, 1, -1);
                fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                if (fd >= 0) {
                        tell(fd, &restarts);
                        (void)close(fd); /* the end of the story */
                }
        }
        (void)close(listener); /* the child has it */
        return pid;
}

/* The end of a stack's story: a progress_end, or a negative error. */
static int follow(struct cli *cli, const char *stack, int64_t deadline_ms, struct err *err)
{
        struct progress progress = {.cli = cli,
                                    .stack = stack,
                                    .revision = streq(stack, "good") ? 2 : 1,
                                    .quiet = true,
                                    .deadline_ms = clock_mono_ms() + deadline_ms};
        enum progress_end end = PROGRESS_WOKEN;
        int r = progress_follow(&progress, &end, err);

        if (streq(stack, "good") && r == 0)
                is_int(json_int(progress.status, "revision", 0), 2, "older revisions are not ours");
        progress_release(&progress);
        return r < 0 ? r : (int)end;
}

static void test_ends(struct cli *cli)
{
        struct err err = ERR_INIT;
        int64_t start;

        is_int(follow(cli, "good", 9000, &err), PROGRESS_OK, "settled and ok");
        start = clock_mono_ms();
        is_int(follow(cli, "early", 9000, &err), PROGRESS_OK, "running without a healthcheck");
        ok(clock_mono_ms() - start >= PROGRESS_RUNNING_MS, "is believed after a while");
        is_int(follow(cli, "dies", 9000, &err), PROGRESS_FAILED, "a death in that while counts");
        is_int(follow(cli, "loops", 9000, &err), PROGRESS_FAILED, "a crash loop is not waited for");
        is_int(follow(cli, "others", 300, &err), PROGRESS_TIMEOUT, "the deadline");
        is_int(follow(cli, "gone", 9000, &err), PROGRESS_GONE, "a stack that goes");
        is_int(follow(cli, "unknown", 9000, &err), PROGRESS_GONE, "a stack that is not there");
        is_int(follow(cli, "restart", 9000, &err), PROGRESS_OK,
               "a restarted daemon is found again");
}

static void test_errors(struct cli *cli)
{
        struct err err = ERR_INIT;

        is_int(follow(cli, "refused", 9000, &err), -EAGAIN, "the daemon's code");
        is_str(err.msg, "starting", "and text");
        is_int(follow(cli, "broken", 9000, &err), -EBADMSG, "an error within the stream");
        is_str(err.msg, "oh", "with its text");
        is_int(follow(cli, "garbage", 9000, &err), -EINVAL, "a line that is no JSON");
}

static void test_text(void)
{
        char text[32];

        elapsed_text(1234, text);
        is_str(text, "1.2s", "tenths");
        elapsed_text(59999, text);
        is_str(text, "59s", "seconds");
        elapsed_text(185000, text);
        is_str(text, "3m05s", "minutes");
}

int main(void)
{
        struct cli cli = {0};
        AUTO_FREE char *path = NULL;
        pid_t pid;

        if (!mkdtemp(dir) || roots_init(&cli.roots, dir, NULL, NULL) < 0 ||
            roots_create(&cli.roots, NULL) < 0)
                return 1;
        path = roots_run_path(&cli.roots, "berth.sock");
        pid = serve(path);
        test_ends(&cli);
        test_errors(&cli);
        test_text();
        if (pid > 0) {
                (void)kill(pid, SIGKILL); /* our child */
                (void)waitpid(pid, NULL, 0);
        }
        roots_release(&cli.roots);
        is_int(file_remove_tree(dir, NULL), 0, "nothing is left");
        return tap_done();
}
