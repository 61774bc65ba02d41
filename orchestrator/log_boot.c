/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a VM's console: what its kernel and vminit printed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "orchestrator/logs.h"

/* "[    1.234567] text": nanoseconds; -1: no time stamp. */
static int64_t kernel_time_ns(const char *text, size_t len)
{
        int64_t seconds = 0, fraction = 0;
        size_t i = 1;

        if (len < 2 || text[0] != '[')
                return -1;
        while (i < len && text[i] == ' ')
                i++;
        for (; i < len && text[i] >= '0' && text[i] <= '9' && seconds < 1000000000; i++)
                seconds = seconds * 10 + (text[i] - '0');
        if (i + 7 >= len || text[i] != '.' || text[i + 7] != ']')
                return -1;
        for (size_t k = i + 1; k <= i + 6; k++) {
                if (text[k] < '0' || text[k] > '9')
                        return -1;
                fraction = fraction * 10 + (text[k] - '0');
        }
        return seconds * 1000000000 + fraction * 1000;
}

static int read_end(const char *path, char **ret, size_t *ret_len, struct err *err)
{
        AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        AUTO_FREE char *buf = NULL;
        off_t from = 0;
        struct stat st;
        ssize_t n;

        if (fd < 0 || fstat(fd, &st) < 0)
                return err_errno(err, errno, "boot log %s", path);
        if (st.st_size > LOG_BOOT_BYTES_MAX)
                from = st.st_size - LOG_BOOT_BYTES_MAX;
        buf = xcalloc((size_t)(st.st_size - from) + 1, 1);
        n = pread(fd, buf, (size_t)(st.st_size - from), from);
        if (n < 0)
                return err_errno(err, errno, "boot log %s", path);
        *ret_len = (size_t)n;
        *ret = STEAL(buf);
        return 0;
}

static size_t count_lines(const char *text, size_t len)
{
        size_t lines = 0;

        for (size_t i = 0; i < len; i++)
                lines += text[i] == '\n';
        return lines + (len > 0 && text[len - 1] != '\n');
}

int log_boot_read(const char *path, const struct log_line *line, int64_t tail,
                  void (*emit)(void *ctx, const struct log_line *line), void *ctx, struct err *err)
{
        AUTO_FREE char *text = NULL;
        struct log_line out = *line;
        size_t len = 0, lines, at = 0;
        int r = read_end(path, &text, &len, err);

        if (r < 0)
                return r;
        out.stream = LOG_BOOT;
        out.partial = false;
        lines = count_lines(text, len);
        while (at < len) {
                const char *end = memchr(text + at, '\n', len - at);
                size_t n = end ? (size_t)(end - text) - at : len - at;
                int64_t ns = kernel_time_ns(text + at, n);

                if (ns >= 0)
                        out.time_ns = line->time_ns + ns;
                out.text = text + at;
                out.len = n;
                while (out.len > 0 && out.text[out.len - 1] == '\r')
                        out.len--;
                if (tail < 0 || lines <= (size_t)tail)
                        emit(ctx, &out);
                lines--;
                at += n + 1;
        }
        return 0;
}
